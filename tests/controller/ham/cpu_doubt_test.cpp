#include <gtest/gtest.h>

#include <cstdio>

#include "controller/ham/decision.h"
#include "controller/ham/score/plan_state.h"
#include "tests/controller/ham/cluster.h"

// What a move may bring less than expected because the CPU's response curve of its target is uncertain.

namespace proteus::ham {
namespace {

constexpr double kDeviations = 1.28;

profile::ResponseCurve flat_curve(double response, double error) {
  return profile::ResponseCurve({{0, response, 1e5, error}, {2, response, 1e5, error}});
}

/// h1 lets its two VMs wait 0.3 s for each second that they run, h2 has none.
Cluster unequal_cpus(double response_there, double error_there, double error_here = 0) {
  Cluster cluster;
  cluster.host("h1", 2.0).fingerprint.run_queue_wait = flat_curve(0.3, error_here);
  cluster.host("h2", 2.0).fingerprint.run_queue_wait = flat_curve(response_there, error_there);
  for (const char* name : {"a", "b"}) {
    set_cpu(cluster.vm(name, "h1", 4), flat_forecast(cluster.state.now, 0.9, 0, 0));
    cluster.find(name).cpu_used_cores = cluster.find(name).cpu_demand_cores = 0.9;
  }
  cluster.ready();
  return cluster;
}

double doubt_of_moving_a(const Cluster& cluster, const Policy& policy, std::size_t to = 1) {
  const ClusterModel model(cluster.state, policy);
  return PlanState(model).evaluate({0, {to, cluster.state.vms[0].allocation}}).doubt;
}

TEST(CpuDoubt, IsWhatTheTargetMayBeWorseBy) {
  const Policy policy;
  const double price = policy.prices.contention_per_core_hour;
  EXPECT_NEAR(doubt_of_moving_a(unequal_cpus(0.02, 0.2), policy), kDeviations * price * 0.9 * 0.2, 1e-6);
  EXPECT_NEAR(doubt_of_moving_a(unequal_cpus(0.02, 100), policy), kDeviations * price * (4 - 0.9 - 0.9 * 0.02), 1e-6)
      << "no more than all of its vCPUs can wait";
  EXPECT_EQ(doubt_of_moving_a(unequal_cpus(0.02, 0), policy), 0);
  EXPECT_EQ(doubt_of_moving_a(unequal_cpus(0.02, 0.2), policy, 0), 0) << "where it is";
}

TEST(CpuDoubt, LeavesAloneWhatTheSourceIsRelievedOf) {
  EXPECT_EQ(doubt_of_moving_a(unequal_cpus(0.02, 0, 0.3), Policy()), 0);
}

TEST(CpuDoubt, OfOneCurveForBothHostsIsTheDifference) {
  Cluster cluster = unequal_cpus(0.02, 0.2);
  const profile::ResponseCurve rising({{0, 0.1, 1e5, 0.1}, {1, 0.5, 1e5, 0.5}});
  for (HostState& host : cluster.state.hosts) host.fingerprint.run_queue_wait = rising;
  // What it waits less on h1 outweighs what it waits on h2, however wrong the curve is.
  EXPECT_EQ(doubt_of_moving_a(cluster, Policy()), 0);
  cluster.find_host("h2").fingerprint.run_queue_wait = profile::ResponseCurve(rising.knots());
  EXPECT_GT(doubt_of_moving_a(cluster, Policy()), 1) << "a curve of its own";
}

TEST(CpuDoubt, AHostOfWhichLittleIsKnownDoesNotWin) {
  EXPECT_FALSE(decide(unequal_cpus(0.02, 0.01).state, eager_policy(), 1).chosen.actions.empty());
  EXPECT_TRUE(decide(unequal_cpus(0.02, 0.3).state, eager_policy(), 1).chosen.actions.empty());
}

TEST(CpuDoubt, WidensTheIntervalInTheReason) {
  const auto width = [](double error) {
    const Decision decision = decide(unequal_cpus(0.05, error).state, eager_policy(), 1);
    double low = -1;
    double high = -1;
    if (decision.chosen.actions.empty()) return -1.0;
    const std::string& reason = decision.chosen.actions[0].reason;
    const std::size_t at = reason.find("(90 %: ");
    if (at == std::string::npos || std::sscanf(reason.c_str() + at, "(90 %%: %lf to %lf", &low, &high) != 2)
      return -1.0;
    return high - low;
  };
  EXPECT_GT(width(0), 0);
  EXPECT_GT(width(0.1), 1.5 * width(0));
}

TEST(CpuDoubt, CountsTheValueOfWork) {
  Policy policy;
  policy.limits.slowdown_free = 0;
  ValueRule& value = policy.values.emplace_back();
  value.name = "all";
  value.vms = {"*"};
  value.per_vcpu_hour = 10;
  policy.prices.contention_per_core_hour = 0;
  const double performance = 1 / 1.05;
  EXPECT_NEAR(doubt_of_moving_a(unequal_cpus(0.05, 0.1), policy), kDeviations * 4 * 10 * performance * 0.1 / 1.05,
              1e-4);
  EXPECT_EQ(doubt_of_moving_a(unequal_cpus(0.05, 0), policy), 0);
}

}  // namespace
}  // namespace proteus::ham
