// Chooses the parameters of the PlanetLab benchmark's policy `proteus` on the days given, in both modes, and prints for
// each set how it does against MFPED. The order of VMs decides which is how large, so that the same day in another
// order is another day: of those N are added. The chosen set is the one that misses the fewest targets; among those,
// the one whose worst measure is the safest: (mean distance from its limit) / (standard deviation over days).
//   tune_planetlab DAY.csv.xz … [--orders N] [--only-default]
// The targets: no more energy, at most a third of the migrations, at most a third of the SLAV.

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "controller/simulate/planetlab/benchmark.h"
#include "controller/simulate/planetlab/heuristic_policy.h"
#include "controller/simulate/planetlab/proteus_policy.h"

namespace proteus::simulate::planetlab {
namespace {

using Demands = std::vector<std::vector<Demand>>;  ///< by step, by VM

/// Moves nothing and writes down what is forecast: forecasts do not depend on who runs where.
class Recorder final : public Policy {
 public:
  Recorder(double young_spread, Demands& demands) : outlook_(young_spread), demands_(demands) {}
  Result<std::vector<std::size_t>> place(const Cluster& cluster) override { return StaticPolicy().place(cluster); }
  Decision decide(const Cluster& cluster) override {
    outlook_.observe(cluster);
    demands_.emplace_back();
    for (std::size_t i = 0; i < cluster.vm_count(); ++i) demands_.back().push_back(outlook_.demand(i));
    return {};
  }

 private:
  EngineOutlook outlook_;
  Demands& demands_;
};

class RecordedOutlook final : public Outlook {
 public:
  explicit RecordedOutlook(const Demands& demands) : demands_(demands) {}
  void observe(const Cluster&) override { ++steps_; }
  Demand demand(std::size_t vm) const override { return demands_[steps_ - 1][vm]; }

