// Compares policies on the KVM-cluster benchmark, seed by seed: cost, contention and moves of each, and what each costs
// more than the first one, with the interval in which the mean of that lies in 95 of 100 cases (paired, Student's t).
//   compare_kvm DATA_DIR SCENARIO FIRST LAST POLICY [POLICY …]     seeds FIRST to LAST

#include <fmt/core.h>

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "controller/simulate/kvm/policies/catalogue.h"
#include "controller/simulate/kvm/run.h"

namespace proteus::simulate::kvm {
namespace {

struct Interval {
  double mean = 0;
  double half_width = 0;
};

/// 97.5 % quantile of Student's t. Source: Hill, Algorithm 396 (1970), its expansion in 1/n (Fisher & Cornish).
double t_quantile(double freedom) {
  constexpr double z = 1.959964;
  const double z3 = z * z * z;
  const double z5 = z3 * z * z;
  const double z7 = z5 * z * z;
  return z + (z3 + z) / (4 * freedom) + (5 * z5 + 16 * z3 + 3 * z) / (96 * freedom * freedom) +
         (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * freedom * freedom * freedom);
}

Interval interval(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  Interval result;
  for (const double value : values) result.mean += value / n;
  double squares = 0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  if (n > 1) result.half_width = t_quantile(n - 1) * std::sqrt(squares / (n - 1) / n);
  return result;
}

int compare(const std::vector<std::string>& arguments) {
  if (arguments.size() < 5) {
    fmt::print(stderr, "usage: compare_kvm DATA_DIR SCENARIO FIRST LAST POLICY [POLICY …]\n");
    return 2;
  }
  const Result<Traces> traces = read_traces(arguments[0]);
  if (!traces) {
    fmt::print(stderr, "compare_kvm: {}\n", traces.error().message);
    return 1;
  }
  const std::uint64_t first = std::stoull(arguments[2]);
  const std::uint64_t last = std::stoull(arguments[3]);
  std::vector<double> reference;
  for (std::size_t p = 4; p < arguments.size(); ++p) {
    std::vector<double> costs;
    std::vector<double> differences;
    Metrics sum;
    for (std::uint64_t seed = first; seed <= last; ++seed) {
      const Result<Workload> generated = generate(*traces, arguments[1], seed);
      if (!generated) {
        fmt::print(stderr, "compare_kvm: {}\n", generated.error().message);
        return 2;
      }
      const Workload& week = *generated;
      const Result<std::unique_ptr<Policy>> policy = make_policy(arguments[p], week);
      if (!policy) {
        fmt::print(stderr, "compare_kvm: {}\n", policy.error().message);
        return 2;
      }
      const RunResult result = run(week, **policy);
      const Metrics& m = result.metrics;
      fmt::print(
          "{} seed {}: {:.2f} EUR, SLA {:.2f}, {:.1f} kWh, contention {:.3f} %, {} disasters, {} moves; a decision "
          "{:.1f} ms of CPU on the mean, {:.1f} at most\n",
          arguments[p], seed, m.cost_eur, m.sla_eur, m.energy_kwh, 100 * m.contention_share, m.disasters, m.migrations,
          1e3 * result.decision_cpu_s_mean, 1e3 * result.decision_cpu_s_max);
      std::fflush(stdout);
      costs.push_back(m.cost_eur);
      if (p > 4) differences.push_back(m.cost_eur - reference[costs.size() - 1]);
      sum.contention_share += m.contention_share;
      sum.migrations += m.migrations;
      sum.disasters += m.disasters;
    }
    if (p == 4) reference = costs;
    const auto n = static_cast<double>(costs.size());
    const Interval cost = interval(costs);
    fmt::print("{}: {:.2f} ± {:.2f} EUR, contention {:.3f} %, {} disasters, {:.0f} moves", arguments[p], cost.mean,
               cost.half_width, 100 * sum.contention_share / n, sum.disasters, sum.migrations / n);
    if (p > 4) {
      const Interval more = interval(differences);
      fmt::print("; against {}: {:+.2f} ± {:.2f} EUR", arguments[4], more.mean, more.half_width);
    }
    fmt::print("\n");
  }
  return 0;
}

}  // namespace
}  // namespace proteus::simulate::kvm

int main(int argc, char** argv) {
  return proteus::simulate::kvm::compare({argv + 1, argv + argc});
}
