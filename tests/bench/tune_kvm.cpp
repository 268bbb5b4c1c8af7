// Chooses the parameters of the KVM-cluster benchmark's policies `proteus-rules` and `proteus`: one parameter after the
// other takes the value of its row of the table below that makes the mean cost least, round after round until none
// changes. The week is `normal`, seeds 1 to 5, on the traces given: the development days.
//   tune_kvm DATA_DIR hour|forecast                     the search, a line for each set tried
//   tune_kvm DATA_DIR hour|forecast|true NAME=VALUE …   one set: the defaults but for what is named

#include <fmt/core.h>

#include <chrono>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controller/simulate/kvm/policies/forecast_source.h"
#include "controller/simulate/kvm/policies/ham_policy.h"
#include "controller/simulate/kvm/policies/outlook_sources.h"
#include "controller/simulate/kvm/run.h"

namespace proteus::simulate::kvm {
namespace {

constexpr std::uint64_t kSeeds = 5;

Nanoseconds hours(double count) {
  return std::chrono::seconds(static_cast<int>(count * 3600));
}

struct Parameter {
  std::string_view name;
  std::vector<double> values;
  void (*set)(HamOptions& options, double value);
};

const std::vector<Parameter>& parameters() {
  static const std::vector<Parameter> kAll = {
      {"action_eur", {0.03, 0.06, 0.1, 0.15}, [](HamOptions& o, double v) { o.action_eur = v; }},
      {"day_weight", {0.1, 0.3, 0.5}, [](HamOptions& o, double v) { o.day_weight = v; }},
      {"payback_h", {0.5, 1, 2, 4}, [](HamOptions& o, double v) { o.limits.payback = hours(v); }},
      {"sleep_payback_h", {4, 8, 12, 24}, [](HamOptions& o, double v) { o.limits.sleep_payback = hours(v); }},
      {"awake_min_h", {2, 6, 12, 24}, [](HamOptions& o, double v) { o.limits.awake_min = hours(v); }},
      {"cooldown_h", {0.25, 0.5, 1, 2}, [](HamOptions& o, double v) { o.limits.cooldown = hours(v); }},
      {"memory_headroom", {0.03, 0.07, 0.12}, [](HamOptions& o, double v) { o.limits.memory_headroom = v; }},
      {"memory_promise", {1.0, 1.04, 1.07, 1.09}, [](HamOptions& o, double v) { o.limits.memory_promise = v; }},
      {"cpu_headroom", {0, 0.05, 0.1, 0.2}, [](HamOptions& o, double v) { o.limits.cpu_headroom = v; }},
      {"slowdown_free", {0.02, 0.035, 0.05}, [](HamOptions& o, double v) { o.limits.slowdown_free = v; }},
  };
  return kAll;
}

std::unique_ptr<OutlookSource> source_of(std::string_view name, const Workload& workload) {
  if (name == "forecast") return std::make_unique<ForecastSource>(ForecastSource::Weights{});
  if (name == "true") return std::make_unique<NextHour>(workload);
  return std::make_unique<LastHour>();
}

/// Mean cost over the seeds; prints it.
double try_out(const std::vector<Workload>& weeks, std::string_view source, const HamOptions& options,
               const std::string& what) {
  Metrics sum;
  double slowest_s = 0;
  std::string each;
  for (const Workload& week : weeks) {
    HamPolicy policy(source_of(source, week), options);
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
  fmt::print(
      "{}: {:.2f} EUR [{} ] SLA {:.2f}, {:.1f} kWh, contention {:.3f} %, {} disasters, {:.0f} moves, {:.2f} hosts on, "
      "guests short {:.0f} s, slowest decision {:.0f} ms\n",
      what, sum.cost_eur / n, each, sum.sla_eur / n, sum.energy_kwh / n, 100 * sum.contention_share / n, sum.disasters,
      sum.migrations / n, sum.mean_hosts_on / n, sum.guest_swap_vm_s / n, slowest_s * 1e3);
  std::fflush(stdout);
  return sum.cost_eur / n;
}

void search(const std::vector<Workload>& weeks, std::string_view source) {
  HamOptions best = default_ham_options();
  double least = try_out(weeks, source, best, "defaults");
  for (bool better = true; better;) {
    better = false;
    for (const Parameter& parameter : parameters()) {
      const HamOptions base = best;
      for (const double value : parameter.values) {
        HamOptions options = base;
        parameter.set(options, value);
        const double cost = try_out(weeks, source, options, fmt::format("{}={}", parameter.name, value));
        if (cost >= least) continue;
        least = cost;
        best = options;
        better = true;
      }
    }
  }
}

int tune(const std::vector<std::string>& arguments) {
  if (arguments.size() < 2) {
    fmt::print(stderr, "usage: tune_kvm DATA_DIR hour|forecast|true [NAME=VALUE …]\n");
    return 2;
  }
  const Result<Traces> traces = read_traces(arguments[0]);
  if (!traces) {
    fmt::print(stderr, "tune_kvm: {}\n", traces.error().message);
    return 1;
  }
  std::vector<Workload> weeks;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) weeks.push_back(*generate(*traces, "normal", seed));
  if (arguments.size() == 2) {
    search(weeks, arguments[1]);
    return 0;
  }
  HamOptions options = default_ham_options();
  std::string what;
  for (auto it = arguments.begin() + 2; it != arguments.end(); ++it) {
    what += (what.empty() ? "" : " ") + *it;
    const auto equals = it->find('=');
    for (const Parameter& parameter : parameters()) {
      if (equals != std::string::npos && parameter.name == it->substr(0, equals)) {
        parameter.set(options, std::stod(it->substr(equals + 1)));
      }
    }
  }
  try_out(weeks, arguments[1], options, what);
  return 0;
}

}  // namespace
}  // namespace proteus::simulate::kvm

int main(int argc, char** argv) {
  return proteus::simulate::kvm::tune({argv + 1, argv + argc});
}