 private:
  const Demands& demands_;
  std::size_t steps_ = 0;
};

struct Day {
  TraceTable traces;
  Mode mode;
  Demands demands;
  Metrics mfped;
};

constexpr std::array<double, 3> kLimits = {1, 1.0 / 3, 1.0 / 3};  ///< energy, migrations, SLAV, as shares of MFPED's

struct Trial {
  ProteusParameters parameters;
  int missed = 0;
  std::array<double, 3> mean{};
  std::array<double, 3> most{};
  double safety = std::numeric_limits<double>::infinity();
  bool operator<(const Trial& other) const {
    return missed != other.missed ? missed < other.missed : safety > other.safety;
  }
};

Result<Trial> try_out(const ProteusParameters& parameters, const std::vector<Day>& days) {
  Trial trial{.parameters = parameters};
  std::array<std::vector<double>, 3> room;  // ln(limit / what it was)
  for (const Day& day : days) {
    ProteusPolicy policy(parameters, std::make_unique<RecordedOutlook>(day.demands));
    const Result<Outcome> outcome = run_day(day.traces, day.mode, policy, {});
    if (!outcome) return outcome.error();
    const std::array<double, 3> shares = {
        outcome->metrics.energy_kwh / day.mfped.energy_kwh,
        static_cast<double>(outcome->metrics.migrations) / static_cast<double>(day.mfped.migrations),
        outcome->metrics.slav / day.mfped.slav};
    for (std::size_t k = 0; k < shares.size(); ++k) {
      trial.missed += shares[k] > kLimits[k] ? 1 : 0;
      trial.mean[k] += shares[k] / static_cast<double>(days.size());
      trial.most[k] = std::max(trial.most[k], shares[k]);
      room[k].push_back(std::log(kLimits[k] / shares[k]));
    }
  }
  for (const std::vector<double>& of_measure : room) {
    const auto n = static_cast<double>(of_measure.size());
    const double mean = std::accumulate(of_measure.begin(), of_measure.end(), 0.0) / n;
    double squares = 0;
    for (const double value : of_measure) squares += (value - mean) * (value - mean);
    trial.safety = std::min(trial.safety, mean / std::sqrt(squares / n));
  }
  return trial;
}

void print(const Trial& trial) {
  const ProteusParameters& p = trial.parameters;
  fmt::print(
      "{:6} {:6.2f}  {:.3f} {:.3f}  {:.3f} {:.3f}  {:.3f} {:.3f}   relief {:.1f} drain {:.1f} + {:.2f} a move, "
      "haste {:.0f} below {:.2f}, later {:.1f}\n",
      trial.missed, trial.safety, trial.mean[0], trial.most[0], trial.mean[1], trial.most[1], trial.mean[2],
      trial.most[2], p.relief_margin, p.drain_margin, p.drain_margin_per_move, p.drain_haste, p.drain_use,
      p.later_margin);
  std::fflush(stdout);
}

std::vector<ProteusParameters> grid() {
  std::vector<ProteusParameters> sets;
  for (const double drain : {1.0, 1.4, 1.8}) {
    for (const double per_move : {0.02, 0.03, 0.04}) {
      for (const double use : {0.75, 0.8, 0.85}) {
        for (const double haste : {0.0, 5.0, 10.0, 15.0}) {
          for (const double later : {0.5, 0.8}) {
            ProteusParameters parameters;
            parameters.drain_margin = drain;
            parameters.drain_margin_per_move = per_move;
            parameters.drain_use = use;
            parameters.drain_haste = haste;
            parameters.later_margin = later;
            if (haste > 0 || use == 0.75) sets.push_back(parameters);
          }
        }
      }
    }
  }
  return sets;
}

TraceTable in_another_order(const TraceTable& traces, unsigned seed) {
  std::vector<std::size_t> order(traces.series());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937 random(seed);
  for (std::size_t i = order.size(); i-- > 1;) std::swap(order[i], order[random() % (i + 1)]);
  TraceTable shuffled{.steps = traces.steps, .names = {}, .values = {}};
  for (const std::size_t s : order) {
    shuffled.names.push_back(traces.names[s]);
    shuffled.values.insert(shuffled.values.end(), traces.row(s), traces.row(s) + traces.steps);
  }
  return shuffled;
}

Status add_day(const TraceTable& traces, std::vector<Day>& days) {
  Demands demands;
  Recorder recorder(ProteusParameters{}.young_spread, demands);
  if (const auto recorded = run_day(traces, Mode::kKeep, recorder, {}); !recorded) return recorded.error();
  for (const Mode mode : {Mode::kCloudsim, Mode::kKeep}) {
    const auto mfped = run_day(traces, mode, "mfped", {});
    if (!mfped) return mfped.error();
    days.push_back({traces, mode, demands, mfped->metrics});
  }
  return {};
}

Status run(const std::vector<std::string>& files, unsigned orders, unsigned first_order, bool only_default) {
  std::vector<Day> days;
  for (const std::string& file : files) {
    const Result<TraceTable> traces = read_traces(file);
    if (!traces) return traces.error();
    if (first_order == 0) {
      if (const Status status = add_day(*traces, days); !status) return status;
    }
    for (unsigned order = std::max(1U, first_order); order <= orders; ++order) {
      if (const Status status = add_day(in_another_order(*traces, order), days); !status) return status;
    }
  }
  fmt::print("{} days and modes; mean and largest share of MFPED's\n", days.size());
  fmt::print("MISSED SAFETY  ENERGY       MIGRATIONS   SLAV\n");
  std::vector<Trial> trials;
  for (const ProteusParameters& parameters : only_default ? std::vector{ProteusParameters{}} : grid()) {
    const Result<Trial> trial = try_out(parameters, days);
    if (!trial) return trial.error();
    print(*trial);
    trials.push_back(*trial);
  }
  fmt::print("best:\n");
  print(*std::min_element(trials.begin(), trials.end()));
  return {};
}

}  // namespace
}  // namespace proteus::simulate::planetlab

int main(int argc, char** argv) {
  std::vector<std::string> files;
  unsigned orders = 0;
  unsigned first_order = 0;
  bool only_default = false;
  CLI::App app("Chooses the parameters of the PlanetLab benchmark's policy proteus");
  app.add_option("DAY", files, "traces of a day, CSV, plain or packed")->required()->check(CLI::ExistingFile);
  app.add_option("--orders", orders, "orders of the VMs beside the file's, numbered from 1");
  app.add_option("--first-order", first_order, "leave out those before this one; the file's is number 0");
  app.add_flag("--only-default", only_default, "the parameters as they are in proteus_policy.h");
  CLI11_PARSE(app, argc, argv);
  const proteus::Status status = proteus::simulate::planetlab::run(files, orders, first_order, only_default);
  if (!status) return fmt::print(stderr, "{}\n", status.error().message), 1;
  return 0;
}
