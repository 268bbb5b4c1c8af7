// Compares policies on the KVM-cluster benchmark, seed by seed: cost, contention and moves of each, and what each costs
// more than the first one, with the interval in which the mean of that lies in 95 of 100 cases (paired, Student's t).
//   compare_kvm DATA_DIR SCENARIO FIRST LAST POLICY [POLICY …]     seeds FIRST to LAST

#include <fmt/core.h>

#include <cstdio>
#include <string>
#include <vector>

#include "controller/simulate/kvm/policies/catalogue.h"
#include "controller/simulate/kvm/run.h"
#include "tests/bench/interval.h"
#include "tests/bench/kvm_weeks.h"

namespace proteus::simulate::kvm {
namespace {

int compare(const std::vector<std::string>& arguments) {
  if (arguments.size() < 5) {
    fmt::print(stderr, "usage: compare_kvm DATA_DIR SCENARIO FIRST LAST POLICY [POLICY …]\n");
    return 2;
  }
  const Result<Weeks> weeks = read_weeks(arguments[0], arguments[1], arguments[2], arguments[3]);
  if (!weeks) {
    fmt::print(stderr, "compare_kvm: {}\n", weeks.error().message);
    return 1;
  }
  std::vector<double> reference;
  for (std::size_t p = 4; p < arguments.size(); ++p) {
    std::vector<double> costs;
    std::vector<double> differences;
    Metrics sum;
    for (const Workload& week : weeks->list) {
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
          arguments[p], weeks->first_seed + costs.size(), m.cost_eur, m.sla_eur, m.energy_kwh, 100 * m.contention_share,
          m.disasters, m.migrations, 1e3 * result.decision_cpu_s_mean, 1e3 * result.decision_cpu_s_max);
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
