#include "tests/controller/ham/exact/step_solver.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <random>

#include "controller/ham/score/scenarios.h"
#include "tests/controller/ham/cluster.h"

namespace proteus::ham {
namespace {

constexpr std::size_t kHosts = 3;
constexpr std::size_t kVms = 7;

/// Three hosts, the last one asleep in half of the cases, and seven VMs whose work has a value, one of them pinned, two
/// that belong together and two that must not be.
struct StepCase {
  Cluster cluster;
  Policy policy;
  explicit StepCase(unsigned seed) {
    std::mt19937 random(seed);
    const auto uniform = [&](double from, double to) {
      return from + (to - from) * static_cast<double>(random()) / 4294967296.0;
    };
    for (std::size_t h = 0; h < kHosts; ++h) {
      HostState& host = cluster.host("h" + std::to_string(h), h == 2 ? 6 : 4, 8 * kGiB);
      host.fingerprint.run_queue_wait = knee_curve();
      host.fingerprint.evidence_s = 1e6;
      host.core_speed = h == 2 ? 1.2 : 1;
      host.idle_watts = 60;
      host.peak_watts = uniform(100, 200);
      host.asleep = h == 2 && seed % 2 == 0;
      host.fresh = host.commandable = !host.asleep;
    }
    for (std::size_t v = 0; v < kVms; ++v) {
      const std::string host = "h" + std::to_string(random() % (seed % 2 == 0 ? 2 : 3));
      VmState& vm = cluster.vm("v" + std::to_string(v), host, 1 + static_cast<int>(random() % 3), -1, kGiB);
      set_flat_cpu(vm, cluster.state.now, uniform(0.1, 1));
      if (v == 0) vm.unmovable = "it is pinned";
    }
    cluster.ready();
    auto paths = std::make_shared<Scenarios>();
    paths->reset(kVms, 2, 3);
    for (float& cores : paths->cpu_cores) cores = static_cast<float>(uniform(0.1, 1.6));
    cluster.state.scenarios = paths;

    policy = eager_policy();
    policy.strategies.consolidate = true;
    policy.prices.contention_per_core_hour = policy.prices.shortfall_per_core_hour = 0;
    policy.prices.memory_shortage_per_gib_hour = policy.prices.capacity_per_core_hour = 0;
    policy.prices.imbalance_per_host_hour = policy.prices.migration_per_gib = 0;
    policy.prices.downtime_per_second = 0;
    policy.prices.action_fixed = 0.002;
    policy.prices.energy_per_kwh = 0.3;
    policy.prices.waiting_per_vm_hour = 0.01;
    policy.limits.gain_min = 0;
    policy.limits.gain_floor = 0.001;
    policy.limits.payback = std::chrono::hours(1);
    policy.limits.sleep_payback = std::chrono::hours(2);
    ValueRule value;
    value.name = "work";
    value.vms = {"*"};
    value.per_vcpu_hour = 0.05;
    policy.values = {value};
    AffinityRule pair;
    pair.name = "pair";
    pair.vms = {"v1", "v2"};
    pair.hard = false;
    pair.price_per_hour = 0.004;
    AffinityRule apart;
    apart.name = "apart";
    apart.vms = {"v3", "v4"};
    apart.apart = true;
    policy.affinity = {pair, apart};
  }
};

/// Each placement that the constraints allow: 2,187 at most.
double least_of_all(StepCosts& costs, const std::vector<std::size_t>& home) {
  double least = costs.total(home);
  std::vector<std::size_t> hosts(kVms);
  for (std::size_t number = 0; number < static_cast<std::size_t>(std::pow(kHosts, kVms)); ++number) {
    std::vector<VmSet> sets(kHosts);
    bool allowed = true;
    for (std::size_t v = 0, rest = number; v < kVms; ++v, rest /= kHosts) {
      hosts[v] = rest % kHosts;
      sets[hosts[v]] |= one(v);
      const bool moves = hosts[v] != home[v];
      allowed = allowed && (!moves || ((costs.movable() & one(v)) != 0 && costs.may_take(hosts[v])));
    }
    for (std::size_t h = 0; h < kHosts; ++h) allowed = allowed && costs.allowed(h, sets[h]);
    if (allowed) least = std::min(least, costs.total(hosts));
  }
  return least;
}

TEST(StepSolver, FindsTheBestOfAllPlacements) {
  int better = 0;
  for (unsigned seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    const StepCase test(seed);
    const ClusterModel model(test.cluster.state, test.policy);
    std::vector<std::size_t> home;
    for (const VmModel& vm : model.vms) home.push_back(vm.host);
    StepCosts costs(model);
    const double least = least_of_all(costs, home);
    const StepResult result = solve_step(costs, home, 1'000'000);
    EXPECT_NEAR(result.optimum, least, 1e-9);
    EXPECT_TRUE(result.proven());
    EXPECT_NEAR(costs.total(result.hosts), result.optimum, 1e-12);
    EXPECT_LE(result.bound_broken, 1e-6);  // rounding
    better += static_cast<int>(result.optimum < result.known - 1e-6);
  }
  EXPECT_GE(better, 10);  // else the cases would show nothing
}

TEST(StepSolver, ScoresAsTheSearchDoes) {
  for (unsigned seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    const StepCase test(seed);
    const ClusterModel model(test.cluster.state, test.policy);
    StepCosts costs(model);
    std::vector<std::size_t> hosts;
    for (const VmModel& vm : model.vms) hosts.push_back(vm.host);
    PlanState plan(model);
    const double before = plan.total().total() + costs.bare_total(hosts);
    for (const std::size_t v : {1, 3, 5}) {
      hosts[v] = (hosts[v] + 1) % kHosts;
      plan.apply({v, {hosts[v], plan.placement(v).allocation}});
      EXPECT_NEAR(plan.total().total() + costs.bare_total(hosts), before, 1e-6);
    }
  }
}

TEST(StepSolver, GivesUpWithABoundThatHolds) {
  const StepCase test(3);
  const ClusterModel model(test.cluster.state, test.policy);
  std::vector<std::size_t> home;
  for (const VmModel& vm : model.vms) home.push_back(vm.host);
  StepCosts costs(model);
  const StepResult cut = solve_step(costs, home, 0);
  StepCosts fresh(model);
  const StepResult whole = solve_step(fresh, home, 1'000'000);
  EXPECT_LE(cut.bound, whole.optimum + 1e-9);
  EXPECT_GE(cut.optimum, whole.optimum - 1e-9);
}

}  // namespace
}  // namespace proteus::ham
