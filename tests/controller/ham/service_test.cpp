#include "controller/ham/score/service.h"

#include <gtest/gtest.h>

#include <numeric>

#include "controller/ham/score/plan_state.h"
#include "tests/controller/ham/cluster.h"

namespace proteus::ham {
namespace {

ValueRule worth(double per_vcpu_hour) {
  ValueRule rule;
  rule.name = "work";
  rule.vms = {"*"};
  rule.per_vcpu_hour = per_vcpu_hour;
  return rule;
}

/// Only the value of work counts.
Policy value_policy() {
  Policy policy = eager_policy();
  policy.prices = {};
  policy.prices.contention_per_core_hour = 0;
  policy.prices.shortfall_per_core_hour = 0;
  policy.prices.memory_shortage_per_gib_hour = 0;
  policy.prices.capacity_per_core_hour = 0;
  policy.prices.imbalance_per_host_hour = 0;
  policy.limits.gain_min = 0;
  policy.limits.payback = std::chrono::hours(1);
  policy.values = {worth(100)};
  return policy;
}

/// As many paths as there are rows; each VM does the same in all ticks of a path.
void set_paths(ClusterState& state, const std::vector<std::vector<float>>& cores) {
  auto made = std::make_shared<Scenarios>();
  made->reset(state.vms.size(), 2, cores.size());
  for (std::size_t p = 0; p < cores.size(); ++p) {
    for (std::size_t v = 0; v < state.vms.size(); ++v) {
      for (std::size_t i = 0; i < 2; ++i) made->cpu_cores[v * made->cells() + p * 2 + i] = cores[p][v];
    }
  }
  state.scenarios = made;
}

std::shared_ptr<const profile::ResponseCurve> flat_curve() {
  return std::make_shared<const profile::ResponseCurve>(
      std::vector<profile::ResponseCurve::Knot>{{0, 0, 1}, {1, 0, 1}, {2, 1, 1}});
}

TEST(Service, AVmThatNeedsFasterCoresGetsThem) {
  Cluster cluster;
  cluster.host("slow", 4).core_speed = 1;
  cluster.host("fast", 4).core_speed = 1.25;
  set_flat_cpu(cluster.vm("busy", "slow", 1), cluster.state.now, 1.25);
  set_flat_cpu(cluster.vm("calm", "slow", 1), cluster.state.now, 0.5);
  cluster.ready();
  set_paths(cluster.state, {{1.25F, 0.5F}});
  const Decision decision = decide(cluster.state, value_policy(), 1);
  EXPECT_EQ(moves_of(decision.chosen), std::vector<std::string>{"busy->fast"});
}

/// Both hosts are asked for all that they have: four vCPUs that never rest, or sixteen that want a quarter of a CPU.
/// Only the latter wait for each other, and that as often as the host is known to make its VMs wait.
TEST(Service, OnlyVcpusThatComeAndGoWaitForEachOther) {
  const auto cost = [](int vms, int vcpus, float cores, double factor) {
    Cluster cluster;
    HostState& host = cluster.host("h", 4);
    if (factor >= 0) host.fingerprint.wait_factor = profile::ResponseCurve({{.load = 0, .response = factor}});
    std::vector<float> row;
    for (int v = 0; v < vms; ++v) {
      set_flat_cpu(cluster.vm("vm" + std::to_string(v), "h", vcpus), cluster.state.now, cores);
      row.push_back(cores);
    }
    cluster.ready();
    set_paths(cluster.state, {row});
    const Policy policy = value_policy();
    const ClusterModel model(cluster.state, policy);
    return -PlanState(model).total().performance;
  };
  EXPECT_EQ(cost(2, 2, 2, 1), 0);
  EXPECT_GT(cost(16, 1, 0.25, 1), 0);
  EXPECT_GT(cost(16, 1, 0.25, 2), cost(16, 1, 0.25, 1));
  EXPECT_EQ(cost(16, 1, 0.25, 0), 0);
  EXPECT_GT(cost(2, 2, 2, -1), 0);  // of a host of which no factor is known, the curve knows its utilisation alone
}

TEST(Service, WhatALossIsFreeCostsNothing) {
  Cluster cluster;
  cluster.host("slow", 4).core_speed = 1;
  cluster.host("fast", 4).core_speed = 1.25;
  set_flat_cpu(cluster.vm("busy", "slow", 1), cluster.state.now, 1.02);  // a loss of 3.5 %, a short wait included
  cluster.ready();
  set_paths(cluster.state, {{1.02F}});
  EXPECT_TRUE(decide(cluster.state, value_policy(), 1).chosen.actions.empty());
}

TEST(Service, AnIoBoundVmGoesWhereTheDiskIsFaster) {
  Cluster cluster;
  cluster.host("h1", 4).disk = {1e9, 2.0, flat_curve()};
  cluster.host("h2", 4).disk = {1e9, 1.0, flat_curve()};
  for (const char* name : {"db", "web"}) {
    VmState& vm = cluster.vm(name, "h1", 1);
    set_flat_cpu(vm, cluster.state.now, 0.2);
    vm.disk_half_bytes_per_s = 1e6;
  }
  cluster.ready();
  auto made = std::make_shared<Scenarios>();
  made->reset(2, 1, 1);
  made->disk_bytes_per_s = {1e6F, 1e4F};  // the first one spends half of its time in I/O
  cluster.state.scenarios = made;
  EXPECT_EQ(moves_of(decide(cluster.state, value_policy(), 1).chosen), std::vector<std::string>{"db->h2"});
}

/// Quantiles cannot tell them apart: each VM is busy on half of the paths.
TEST(Service, VmsThatAreBusyTogetherAreParted) {
  Cluster cluster;
  cluster.host("h1", 4);
  cluster.host("h2", 4);
  for (const char* name : {"a", "b"}) set_flat_cpu(cluster.vm(name, "h1", 4), cluster.state.now, 1);
  set_flat_cpu(cluster.vm("c", "h2", 4), cluster.state.now, 1);
  cluster.ready();
  Policy policy = value_policy();
  policy.limits.cpu_headroom = 0;
  set_paths(cluster.state, {{4, 0, 4}, {0, 4, 0}});
  EXPECT_TRUE(decide(cluster.state, policy, 1).chosen.actions.empty());
  set_paths(cluster.state, {{4, 4, 0}, {0, 0, 4}});
  carry_out(cluster.state, decide(cluster.state, policy, 1).chosen.actions);
  EXPECT_NE(cluster.find("a").host, cluster.find("b").host);
}

/// Neither of two VMs alone is worth what a second host draws.
TEST(OpenHost, WakesAHostForSeveralVms) {
  Cluster cluster;
  cluster.host("h1", 4);
  HostState& spare = cluster.host("h2", 4);
  spare.asleep = true;
  for (HostState& host : cluster.state.hosts) {
    host.idle_watts = 100;
    host.peak_watts = 100;
  }
  for (const char* name : {"a", "b", "c", "d"}) set_flat_cpu(cluster.vm(name, "h1", 2), cluster.state.now, 1);
  cluster.ready();
  cluster.find_host("h2").fresh = false;
  set_paths(cluster.state, {{2, 2, 2, 2}});  // of 8 cores wanted 4 are there
  Policy policy = value_policy();
  policy.limits.cpu_headroom = 0;
  policy.limits.spare_hosts = 0;
  policy.strategies.consolidate = true;
  policy.prices.energy_per_kwh = 1000;  // at rest a host draws for 100 an hour
  policy.values = {worth(60)};          // moving one VM saves 80, two 192
  const Decision decision = decide(cluster.state, policy, 1);
  ASSERT_EQ(decision.power.size(), 1U);
  EXPECT_EQ(decision.power[0].host, HostId("h2"));
  EXPECT_TRUE(decision.power[0].awake);
  EXPECT_FALSE(moves_of(decision.chosen).empty());
  policy.values = {worth(20)};
  EXPECT_TRUE(decide(cluster.state, policy, 1).power.empty());
}

TEST(GainFloor, AsksForAGainOverThePaybackTime) {
  Cluster cluster;
  cluster.host("slow", 4).core_speed = 1;
  cluster.host("fast", 4).core_speed = 1.25;
  set_flat_cpu(cluster.vm("busy", "slow", 1), cluster.state.now, 1.25);
  cluster.ready();
  set_paths(cluster.state, {{1.25F}});  // a fifth of its work, 5 % of it free: 15 an hour, for an hour
  Policy policy = value_policy();
  policy.limits.gain_floor = 10;
  EXPECT_FALSE(decide(cluster.state, policy, 1).chosen.actions.empty());
  policy.limits.gain_floor = 20;
  EXPECT_TRUE(decide(cluster.state, policy, 1).chosen.actions.empty());
}

TEST(Waiting, CostsWhateverTheVmIsWorth) {
  Cluster cluster;
  cluster.host("h1", 1);
  cluster.host("h2", 4);
  for (const char* name : {"a", "b"}) set_flat_cpu(cluster.vm(name, "h1", 1), cluster.state.now, 0.8);
  cluster.ready();
  set_paths(cluster.state, {{0.8F, 0.8F}});
  Policy policy = value_policy();
  policy.values = {worth(0.001)};
  EXPECT_TRUE(decide(cluster.state, policy, 1).chosen.actions.empty());
  policy.prices.waiting_per_vm_hour = 10;
  EXPECT_FALSE(decide(cluster.state, policy, 1).chosen.actions.empty());
}

TEST(Scenarios, LevelsAreDealtByIdAndMeanTheForecast) {
  const std::vector<std::size_t> one = deal_levels(VmId("one"), 6);
  EXPECT_EQ(one, deal_levels(VmId("one"), 6));
  EXPECT_NE(one, deal_levels(VmId("two"), 6));
  std::vector<std::size_t> sorted = one;
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::size_t> all(6);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(sorted, all);

  const forecast::Quantiles q{1, 2, 4, 4.5, 5};
  EXPECT_DOUBLE_EQ(at_level(q, 0.5), 2);
  EXPECT_DOUBLE_EQ(at_level(q, 0.9), 4);
  EXPECT_DOUBLE_EQ(at_level(q, 0.99), 5);
  EXPECT_DOUBLE_EQ(at_level(q, 0.1), 0);  // mirrored: 2 − 2

  Cluster cluster;
  cluster.host("h1", 4);
  set_flat_cpu(cluster.vm("one", "h1", 4), cluster.state.now, 1);
  const ClusterState& state = cluster.ready();
  const Scenarios made = scenarios_of_forecasts(state, make_horizon(state, Policy{}));
  ASSERT_EQ(made.cpu_cores.size(), made.cells());
  const double mean =
      std::accumulate(made.cpu_cores.begin(), made.cpu_cores.end(), 0.0) / static_cast<double>(made.cells());
  EXPECT_NEAR(mean, 1, 0.02);
}

/// Two guests of 8 GiB on a host of 10 GiB, each holding 3 and needing no more.
struct TightHost {
  TightHost() {
    cluster.host("h1", 8, 10 * kGiB);
    for (const char* name : {"a", "b"}) {
      VmState& vm = cluster.vm(name, "h1", 1, -1, 8 * kGiB);
      set_flat_cpu(vm, cluster.state.now, 0.1);
      set_memory(vm, cluster.state.now, 3 * kGiB);
      vm.memory_resident_bytes = 3 * kGiB;
    }
    policy = value_policy();
    policy.limits.memory_promise = 1;
    policy.limits.memory_headroom = 0;
  }
  Cluster cluster;
  Policy policy;
};

TEST(ShareMemory, GuestsCannotOutgrowTheirHostTogether) {
  TightHost tight;
  carry_out(tight.cluster.state, decide(tight.cluster.ready(), tight.policy, 1).chosen.actions);
  for (const char* name : {"a", "b"}) EXPECT_EQ(tight.cluster.find(name).allocation.memory_bytes, 5 * kGiB) << name;
  EXPECT_TRUE(decide(tight.cluster.ready(), tight.policy, 1).chosen.actions.empty()) << "once is enough";
}

TEST(ShareMemory, WhoIsLikelyToGrowGetsMore) {
  TightHost tight;
  set_memory(tight.cluster.find("a"), tight.cluster.state.now, 6 * kGiB);
  carry_out(tight.cluster.state, decide(tight.cluster.ready(), tight.policy, 1).chosen.actions);
  EXPECT_EQ(tight.cluster.find("a").allocation.memory_bytes, 6 * kGiB);
  EXPECT_EQ(tight.cluster.find("b").allocation.memory_bytes, 4 * kGiB);
}

TEST(ShareMemory, WhatWasSeenGoesBeforeWhatWasNot) {
  TightHost tight;
  tight.cluster.find("a").memory_peak_bytes = 6 * kGiB;
  carry_out(tight.cluster.state, decide(tight.cluster.ready(), tight.policy, 1).chosen.actions);
  EXPECT_EQ(tight.cluster.find("a").allocation.memory_bytes, 6 * kGiB);
  EXPECT_EQ(tight.cluster.find("b").allocation.memory_bytes, 4 * kGiB);
}

TEST(ShareMemory, ScarceRoomGoesByValue) {
  TightHost tight;
  ValueRule more = worth(300);
  more.name = "a";
  more.vms = {"a"};
  tight.policy.values.push_back(more);  // a is worth four times as much: twice the room
  carry_out(tight.cluster.state, decide(tight.cluster.ready(), tight.policy, 1).chosen.actions);
  EXPECT_NEAR(static_cast<double>(tight.cluster.find("a").allocation.memory_bytes - 3 * kGiB), 8.0 / 3 * kGiB,
              2 * kMiB);
}

TEST(ShareMemory, WhatAGuestNoLongerNeedsIsTakenBack) {
  TightHost tight;
  tight.cluster.find("a").memory_resident_bytes = 7 * kGiB;
  carry_out(tight.cluster.state, decide(tight.cluster.ready(), tight.policy, 1).chosen.actions);
  EXPECT_EQ(tight.cluster.find("a").allocation.memory_bytes, 3 * kGiB);
}

/// Room for one of the two to take all that it may: then both may have it.
TEST(ShareMemory, BurstsThatDoNotComeTogetherShareTheirRoom) {
  for (const auto& [bursts, target_gib] : {std::pair(0, 5), std::pair(2, 5), std::pair(1, 7)}) {
    TightHost tight;
    tight.policy.limits.memory_bursts = bursts;
    carry_out(tight.cluster.state, decide(tight.cluster.ready(), tight.policy, 1).chosen.actions);
    for (const char* name : {"a", "b"}) {
      EXPECT_EQ(tight.cluster.find(name).allocation.memory_bytes, target_gib * kGiB) << name << ' ' << bursts;
    }
  }
}

/// What is held beyond need, but by little, is left where nobody is short of it.
TEST(ShareMemory, LittleIsTakenBackOnlyWhereMemoryIsScarce) {
  for (const bool scarce : {false, true}) {
    TightHost tight;
    tight.cluster.find("a").memory_resident_bytes = 4 * kGiB;
    tight.cluster.find("b").memory_peak_bytes = scarce ? 8 * kGiB : 4 * kGiB;
    carry_out(tight.cluster.state, decide(tight.cluster.ready(), tight.policy, 1).chosen.actions);
    EXPECT_EQ(tight.cluster.find("a").allocation.memory_bytes < 4 * kGiB, scarce);
  }
}

/// It counts on h2, but holds what it has on h1 until it has arrived.
TEST(ShareMemory, WhatIsStillLeavingHasItsMemory) {
  TightHost tight;
  tight.cluster.host("h2", 8, 10 * kGiB);
  VmState& vm = tight.cluster.vm("c", "h2", 1, -1, 2 * kGiB);
  set_memory(vm, tight.cluster.state.now, 2 * kGiB);
  vm.memory_resident_bytes = 2 * kGiB;
  InFlight flight;
  flight.vm = vm.id;
  flight.source = HostId("h1");
  flight.target = HostId("h2");
  tight.cluster.state.in_flight.push_back(flight);
  carry_out(tight.cluster.state, decide(tight.cluster.ready(), tight.policy, 1).chosen.actions);
  for (const char* name : {"a", "b"}) EXPECT_EQ(tight.cluster.find(name).allocation.memory_bytes, 4 * kGiB) << name;
}

TEST(ShareMemory, RoomIsCountedByNeed) {
  TightHost tight;
  tight.cluster.host("h2", 8, 10 * kGiB).core_speed = 2;
  tight.cluster.vm("c", "h2", 1, -1, 8 * kGiB).memory_resident_bytes = 3 * kGiB;
  set_memory(tight.cluster.find("c"), tight.cluster.state.now, 3 * kGiB);
  tight.cluster.ready();
  set_paths(tight.cluster.state, {{2, 0.1F, 0.1F}});  // a needs faster cores; 8 + 8 GiB are promised by targets
  EXPECT_EQ(moves_of(decide(tight.cluster.state, tight.policy, 1).chosen), std::vector<std::string>{"a->h2"});
  tight.policy.limits.memory_promise = 0;
  EXPECT_EQ(count_migrations(decide(tight.cluster.state, tight.policy, 1).chosen.actions), 0);
}

/// Two hosts, either of which could do all the work.
struct TwoHosts {
  TwoHosts() {
    for (const char* name : {"h1", "h2"}) {
      HostState& host = cluster.host(name, 8);
      host.idle_watts = 100;
      host.peak_watts = 200;
    }
    set_flat_cpu(cluster.vm("a", "h1", 1), cluster.state.now, 0.1);
    set_flat_cpu(cluster.vm("b", "h2", 1), cluster.state.now, 0.1);
    set_flat_cpu(cluster.vm("c", "h2", 1), cluster.state.now, 0.1);
    cluster.ready();
    policy = value_policy();
    policy.strategies.consolidate = true;
    policy.prices.energy_per_kwh = 1;
    policy.prices.action_fixed = 0.3;  // an hour of the power at rest is 0.1
  }
  Cluster cluster;
  Policy policy;
};

TEST(SleepPayback, PaysOverItsOwnTime) {
  TwoHosts two;
  EXPECT_TRUE(decide(two.cluster.state, two.policy, 1).chosen.actions.empty());
  two.policy.limits.sleep_payback = std::chrono::hours(12);
  EXPECT_EQ(moves_of(decide(two.cluster.state, two.policy, 1).chosen), std::vector<std::string>{"a->h2"});
}

TEST(SleepPayback, LeavesAHostThatWasJustWoken) {
  TwoHosts two;
  two.policy.limits.sleep_payback = std::chrono::hours(12);
  two.policy.limits.awake_min = std::chrono::hours(2);
  for (const char* name : {"h1", "h2"})
    two.cluster.find_host(name).woken_at = two.cluster.state.now - std::chrono::hours(1);
  EXPECT_TRUE(decide(two.cluster.state, two.policy, 1).chosen.actions.empty());
  for (const char* name : {"h1", "h2"})
    two.cluster.find_host(name).woken_at = two.cluster.state.now - std::chrono::hours(3);
  EXPECT_FALSE(decide(two.cluster.state, two.policy, 1).chosen.actions.empty());
}

TEST(Emptying, IsToldForTheNextDecision) {
  TwoHosts two;
  two.policy.limits.sleep_payback = std::chrono::hours(12);
  EXPECT_EQ(decide(two.cluster.state, two.policy, 1).emptying, std::vector<HostId>{HostId("h1")});
}

TEST(Emptying, AHostThatIsEmptiedTakesNobodyIn) {
  Cluster cluster;
  cluster.host("slow", 4).core_speed = 1;
  cluster.host("fast", 4).core_speed = 1.25;
  set_flat_cpu(cluster.vm("busy", "slow", 1), cluster.state.now, 1.25);
  set_flat_cpu(cluster.vm("last", "fast", 1), cluster.state.now, 0.1);
  cluster.ready();
  set_paths(cluster.state, {{1.25F, 0.1F}});
  Policy policy = value_policy();
  policy.strategies.consolidate = true;
  cluster.find_host("fast").emptying = true;
  EXPECT_TRUE(decide(cluster.state, policy, 1).chosen.actions.empty());
  cluster.find_host("fast").emptying = false;
  EXPECT_EQ(moves_of(decide(cluster.state, policy, 1).chosen), std::vector<std::string>{"busy->fast"});
}

}  // namespace
}  // namespace proteus::ham
