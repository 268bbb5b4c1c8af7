// Tries parameters of the PlanetLab benchmark's policy `proteus` on the days given, in both modes, and prints for each
// set how it does against MFPED: the best is the one that misses the fewest targets, then the one with the least
// energy.
//   tune_planetlab DAY.csv.xz …
// The targets: no more energy, at most a third of the migrations, at most a third of the SLAV.

#include <fmt/core.h>

#include <algorithm>
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

void try_out(const ProteusParameters& parameters, std::vector<Day>& days) {
  int missed = 0;
  double energy = 0;
  double energy_max = 0;
  double migrations_max = 0;
  double slav_max = 0;
  for (Day& day : days) {
    ProteusPolicy policy(parameters, std::make_unique<RecordedOutlook>(day.demands));
    const auto outcome = run_day(day.traces, day.mode, policy, {});
    if (!outcome) return fmt::print(stderr, "{}\n", outcome.error().message);
    const double e = outcome->metrics.energy_kwh / day.mfped.energy_kwh;
    const double m = static_cast<double>(outcome->metrics.migrations) / static_cast<double>(day.mfped.migrations);
    const double s = outcome->metrics.slav / day.mfped.slav;
    missed += int{e > 1} + int{m > 1.0 / 3} + int{s > 1.0 / 3};
    energy += e / static_cast<double>(days.size());
    energy_max = std::max(energy_max, e);
    migrations_max = std::max(migrations_max, m);
    slav_max = std::max(slav_max, s);
  }
  fmt::print(
      "{:6} {:7.3f} {:7.3f} {:10.3f} {:7.3f}   now {:.2f} relief {:.2f} fit {:.2f} drain {:.2f} + {:.3f} a move\n",
      missed, energy, energy_max, migrations_max, slav_max, parameters.now_weight, parameters.relief_margin,
      parameters.fit_margin, parameters.drain_margin, parameters.drain_margin_per_move);
}

int run(int argc, char** argv) {
  std::vector<Day> days;
  for (int i = 1; i < argc; ++i) {
    const Result<TraceTable> traces = read_traces(argv[i]);
    if (!traces) return fmt::print(stderr, "{}\n", traces.error().message), 1;
    Demands demands;
    Recorder recorder(ProteusParameters{}.young_spread, demands);
    if (const auto recorded = run_day(*traces, Mode::kKeep, recorder, {}); !recorded) {
      return fmt::print(stderr, "{}: {}\n", argv[i], recorded.error().message), 1;
    }
    for (const Mode mode : {Mode::kCloudsim, Mode::kKeep}) {
      const auto mfped = run_day(*traces, mode, "mfped", {});
      if (!mfped) return fmt::print(stderr, "{}: {}\n", argv[i], mfped.error().message), 1;
      days.push_back({*traces, mode, demands, mfped->metrics});
    }
  }
  if (days.empty()) return fmt::print(stderr, "usage: tune_planetlab DAY.csv.xz …\n"), 2;
  fmt::print("MISSED  ENERGY  (MAX)  MIGRATIONS  SLAV   (largest, as shares of MFPED's)\n");
  for (const double now : {0.2, 0.35, 0.5}) {
    for (const double relief : {0.0, 0.5}) {
      for (const double drain : {0.4, 0.7, 1.0, 1.2}) {
        for (const double per_move : {0.02, 0.03, 0.06, 0.09}) {
          ProteusParameters parameters;
          parameters.now_weight = now;
          parameters.relief_margin = relief;
          parameters.drain_margin = drain;
          parameters.drain_margin_per_move = per_move;
          try_out(parameters, days);
        }
      }
    }
  }
  return 0;
}

}  // namespace
}  // namespace proteus::simulate::planetlab

int main(int argc, char** argv) {
  return proteus::simulate::planetlab::run(argc, argv);
}
