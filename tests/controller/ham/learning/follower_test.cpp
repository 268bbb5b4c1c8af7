#include "controller/ham/learning/follower.h"

#include <gtest/gtest.h>

#include "controller/ham/learning/agent.h"
#include "controller/ham/learning/features.h"
#include "tests/controller/ham/cluster.h"

namespace proteus::ham::learning {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr double kHorizon_s = 600;

/// h1 has more to do than it can, h2 nothing, h3 something of its own.
class FollowerTest : public testing::Test {
 protected:
  FollowerTest() {
    for (const char* host : {"h1", "h2", "h3"}) cluster_.host(host, 4);
    for (const char* vm : {"a", "b", "c"}) cluster_.vm(vm, "h1", 2);
    cluster_.vm("d", "h3", 2);
    cluster_.ready();
    for (VmState& vm : cluster_.state.vms) set_flat_cpu(vm, cluster_.state.now, 1.8);
    for (VmState& vm : cluster_.state.vms) vm.cpu_used_cores = vm.cpu_demand_cores;
    move_.id = 1;
    move_.vm = VmId("c");
    move_.host = HostId("h1");
    move_.operation = Migrate{HostId("h2"), "", "", 0, 0, false, false};
    move_.learned = Note{};
    move_.learned->horizon = from_seconds(kHorizon_s);
    move_.learned->scale = 1;
    move_.learned->cost = 3;
  }

  void begin() {
    follower_.observe(state(), policy_);
    follower_.began(move_, 7, state());
    follower_.sent(move_, 7, state().now);
  }
  void arrive() {
    cluster_.find("c").host = HostId("h2");
    follower_.ended(move_.id, true, state().now, std::nullopt);
  }
  std::vector<Realised> pass(Nanoseconds time) {
    std::vector<Realised> all;
    for (Nanoseconds gone{0}; gone < time; gone += seconds(1)) {
      cluster_.state.now += seconds(1);
      for (Realised& one : follower_.observe(state(), policy_)) all.push_back(std::move(one));
    }
    return all;
  }
  /// What the score says of hosts h1 and h2 as they were before, at the demand that there is.
  double modelled() const {
    ClusterState before = cluster_.state;
    for (VmState& vm : before.vms) {
      if (vm.name == "c") vm.host = HostId("h1");
      vm.forecasts[forecast::Resource::kCpu] = flat_forecast(before.now, vm.cpu_demand_cores, 0, 0);
      vm.running = vm.name != "d";
    }
    const ClusterModel model(before, policy_);
    return -PlanState(model).total().performance;
  }
  const ClusterState& state() const { return cluster_.state; }

