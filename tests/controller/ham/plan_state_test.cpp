#include "controller/ham/score/plan_state.h"

#include <gtest/gtest.h>

#include "tests/controller/ham/cluster.h"

namespace proteus::ham {
namespace {

/// Two hosts, a and b on the small one, c on the big one.
Cluster two_hosts() {
  Cluster cluster;
  cluster.host("h1", 1.0);
  cluster.host("h2", 4.0);
  for (const auto& [name, host] : {std::pair("a", "h1"), std::pair("b", "h1"), std::pair("c", "h2")}) {
    set_flat_cpu(cluster.vm(name, host, 1), cluster.state.now, 0.6);
  }
  cluster.ready();
  return cluster;
}

// One flat VM of 0.6 ± on a 1-core host with the knee curve, worked out by hand.
TEST(PlanState, PerformanceIsTheCurveReadAtTheForecast) {
  Cluster cluster;
  cluster.host("h1", 1.0);
  set_flat_cpu(cluster.vm("a", "h1", 1), cluster.state.now, 0.6);
  cluster.ready();
  const Policy policy;
  const ClusterModel model(cluster.state, policy);
  const PlanState plan(model);
  // wait ratio at u < 0.8 is u·0.05/0.8; contention = cores · ratio.
  const auto contention = [](double u) { return u * u * 0.0625; };
  const double expected = 100 * (0.70 * contention(0.60) + 0.245 * contention(0.62) + 0.055 * contention(0.64));
  EXPECT_NEAR(plan.total().performance, -expected, 1e-3);
  EXPECT_NEAR(plan.total().utilisation, -1.0 * (1.0 - 0.64), 1e-9);
  EXPECT_EQ(plan.total().cost, 0);
  EXPECT_EQ(plan.total().latency, 0);
}

TEST(PlanState, DemandBeyondTheLimitIsUnserved) {
  Cluster cluster;
  cluster.host("h1", 100.0);
  set_cpu(cluster.vm("a", "h1", 1, 0.4), flat_forecast(cluster.state.now, 0.6, 0, 0));
  cluster.ready();
  const Policy policy;
  const ClusterModel model(cluster.state, policy);
  EXPECT_NEAR(PlanState(model).total().performance, -100 * 0.6 - 200 * 0.2, 0.02)
      << "its one vCPU never sleeps, and what exceeds the limit is not done";
}

TEST(PlanState, EvaluationIsWhatApplyingDoes) {
  Cluster cluster = two_hosts();
  Policy policy;
  AffinityRule rule;
  rule.name = "soft";
  rule.vms = {"a", "c"};
  rule.apart = true;
  rule.hard = false;
  policy.affinity.push_back(rule);
  const ClusterModel model(cluster.state, policy);
  PlanState plan(model);
  const std::vector<Change> changes = {
      {0, {1, cluster.state.vms[0].allocation}},
      {2, {0, cluster.state.vms[2].allocation}},
      {1, {1, cluster.state.vms[1].allocation}},
  };
  for (const Change& change : changes) {
    const ScoreTerms before = plan.total();
    const Evaluation evaluation = plan.evaluate(change);
    plan.apply(change);
    const ScoreTerms after = plan.total();
    EXPECT_NEAR(after.performance - before.performance, evaluation.delta.performance, 1e-9);
    EXPECT_NEAR(after.utilisation - before.utilisation, evaluation.delta.utilisation, 1e-9);
    EXPECT_NEAR(after.cost - before.cost, evaluation.delta.cost, 1e-9);
    EXPECT_NEAR(after.latency - before.latency, evaluation.delta.latency, 1e-9);
  }
}

TEST(PlanState, RestoreTakesBackEverything) {
  Cluster cluster = two_hosts();
  const Policy policy;
  const ClusterModel model(cluster.state, policy);
  PlanState plan(model);
  const ScoreTerms before = plan.total();
  const PlanState::Saved saved = plan.apply_saved({0, {1, cluster.state.vms[0].allocation}});
  EXPECT_EQ(plan.migrations_planned(), 1);
  EXPECT_NE(plan.total(), before);
  plan.restore(saved);
  EXPECT_EQ(plan.total(), before);
  EXPECT_EQ(plan.migrations_planned(), 0);
  EXPECT_EQ(plan.migrations_planned(0), 0);
  EXPECT_EQ(plan.memory_free_bytes(1), cluster.state.hosts[1].memory_available_bytes);
}

TEST(PlanState, AStopIsPaidAndBookedAndTakenBack) {
  Cluster cluster = two_hosts();
  cluster.host("h3", 4.0);
  cluster.ready();
  const Policy policy;
  const ClusterModel model(cluster.state, policy);
  PlanState plan(model);
  const ScoreTerms start = plan.total();
  const Allocation allocation = cluster.state.vms[0].allocation;
  PlanState straight(model);
  straight.apply({0, {2, allocation}});

  plan.apply({0, {1, allocation}});
  const ScoreTerms before = plan.total();
  const Evaluation evaluation = plan.evaluate({0, {2, allocation}});
  const PlanState::Saved saved = plan.apply_saved({0, {2, allocation}});
  EXPECT_NEAR(plan.total().total(), before.total() + evaluation.gain(), 1e-9);
  EXPECT_EQ(plan.stops(0), std::vector<std::size_t>{1});
  EXPECT_EQ(plan.migrations_of(0), 2);
  EXPECT_EQ(plan.migrations_planned(), 2);
  EXPECT_EQ(plan.migrations_planned(1), 2) << "in and out";
  EXPECT_NEAR(plan.total().cost, 2 * straight.total().cost, 1e-9);
  EXPECT_EQ(plan.total().performance, straight.total().performance);
  EXPECT_EQ(plan.memory_free_bytes(1), straight.memory_free_bytes(1)) << "it has gone from there again";

  plan.restore(saved);
  EXPECT_EQ(plan.total(), before);
  EXPECT_EQ(plan.migrations_planned(), 1);
  plan.apply({0, {2, allocation}});
  plan.apply({0, {0, allocation}});
  EXPECT_EQ(plan.total().cost, start.cost) << "home again: it never left";
  EXPECT_EQ(plan.migrations_planned(), 0);
  EXPECT_EQ(plan.migrations_planned(1), 0);
  plan.rewind();
  EXPECT_EQ(plan.total(), start);
}

// "a->h3, then d->h1" was priced as if d left its full host at once.
TEST(PlanState, WhoeverNeedsRoomWaitsUntilItIsThere) {
  Cluster cluster = two_hosts();
  cluster.host("h3", 4.0);
  cluster.ready();
  Policy policy;
  policy.prices.downtime_per_second = 0;  // paid either way
  const ClusterModel model(cluster.state, policy);
  PlanState plan(model);
  const Change move{0, {1, cluster.state.vms[0].allocation}};  // a to h2
  const double at_once = plan.evaluate(move).delta.latency;
  plan.apply({2, {2, cluster.state.vms[2].allocation}});  // c leaves h2
  EXPECT_GT(plan.evaluate(move).delta.latency, 1.5 * at_once);
  plan.apply({2, {1, cluster.state.vms[2].allocation}});
  EXPECT_EQ(plan.evaluate(move).delta.latency, at_once);
}

TEST(PlanState, ASlowMigrationGainsLess) {
  Cluster cluster = two_hosts();
  Policy policy;
  const ClusterModel fast(cluster.state, policy);
  const double fast_latency = PlanState(fast).evaluate({0, {1, cluster.state.vms[0].allocation}}).delta.latency;
  policy.limits.migration_bandwidth_bytes_per_s = 4 * kMiB;
  const ClusterModel slow(cluster.state, policy);
  const double slow_latency = PlanState(slow).evaluate({0, {1, cluster.state.vms[0].allocation}}).delta.latency;
  EXPECT_GT(slow_latency, 5 * fast_latency);
}

TEST(PlanState, MemoryNearItsLimitIsAShortage) {
  Cluster cluster;
  cluster.host("h1", 4.0);
  VmState& vm = cluster.vm("a", "h1", 1, -1, kGiB);
  set_flat_cpu(vm, cluster.state.now, 0.1);
  set_memory(vm, cluster.state.now, kGiB);  // all of it used: a tenth of a GiB too little
  cluster.ready();
  const Policy policy;
  const ClusterModel model(cluster.state, policy);
  EXPECT_NEAR(PlanState(model).total().performance, -400 * 0.1, 1.0);
}

}  // namespace
}  // namespace proteus::ham
