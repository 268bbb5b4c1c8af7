#include "tests/bench/tune_kvm/results.h"

#include <fmt/core.h>

#include <algorithm>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>

#include "controller/simulate/kvm/run.h"

namespace proteus::simulate::kvm {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Week, cost_eur, sla_eur, energy_kwh, contention_share, disasters, moves, hosts_on,
                                   slowest_s)

namespace {

constexpr double kContentionMax = 0.0030;
constexpr double kContentionPrice = 1e4;  ///< EUR for all of the VMs' time
constexpr double kMovesMax = 150;
constexpr double kMovePrice = 0.3;  ///< EUR

Week simulate(const Workload& workload, const Setup& setup) {
  HamPolicy policy(std::make_unique<RecentPaths>(setup.recent), setup.ham);
  const RunResult result = run(workload, policy);
  const Metrics& m = result.metrics;
  return {.cost_eur = m.cost_eur,
          .sla_eur = m.sla_eur,
          .energy_kwh = m.energy_kwh,
          .contention_share = m.contention_share,
          .disasters = static_cast<double>(m.disasters),
          .moves = static_cast<double>(m.migrations),
          .hosts_on = m.mean_hosts_on,
          .slowest_s = result.decision_cpu_s_max};
}

Week mean_of(const std::vector<Week>& weeks, std::size_t without) {
  Week mean;
  const auto n = static_cast<double>(weeks.size() - (without < weeks.size() ? 1 : 0));
  for (std::size_t w = 0; w < weeks.size(); ++w) {
    if (w == without) continue;
    const Week& week = weeks[w];
    mean.cost_eur += week.cost_eur / n;
    mean.sla_eur += week.sla_eur / n;
    mean.energy_kwh += week.energy_kwh / n;
    mean.contention_share += week.contention_share / n;
    mean.moves += week.moves / n;
    mean.hosts_on += week.hosts_on / n;
    mean.disasters += week.disasters / n;
    mean.slowest_s = std::max(mean.slowest_s, week.slowest_s);
  }
  return mean;
}

}  // namespace

double bill_of(const std::vector<Week>& weeks, std::size_t without) {
  const Week mean = mean_of(weeks, without);
  return mean.cost_eur + kContentionPrice * std::max(0.0, mean.contention_share - kContentionMax) +
         kMovePrice * std::max(0.0, mean.moves - kMovesMax);
}

Interval dearer(const std::vector<Week>& weeks, const std::vector<Week>& reference) {
  const std::size_t n = weeks.size();
  const std::vector<Week> same(reference.begin(), reference.begin() + static_cast<std::ptrdiff_t>(n));
  const double more = bill_of(weeks, n) - bill_of(same, n);
  std::vector<double> pseudo;
  for (std::size_t w = 0; w < n; ++w) {
    const double rest = bill_of(weeks, w) - bill_of(same, w);
    pseudo.push_back(static_cast<double>(n) * more - static_cast<double>(n - 1) * rest);
  }
  return {more, interval(pseudo).error, 0};
}

std::string summary(const std::vector<Week>& weeks) {
  const Week mean = mean_of(weeks, weeks.size());
  return fmt::format(
      "bill {:.2f}, {:.2f} EUR, SLA {:.2f}, {:.1f} kWh, contention {:.3f} %, {:.0f} disasters, {:.0f} moves, {:.2f} "
      "hosts on, slowest decision {:.0f} ms",
      bill_of(weeks, weeks.size()), mean.cost_eur, mean.sla_eur, mean.energy_kwh, 100 * mean.contention_share,
      mean.disasters * static_cast<double>(weeks.size()), mean.moves, mean.hosts_on, mean.slowest_s * 1e3);
}

Result<Results> Results::open(const std::string& path) {
  Results results;
  if (path.empty()) return results;
  std::ifstream in(path);
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    try {
      results.known_[{json.at("set").get<std::string>(), json.at("seed").get<std::uint64_t>()}] =
          json.at("week").get<Week>();
    } catch (const nlohmann::json::exception&) {
      return Error{ErrorCode::kCorrupt, fmt::format("{}:{}: no week of a search", path, number)};
    }
  }
  results.file_.open(path, std::ios::app);
  if (!results.file_) return Error{ErrorCode::kUnavailable, path + " cannot be written"};
  return results;
}

std::vector<Week> Results::of(const std::vector<SeededWorkload>& weeks, const Setup& setup) {
  const std::string set = describe(setup);
  std::map<std::uint64_t, std::future<Week>> running;
  for (const SeededWorkload& week : weeks) {
    if (known_.contains({set, week.seed})) continue;
    running[week.seed] =
        std::async(std::launch::async, [workload = week.workload, &setup] { return simulate(*workload, setup); });
  }
  for (auto& [seed, week] : running) {
    const Week result = week.get();
    known_[{set, seed}] = result;
    if (file_.is_open()) {
      file_ << nlohmann::json{{"set", set}, {"seed", seed}, {"week", result}}.dump() << std::endl;
    }
  }
  std::vector<Week> all;
  for (const SeededWorkload& week : weeks) all.push_back(known_.at({set, week.seed}));
  return all;
}

}  // namespace proteus::simulate::kvm
