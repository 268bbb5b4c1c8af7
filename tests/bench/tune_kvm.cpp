// Chooses the parameters of the policy `proteus-rules` on the KVM-cluster benchmark: one parameter after the other
// takes the value of its row of the table below that makes the mean bill least, round after round until none changes. A
// bill is the cost, and what contention beyond 0.30 % and moves beyond 150 a week would cost at the table's prices.
// Weeks: `normal`, seeds 11 to 15, on the traces given, which are not the weeks that figures are quoted of.
//   tune_kvm DATA_DIR                              the search, a line for each set tried
//   tune_kvm DATA_DIR FIRST LAST [NAME=VALUE …]    one set, on seeds FIRST to LAST: the defaults but for what is named

#include <fmt/core.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controller/simulate/kvm/policies/ham_policy.h"
#include "controller/simulate/kvm/policies/outlook_sources.h"
#include "controller/simulate/kvm/run.h"

namespace proteus::simulate::kvm {
namespace {

constexpr std::uint64_t kFirstSeed = 11;
constexpr std::uint64_t kLastSeed = 15;
constexpr double kContentionMax = 0.0030;
constexpr double kContentionPrice = 1e4;  ///< EUR for all of the VMs' time
constexpr double kMovesMax = 150;
constexpr double kMovePrice = 0.05;  ///< EUR

struct Setup {
  HamOptions ham;
  RecentWeights recent;
};

struct Parameter {
  std::string_view name;
  std::vector<double> values;
  void (*set)(Setup& setup, double value);
};

const std::vector<Parameter>& parameters() {
  static const auto hours = [](double h) { return from_seconds(h * 3600); };
  static const std::vector<Parameter> kAll = {
      {"payback_h", {3, 6, 12}, [](Setup& s, double v) { s.ham.limits.payback = hours(v); }},
      {"gain_floor", {0.05, 0.08, 0.12, 0.2}, [](Setup& s, double v) { s.ham.limits.gain_floor = v; }},
      {"emptying_eur", {0, 0.005, 0.01, 0.02}, [](Setup& s, double v) { s.ham.limits.emptying_floor = v; }},
      {"gain_min", {0, 0.1, 0.3}, [](Setup& s, double v) { s.ham.limits.gain_min = v; }},
      {"cooldown_h", {0, 0.5, 2}, [](Setup& s, double v) { s.ham.limits.cooldown = hours(v); }},
      {"waiting_eur", {0.024, 0.048, 0.096}, [](Setup& s, double v) { s.ham.prices.waiting_per_vm_hour = v; }},
      {"shortage_eur", {3, 10, 30}, [](Setup& s, double v) { s.ham.prices.memory_shortage_per_gib_hour = v; }},
      {"sleep_payback_h", {6, 12, 24}, [](Setup& s, double v) { s.ham.limits.sleep_payback = hours(v); }},
      {"awake_h", {6, 12, 24}, [](Setup& s, double v) { s.ham.limits.awake_min = hours(v); }},
      {"memory_headroom", {0, 0.07, 0.12}, [](Setup& s, double v) { s.ham.limits.memory_headroom = v; }},
      {"memory_comfort", {0.75, 0.85}, [](Setup& s, double v) { s.ham.limits.memory_comfort = v; }},
      {"crowding_eur", {0.15, 0.3, 0.5}, [](Setup& s, double v) { s.ham.prices.crowding_per_host_hour = v; }},
      {"memory_promise", {0.97, 1, 1.05, 1.08}, [](Setup& s, double v) { s.ham.limits.memory_promise = v; }},
      {"memory_bursts", {0, 2, 3, 5}, [](Setup& s, double v) { s.ham.limits.memory_bursts = static_cast<int>(v); }},
      {"now", {0.2, 0.4, 0.6}, [](Setup& s, double v) { s.recent.now = v; }},
      {"hours", {0, 0.15, 0.3}, [](Setup& s, double v) { s.recent.hours = v; }},
      {"season", {0, 0.25, 0.4}, [](Setup& s, double v) { s.recent.season = v; }},
      {"week", {0.1, 0.2, 0.35}, [](Setup& s, double v) { s.recent.week = v; }},
  };
  return kAll;
}

/// Mean bill over the weeks; prints it.
double try_out(const std::vector<Workload>& weeks, const Setup& setup, const std::string& what) {
  Metrics sum;
  double slowest_s = 0;
  std::string each;
  for (const Workload& week : weeks) {
    HamPolicy policy(std::make_unique<RecentPaths>(setup.recent), setup.ham);
    const RunResult result = run(week, policy);
    const Metrics& m = result.metrics;
    each += fmt::format(" {:.1f}", m.cost_eur);
    sum.cost_eur += m.cost_eur;
    sum.sla_eur += m.sla_eur;
    sum.energy_kwh += m.energy_kwh;
    sum.contention_share += m.contention_share;
    sum.disasters += m.disasters;
    sum.migrations += m.migrations;
    sum.mean_hosts_on += m.mean_hosts_on;
    sum.guest_swap_vm_s += m.guest_swap_vm_s;
    slowest_s = std::max(slowest_s, result.decision_cpu_s_max);
  }
  const auto n = static_cast<double>(weeks.size());
  const double moves = sum.migrations / n;
  const double bill = sum.cost_eur / n + kContentionPrice * std::max(0.0, sum.contention_share / n - kContentionMax) +
                      kMovePrice * std::max(0.0, moves - kMovesMax);
  fmt::print(
      "{}: bill {:.2f}, {:.2f} EUR [{} ] SLA {:.2f}, {:.1f} kWh, contention {:.3f} %, {} disasters, {:.0f} moves, "
      "{:.2f} hosts on, guests short {:.0f} s, slowest decision {:.0f} ms\n",
      what, bill, sum.cost_eur / n, each, sum.sla_eur / n, sum.energy_kwh / n, 100 * sum.contention_share / n,
      sum.disasters, moves, sum.mean_hosts_on / n, sum.guest_swap_vm_s / n, slowest_s * 1e3);
  std::fflush(stdout);
  return bill;
}

void search(const std::vector<Workload>& weeks) {
  Setup best;
  double least = try_out(weeks, best, "defaults");
  for (bool better = true; better;) {
    better = false;
    for (const Parameter& parameter : parameters()) {
      const Setup base = best;
      for (const double value : parameter.values) {
        Setup setup = base;
        parameter.set(setup, value);
        const double bill = try_out(weeks, setup, fmt::format("{}={}", parameter.name, value));
        if (bill >= least) continue;
        least = bill;
        best = setup;
        better = true;
      }
    }
  }
}

bool set(Setup& setup, std::string_view text) {
  const auto equals = text.find('=');
  for (const Parameter& parameter : parameters()) {
    if (equals == std::string_view::npos || parameter.name != text.substr(0, equals)) continue;
    parameter.set(setup, std::stod(std::string(text.substr(equals + 1))));
    return true;
  }
  fmt::print(stderr, "tune_kvm: no parameter '{}'\n", text);
  return false;
}

int tune(const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments.size() == 2) {
    fmt::print(stderr, "usage: tune_kvm DATA_DIR [FIRST LAST [NAME=VALUE …]]\n");
    return 2;
  }
  const Result<Traces> traces = read_traces(arguments[0]);
  if (!traces) {
    fmt::print(stderr, "tune_kvm: {}\n", traces.error().message);
    return 1;
  }
  const bool all = arguments.size() == 1;
  const std::uint64_t first = all ? kFirstSeed : std::stoull(arguments[1]);
  const std::uint64_t last = all ? kLastSeed : std::stoull(arguments[2]);
  std::vector<Workload> weeks;
  for (std::uint64_t seed = first; seed <= last; ++seed) weeks.push_back(*generate(*traces, "normal", seed));
  if (all) {
    search(weeks);
    return 0;
  }
  Setup setup;
  std::string what = fmt::format("seeds {} to {}", first, last);
  for (auto it = arguments.begin() + 3; it != arguments.end(); ++it) {
    what += " " + *it;
    if (!set(setup, *it)) return 2;
  }
  try_out(weeks, setup, what);
  return 0;
}

}  // namespace
}  // namespace proteus::simulate::kvm

int main(int argc, char** argv) {
  return proteus::simulate::kvm::tune({argv + 1, argv + argc});
}