  Cluster cluster_;
  Policy policy_ = eager_policy();
  Follower follower_;
  Action move_;
};

TEST_F(FollowerTest, RewardsWhatWouldHaveBeenWaitedWithoutIt) {
  cluster_.find("d").running = false;  // nothing to calibrate on
  begin();
  arrive();
  EXPECT_TRUE(pass(minutes(9)).empty());
  const auto known = pass(minutes(2));
  ASSERT_EQ(known.size(), 1u);
  EXPECT_EQ(known[0].action, 1u);
  EXPECT_GT(modelled(), 100) << "three VMs of 1.8 cores on 4 cores wait a lot";
  EXPECT_NEAR(known[0].reward, modelled() - 3, 1e-6);
  EXPECT_NEAR(known[0].weight, 1, 0.02);
  EXPECT_EQ(follower_.following(), 0u);
}

TEST_F(FollowerTest, TakesOffWhatWasWaitedNevertheless) {
  cluster_.find("d").running = false;
  begin();
  arrive();
  VmState& moved = cluster_.find("c");
  moved.run_queue_wait_ratio = 0.5 / moved.cpu_used_cores;
  const auto known = pass(minutes(11));
  ASSERT_EQ(known.size(), 1u);
  EXPECT_NEAR(known[0].reward, modelled() - 3 - 0.5 * policy_.prices.contention_per_core_hour, 1e-6);
}

/// For a minute both hosts' VMs wait as they would have and one core more: the relief is late, and copying disturbed.
TEST_F(FollowerTest, ChargesWhatItDisturbedWhileItWasUnderWay) {
  cluster_.find("d").running = false;
  begin();
  VmState& neighbour = cluster_.find("a");
  const double as_ever = modelled();
  const double waits = as_ever / policy_.prices.contention_per_core_hour + 1;
  neighbour.run_queue_wait_ratio = waits / neighbour.cpu_used_cores;
  pass(minutes(1));
  arrive();
  neighbour.run_queue_wait_ratio = 0;
  const auto known = pass(minutes(11));
  ASSERT_EQ(known.size(), 1u);
  const double payback_h = to_seconds(policy_.limits.payback) / 3600;
  const double minute_h = 1.0 / 60;
  const double lost = (as_ever + policy_.prices.contention_per_core_hour) * minute_h / payback_h;
  EXPECT_NEAR(known[0].reward, as_ever - 3 - lost, 1e-6);
}

TEST_F(FollowerTest, AnotherActionOnItsHostsEndsIt) {
  Action other;
  other.id = 2;
  other.vm = VmId("a");
  other.host = HostId("h1");
  other.operation = SetCpuQuota{50000, 100000};
  for (const auto& [after, weight] : {std::pair{minutes(5), 0.5}, std::pair{minutes(2), 0.0}}) {
    begin();
    arrive();
    EXPECT_TRUE(pass(after).empty());
    follower_.sent(other, 8, state().now);
    const auto known = pass(minutes(1));
    ASSERT_EQ(known.size(), weight > 0 ? 1u : 0u);
    if (weight > 0) {
      EXPECT_NEAR(known[0].weight, weight, 0.02);
    }
    EXPECT_EQ(follower_.following(), 0u);
    cluster_.find("c").host = HostId("h1");
  }
}

TEST_F(FollowerTest, NeitherTellsAnythingIfTheyBeganTogether) {
  begin();
  Action other = move_;
  other.id = 2;
  other.vm = VmId("b");
  follower_.began(other, 7, state());
  follower_.sent(other, 7, state().now);
  arrive();
  follower_.ended(2, true, state().now, std::nullopt);
  EXPECT_TRUE(pass(minutes(12)).empty());
}

TEST_F(FollowerTest, WhatFailedOrCameLateTellsNothing) {
  begin();
  follower_.ended(1, false, state().now, std::nullopt);
  EXPECT_EQ(follower_.following(), 0u);
  follower_.began(move_, 8, state());
  pass(minutes(3));
  follower_.sent(move_, 8, state().now);
  EXPECT_EQ(follower_.following(), 0u) << "it had been decided on three minutes before";
}

TEST_F(FollowerTest, TakesOffWhatIsWaitedForStorageAndNetwork) {
  cluster_.find("d").running = false;
  begin();
  arrive();
  cluster_.find("c").stalls = {.memory = 0, .storage = 0.4, .network = 0.02};
  const auto known = pass(minutes(11));
  ASSERT_EQ(known.size(), 1u);
  const Prices& prices = policy_.prices;
  EXPECT_NEAR(known[0].reward,
              modelled() - 3 - 0.4 * prices.storage_wait_per_core_hour - 0.02 * prices.network_wait_per_core_hour,
              1e-6);
}

/// Its old host's storage takes longer than the new one's: without the move it would have gone on waiting for that.
TEST_F(FollowerTest, RewardsStorageThatIsWaitedForNoMore) {
  cluster_.find("d").running = false;
  const std::vector<profile::ResponseCurve::Knot> knots{{0, 0.002, 1e5, 0}, {1e4, 0.002, 1e5, 0}};
  cluster_.find_host("h1").fingerprint.storage = {profile::ResponseCurve(knots), 1e6, "test"};
  VmState& moved = cluster_.find("c");
  moved.signature.storage_requests_per_s = moved.signature.storage_lean_per_s = 400;
  begin();
  arrive();
  const auto known = pass(minutes(11));
  ASSERT_EQ(known.size(), 1u);
  EXPECT_NEAR(known[0].reward, modelled() - 3, 1e-6);
  moved.signature.storage_lean_per_s = 0;
  const double waited = 400 * 0.002 * policy_.prices.storage_wait_per_core_hour;
  EXPECT_NEAR(known[0].reward, modelled() + waited - 3, 1e-6);
}

TEST_F(FollowerTest, ChargesStallsForMemoryThatCameWithIt) {
  cluster_.find("d").running = false;
  for (const double before : {0.0, 0.3}) {
    follower_ = Follower();
    cluster_.find("a").stalls.memory = before;
    begin();
    pass(seconds(1));
    arrive();
    cluster_.find("c").stalls.memory = 0.3;
    cluster_.find("a").stalls.memory = 0;
    const auto known = pass(minutes(11));
    ASSERT_EQ(known.size(), 1u);
    // A second went by before it had arrived: that little was lost.
    EXPECT_NEAR(known[0].reward, modelled() - 3 - (0.3 - before) * policy_.prices.memory_wait_per_core_hour, 0.2);
    cluster_.find("c").host = HostId("h1");
    cluster_.find("c").stalls.memory = 0;
  }
}

/// Two vCPUs of a VM, worth 10 an hour each, got half of their work done on an empty host: whatever held them back.
TEST_F(FollowerTest, CountsTheWorkThatGotDoneWhereItHasAValue) {
  cluster_.find("d").running = false;
  for (VmState& vm : cluster_.state.vms) vm.served = Served{};
  ValueRule rule;
  rule.name = "work";
  rule.vms = {"*"};
  rule.per_vcpu_hour = 10;
  policy_.values = {rule};
  policy_.prices.contention_per_core_hour = policy_.prices.shortfall_per_core_hour = 0;
  move_.learned->utilisation = 2;
  begin();
  arrive();
  cluster_.find("c").served->performance = 0.5;
  auto known = pass(minutes(11));
  ASSERT_EQ(known.size(), 1u);
  const double free = policy_.limits.slowdown_free;
  const double slow = modelled();
  EXPECT_GT(slow, 60 * (1 - free - 4 / 5.4)) << "5.4 cores were wanted of h1's 4, by VMs worth 60 an hour";
  EXPECT_LT(slow, 60);
  EXPECT_NEAR(known[0].reward, slow - 20 * (1 - free - 0.5) + 2 - 3, 1e-3);
  cluster_.find("c").host = HostId("h1");
  cluster_.find("a").served.reset();
  begin();
  arrive();
  EXPECT_TRUE(pass(minutes(11)).empty()) << "nothing is made up where nothing was measured";
}

/// Under a policy that prices waiting as well as work, the score adds both up, and so does what is measured.
TEST_F(FollowerTest, CountsWaitingBesideWorkWhereBothHaveAPrice) {
  cluster_.find("d").running = false;
  for (VmState& vm : cluster_.state.vms) vm.served = Served{};
  ValueRule rule;
  rule.name = "work";
  rule.vms = {"*"};
  rule.per_vcpu_hour = 10;
  policy_.values = {rule};
  begin();
  arrive();
  VmState& moved = cluster_.find("c");
  moved.served->performance = 0.8;
  moved.run_queue_wait_ratio = 0.25;
  moved.cpu_used_cores = moved.cpu_demand_cores;
  const double waits = 0.25 * moved.cpu_used_cores * policy_.prices.contention_per_core_hour;
  const auto known = pass(minutes(11));
  ASSERT_EQ(known.size(), 1u);
  EXPECT_NEAR(known[0].reward, modelled() - waits - 20 * (1 - policy_.limits.slowdown_free - 0.8) - 3, 1e-3);
}

/// An agent that is stored while it follows an action, and read by another process, learns the same of it.
TEST_F(FollowerTest, ARestartForgetsNothing) {
  Agent agent;
  agent.observe(state(), policy_);
  agent.began(move_, 7, state());
  agent.sent(move_, 7, state().now);
  const std::uint64_t changes = agent.changes();
  const auto pass_both = [&](Agent& one, Agent* other, int from_s, int to_s) {
    std::vector<std::pair<double, double>> rewards;
    for (int s = from_s; s < to_s; ++s) {
      cluster_.state.now += seconds(1);
      const auto known = one.observe(state(), policy_);
      if (other == nullptr) continue;
      const auto again = other->observe(state(), policy_);
      EXPECT_EQ(known.size(), again.size());
      if (!known.empty()) rewards.emplace_back(known[0].realised, again.at(0).realised);
    }
    return rewards;
  };
  Agent open;
  ASSERT_TRUE(open.restore(agent.save()));
  EXPECT_EQ(open.follower().following(), 1u);
  open.keep_open({1});
  EXPECT_EQ(open.follower().following(), 1u);
  open.keep_open({});
  EXPECT_EQ(open.follower().following(), 0u) << "nobody will tell its end";

  cluster_.find("c").host = HostId("h2");
  agent.ended(1, true, state().now, std::nullopt);
  EXPECT_GT(agent.changes(), changes);
  pass_both(agent, nullptr, 0, 200);
  Agent again;
  ASSERT_TRUE(again.restore(agent.save()));
  again.keep_open({});
  EXPECT_EQ(again.save(), agent.save());
  EXPECT_EQ(again.follower().following(), 1u);
  const auto rewards = pass_both(agent, &again, 200, 700);
  ASSERT_EQ(rewards.size(), 1u);
  EXPECT_EQ(rewards[0].first, rewards[0].second);
  EXPECT_EQ(again.save(), agent.save());
  again.begin_elsewhere();
  EXPECT_EQ(again.model().coefficients(), agent.model().coefficients());
}

TEST_F(FollowerTest, LearnsHowFarTheFormulasAreOff) {
  EXPECT_EQ(follower_.calibration(), 1);
  ClusterState alone;
  alone.now = state().now;
  alone.hosts = {cluster_.find_host("h3")};
  VmState& vm = alone.vms.emplace_back(cluster_.find("d"));
  vm.cpu_demand_cores = vm.cpu_used_cores = 1.9;
  vm.host = HostId("h3");
  vm.allocation.vcpus = 4;
  const ClusterModel model(alone, policy_);
  const double says = waiting_cores(model.hosts[0], 4, 1.9).value;
  ASSERT_GT(says, 0);
  vm.run_queue_wait_ratio = 3 * says / vm.cpu_used_cores;
  for (int i = 0; i < 20'000; ++i) {
    alone.now += seconds(60);
    follower_.observe(alone, policy_);
  }
  EXPECT_NEAR(follower_.calibration(), 3, 0.05);
}

TEST(Describe, TellsWhatTheChangeIsAbout) {
  Cluster cluster;
  cluster.host("h1", 4);
  cluster.host("h2", 8);
  for (const char* name : {"a", "b", "c"}) cluster.vm(name, "h1", 2);
  VmState& limited = cluster.vm("q", "h2", 2, 0.4);
  set_flat_cpu(limited, cluster.state.now, 0.9);
  for (const char* name : {"a", "b", "c"}) set_flat_cpu(cluster.find(name), cluster.state.now, 1.8);
  const ClusterState& state = cluster.ready();
  const Policy policy = eager_policy();
  const ClusterModel model(state, policy);
  const PlanState plan(model);

  const Change move{0, {1, state.vms[0].allocation}};
  const auto moved = describe(plan, move, plan.evaluate(move));
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->kind, Kind::kMigrate);
  EXPECT_EQ(moved->features[2], 1);
  EXPECT_GT(moved->features[5], 0) << "it relieves h1";
  EXPECT_NEAR(moved->features[8], 5.4 / 4, 0.01);
  EXPECT_LT(moved->features[9], 0.6);
  EXPECT_NEAR(
      moved->predicted,
      plan.evaluate(move).delta.performance - plan.evaluate(move).delta.cost - plan.evaluate(move).delta.latency, 1e-6);
  EXPECT_GT(moved->copied_bytes, 0);

  const auto q = static_cast<std::size_t>(state.find_vm(VmId("q")) - state.vms.data());
  Allocation more = state.vms[q].allocation;
  more.cpu_quota_us = 100000;
  const Change raise{q, {1, more}};
  const auto raised = describe(plan, raise, plan.evaluate(raise));
  ASSERT_TRUE(raised);
  EXPECT_EQ(raised->kind, Kind::kRaise);
  EXPECT_EQ(raised->features[0], 1);
  EXPECT_GT(raised->features[3], 0.5);
  EXPECT_EQ(raised->features[11], 0);
  Allocation less = state.vms[q].allocation;
  less.cpu_quota_us = 10000;
  EXPECT_EQ(describe(plan, {q, {1, less}}, plan.evaluate({q, {1, less}}))->kind, Kind::kLower);

  Allocation memory = state.vms[q].allocation;
  memory.memory_bytes /= 2;
  EXPECT_FALSE(describe(plan, {q, {1, memory}}, plan.evaluate({q, {1, memory}})))
      << "nothing of it shows in CPU waiting";
}

}  // namespace
}  // namespace proteus::ham::learning
