#include <gtest/gtest.h>

#include "controller/ham/decision.h"
#include "controller/ham/score/plan_state.h"
#include "tests/controller/ham/cluster.h"

// What VMs wait for storage and network, in score and decision.

namespace proteus::ham {
namespace {

profile::HostCurve answers(double response, double error) {
  const std::vector<profile::ResponseCurve::Knot> knots{{0, response, 1e5, error}, {1e4, 2 * response, 1e5, error}};
  return {profile::ResponseCurve(knots), 1e6, "test"};
}

/// Makes requests one after the other, so that it waits all the time where each takes `takes_s`.
void lean_on_storage(VmState& vm, double requests_per_s, double takes_s) {
  vm.signature.seconds = 600;
  vm.signature.run_cores = 0.1;
  vm.signature.storage_requests_per_s = vm.signature.storage_lean_per_s = requests_per_s;
  vm.signature.storage_wait = requests_per_s * takes_s;
}

double performance(const Cluster& cluster, const Policy& policy) {
  const ClusterModel model(cluster.state, policy);
  return PlanState(model).total().performance;
}

/// Storage of h1 takes 2 ms, that of h2 0.3 ms; "db" makes 400 requests a second.
Cluster unequal_storage(double error_there) {
  Cluster cluster;
  cluster.host("h1", 4.0).fingerprint.storage = answers(0.002, 0.0001);
  cluster.host("h2", 4.0).fingerprint.storage = answers(0.0003, error_there);
  set_flat_cpu(cluster.vm("db", "h1", 1), cluster.state.now, 0.1);
  lean_on_storage(cluster.find("db"), 400, 0.002);
  set_flat_cpu(cluster.vm("web", "h1", 1), cluster.state.now, 0.1);
  cluster.ready();
  return cluster;
}

TEST(Devices, WaitingForStorageIsPriced) {
  Cluster cluster = unequal_storage(0.0001);
  Policy policy;
  const double with = performance(cluster, policy);
  policy.prices.storage_wait_per_core_hour = 0;
  const double without = performance(cluster, policy);
  EXPECT_NEAR(without - with, 50 * 400 * 0.002 * (1 + 400 / 1e4), 1e-6);
}

TEST(Devices, DroppedPacketsArePriced) {
  Cluster cluster;
  cluster.host("h1", 4.0).fingerprint.network = answers(0.001, 0);
  VmState& vm = cluster.vm("a", "h1", 1);
  set_flat_cpu(vm, cluster.state.now, 0.1);
  cluster.ready();
  Policy policy;
  const double before = performance(cluster, policy);
  cluster.state.vms[0].signature.packets_per_s = 1000;
  EXPECT_NEAR(before - performance(cluster, policy), 50 * 1000 * 0.001 * profile::kDropCost_s, 1e-6);
}

TEST(Devices, ExitsArePricedAtTheHostsUtilisation) {
  Cluster cluster;
  HostState& host = cluster.host("h1", 4.0);
  host.fingerprint.exits = {profile::ResponseCurve({{0, 10e-6, 1e5, 1e-6}, {1, 50e-6, 1e5, 1e-6}}), 1e6, "test"};
  host.cpu_overhead_cores = 1;
  VmState& vm = cluster.vm("a", "h1", 2);
  set_flat_cpu(vm, cluster.state.now, 1);
  cluster.ready();
  Policy policy;
  const double before = performance(cluster, policy);
  cluster.state.vms[0].signature.exits_per_s = 2000;
  EXPECT_NEAR(before - performance(cluster, policy), 50 * 2000 * 30e-6, 1e-6);
}

TEST(Devices, AnExitHeavyVmGoesWhereExitsAreCheap) {
  Cluster cluster;
  const auto exits = [](double takes_s) {
    return profile::HostCurve{profile::ResponseCurve({{0, takes_s, 1e6, takes_s / 50}}), 1e6, "test"};
  };
  cluster.host("h1", 4.0).fingerprint.exits = exits(100e-6);
  cluster.host("h2", 4.0).fingerprint.exits = exits(10e-6);
  VmState& vm = cluster.vm("router", "h1", 2);
  set_flat_cpu(vm, cluster.state.now, 0.5);
  vm.signature.exits_per_s = 3000;
  set_flat_cpu(cluster.vm("batch", "h1", 2), cluster.state.now, 0.5);
  cluster.ready();
  const Decision decision = decide(cluster.state, eager_policy(), 1);
  ASSERT_EQ(moves_of(decision.chosen), std::vector<std::string>{"router->h2"});
  EXPECT_NE(
      decision.chosen.actions[0].reason.find(
          "router leaves to user space 3000 times a second: that takes 0.01 ms on h2 (90 %: 0.0097 ms to 0.01 ms), "
          "here 0.1 ms"),
      std::string::npos)
      << decision.chosen.actions[0].reason;
  Policy indifferent = eager_policy();
  indifferent.prices.exit_wait_per_core_hour = 0;
  EXPECT_TRUE(decide(cluster.state, indifferent, 1).chosen.actions.empty());
}

TEST(Devices, StallingForMemoryIsPricedByWhatWouldBeInUse) {
  Cluster cluster;
  for (const char* name : {"h1", "h2"}) {
    HostState& host = cluster.host(name, 4.0, 16 * kGiB);
    host.fingerprint.memory = {profile::ResponseCurve({{0.5, 0, 1e5, 0}, {1.0, 0.4, 1e5, 0}}), 1e6, "test"};
  }
  VmState& vm = cluster.vm("a", "h1", 1, -1, 4 * kGiB);
  set_flat_cpu(vm, cluster.state.now, 0.1);
  set_memory(vm, cluster.state.now, 2 * kGiB);
  vm.memory_resident_bytes = 3 * kGiB;
  cluster.ready();
  // Of h1's 16 GiB 13 are in use: 10 by others than the VM, which may come to use 2.
  cluster.find_host("h1").memory_available_bytes = 3 * kGiB;
  Policy policy;
  const ClusterModel model(cluster.state, policy);
  PlanState plan(model);
  const double in_use = (10 + plan.load(0).devices.memory_used_bytes / kGiB) / 16;
  EXPECT_NEAR(in_use, 0.75, 0.01);
  EXPECT_NEAR(device_cost(policy, model.hosts[0], plan.load(0).devices).value, 100 * 0.8 * (in_use - 0.5), 1e-9);
  EXPECT_EQ(device_cost(policy, model.hosts[1], plan.load(1).devices).value, 0);
  const Evaluation away = plan.evaluate({0, {1, vm.allocation}});
  // On a host without VMs nobody waits.
  EXPECT_NEAR(away.delta.performance, 100 * 0.8 * (in_use - 0.5), 1e-6);
  const Decision decision = decide(cluster.state, eager_policy(), 1);
  ASSERT_EQ(moves_of(decision.chosen), std::vector<std::string>{"a->h2"});
  EXPECT_NE(decision.chosen.actions[0].reason.find(
                "for want of memory tasks stall 0 % of the time on h2 with it, 20 % on h1"),
            std::string::npos)
      << decision.chosen.actions[0].reason;
}

TEST(Devices, AnIoBoundVmGoesWhereStorageIsBetterAndTheReasonSaysSo) {
  const Cluster cluster = unequal_storage(0.0001);
  const Decision decision = decide(cluster.state, eager_policy(), 1);
  ASSERT_EQ(moves_of(decision.chosen), std::vector<std::string>{"db->h2"});
  EXPECT_NE(decision.chosen.actions[0].reason.find("db is I/O-bound: storage of h2 answers in 0.31 ms"),
            std::string::npos)
      << decision.chosen.actions[0].reason;
  EXPECT_NE(decision.chosen.actions[0].reason.find("here in 2.1 ms"), std::string::npos);
  Policy indifferent = eager_policy();
  indifferent.prices.storage_wait_per_core_hour = 0;
  EXPECT_TRUE(decide(cluster.state, indifferent, 1).chosen.actions.empty());
}

TEST(Devices, AVmWhosePacketsAreDroppedGoesWhereFewerAreAndTheReasonSaysSo) {
  Cluster cluster;
  cluster.host("h1", 4.0).fingerprint.network = answers(0.01, 0.0005);
  cluster.host("h2", 4.0).fingerprint.network = answers(0.0001, 0.00001);
  VmState& vm = cluster.vm("proxy", "h1", 2);
  set_flat_cpu(vm, cluster.state.now, 0.3);
  vm.signature.network_bytes_per_s = 5e6;
  vm.signature.packets_per_s = 2000;
  vm.signature.packets_dropped_per_s = 20;
  set_flat_cpu(cluster.vm("batch", "h1", 1), cluster.state.now, 0.1);
  cluster.ready();
  const Decision decision = decide(cluster.state, eager_policy(), 1);
  ASSERT_EQ(moves_of(decision.chosen), std::vector<std::string>{"proxy->h2"});
  const Action& move = decision.chosen.actions[0];
  EXPECT_NE(move.reason.find("proxy waits for dropped packets: h2 drops 0.2 of a thousand"), std::string::npos)
      << move.reason;
  EXPECT_NEAR(move.expected_drop_share.value(), 0.0002, 1e-9);
  EXPECT_FALSE(move.expected_storage_s.has_value());
}

TEST(Devices, AHostOfWhichLittleIsKnownDoesNotWin) {
  // Nothing seen of h2: its prior may be wrong by as much as it says, and more.
  const Cluster vague = unequal_storage(0.002);
  EXPECT_TRUE(decide(vague.state, eager_policy(), 1).chosen.actions.empty());
  const Cluster fair = unequal_storage(0.0005);
  EXPECT_EQ(moves_of(decide(fair.state, eager_policy(), 1).chosen), std::vector<std::string>{"db->h2"});
  Cluster none = unequal_storage(0);
  none.find_host("h2").fingerprint.storage = {profile::prior_of(profile::Resource::kStorage, {}).curve, 0, "assumed"};
  EXPECT_EQ(moves_of(decide(none.state, eager_policy(), 1).chosen).size(), 1u) << "a bare curve says no error";
}

TEST(Devices, CpuBoundAndIoBoundEachGoWhereTheyRunBetter) {
  Cluster cluster;
  cluster.host("fast-cpu", 4.0).fingerprint.storage = answers(0.005, 0.0002);
  cluster.host("fast-disk", 1.0).fingerprint.storage = answers(0.0005, 0.0001);
  set_flat_cpu(cluster.vm("db", "fast-cpu", 1), cluster.state.now, 0.1);
  lean_on_storage(cluster.find("db"), 150, 0.005);
  for (const char* name : {"render", "encode"}) {
    set_flat_cpu(cluster.vm(name, "fast-disk", 1), cluster.state.now, 0.8);
    cluster.find(name).signature.run_cores = 0.5;
  }
  cluster.ready();
  const Decision decision = decide(cluster.state, eager_policy(), 1);
  carry_out(cluster.state, decision.chosen.actions);
  EXPECT_EQ(cluster.find("db").host.value, "fast-disk") << decision.summary;
  EXPECT_EQ(cluster.find("render").host.value, "fast-cpu") << decision.summary;
  EXPECT_EQ(cluster.find("encode").host.value, "fast-cpu") << decision.summary;
  EXPECT_TRUE(decide(cluster.state, eager_policy(), 1).chosen.actions.empty()) << "and they stay";
}

TEST(Devices, EvaluationIsWhatApplyingDoesAndRestoringTakesBack) {
  Cluster cluster = unequal_storage(0.0004);
  cluster.host("h3", 4.0).fingerprint.storage = answers(0.001, 0.0003);
  lean_on_storage(cluster.find("web"), 50, 0.002);
  cluster.ready();
  const Policy policy;
  const ClusterModel model(cluster.state, policy);
  PlanState plan(model);
  const double at_first = plan.total().total();
  const Allocation as_is = cluster.state.vms[0].allocation;
  // To h2, on to h3, where it stays for a while, and home; web passes it.
  for (const Change& change : {Change{0, {1, as_is}}, Change{1, {1, as_is}}, Change{0, {2, as_is}}}) {
    const double before = plan.total().total();
    const Evaluation evaluation = plan.evaluate(change);
    EXPECT_GT(evaluation.doubt, 0);
    const PlanState::Saved saved = plan.apply_saved(change);
    EXPECT_NEAR(plan.total().total() - before, evaluation.gain(), 1e-9);
    plan.restore(saved);
    EXPECT_NEAR(plan.total().total(), before, 1e-9);
    plan.apply(change);
  }
  for (const std::size_t vm : {0, 1}) {
    const double before = plan.total().total();
    const Evaluation evaluation = plan.evaluate({vm, {0, as_is}});
    EXPECT_EQ(evaluation.doubt, 0);
    plan.apply({vm, {0, as_is}});
    EXPECT_NEAR(plan.total().total() - before, evaluation.gain(), 1e-9);
  }
  EXPECT_NEAR(plan.total().total(), at_first, 1e-9);
}

}  // namespace
}  // namespace proteus::ham
