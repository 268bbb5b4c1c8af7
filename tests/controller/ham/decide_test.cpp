#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controller/ham/decision.h"
#include "tests/controller/ham/cluster.h"

namespace proteus::ham {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

/// An overloaded h1 (four VMs of 0.5 on 1.6 cores) beside an idle h2.
Cluster hot_and_idle() {
  Cluster cluster;
  cluster.host("h1", 1.6);
  cluster.host("h2", 1.6);
  for (const char* name : {"a", "b", "c", "d"}) set_flat_cpu(cluster.vm(name, "h1", 1), cluster.state.now, 0.5);
  return cluster;
}

AffinityRule affinity(const char* name, std::set<std::string> vms, bool apart) {
  AffinityRule rule;
  rule.name = name;
  rule.vms = std::move(vms);
  rule.apart = apart;
  return rule;
}

TEST(Decide, EmptyClusterIsLeftAlone) {
  const Decision decision = decide(ClusterState{}, Policy{}, 1);
  EXPECT_THAT(decision.chosen.actions, IsEmpty());
  EXPECT_FALSE(decision.summary.empty());
}

TEST(Decide, ContendedHostIsRelieved) {
  Cluster cluster = hot_and_idle();
  const Decision decision = decide(cluster.ready(), eager_policy(), 1);
  EXPECT_THAT(moves_of(decision.chosen), SizeIs(testing::Ge(1u)));
  EXPECT_GT(decision.chosen.score.total(), decision.do_nothing.score.total());
  const Action& action = decision.chosen.actions.front();
  EXPECT_GT(action.expected_duration.count(), 0);
  EXPECT_THAT(action.reason, HasSubstr("h1's VMs"));
  EXPECT_EQ(std::get<Migrate>(action.operation).target_libvirt_uri, "qemu+tcp://h2/system");
  EXPECT_GT(action.reserve.memory_bytes, 0) << "the target promises room before the VM leaves";
  EXPECT_GT(action.reserve.cpu_millicores, 0);
  EXPECT_EQ(decision.summary.find(action.reason), 0u);
  EXPECT_THAT(decision.alternatives, testing::Not(IsEmpty()));
  EXPECT_LE(decision.alternatives.size(), 8u);
  EXPECT_THAT(decision.outlooks, testing::Not(IsEmpty()));
}

// "set CPU quota: Invalid value '50000' for 'cpu.cfs_quota_us'": a host limited to 0.9 CPUs cannot give a VM a whole
// one.
TEST(Decide, NoQuotaExceedsItsHost) {
  Cluster cluster;
  cluster.host("h1", 0.9);
  set_cpu(cluster.vm("a", "h1", 1, 0.3), flat_forecast(cluster.state.now, 0.75, 0.1, 0.2));
  const Decision decision = decide(cluster.ready(), eager_policy(), 1);
  ASSERT_THAT(decision.chosen.actions, SizeIs(1));
  const auto& quota = std::get<SetCpuQuota>(decision.chosen.actions[0].operation);
  EXPECT_GT(quota.quota_us, 75000);
  EXPECT_LE(quota.quota_us, 90000);
}

// A VM with one busy thread was given a second vCPU at half a CPU each, where one whole CPU was to be had.
TEST(Decide, VcpusAreNotAddedBeyondWhatTheHostHas) {
  Cluster cluster;
  cluster.host("h1", 1.0);
  cluster.vm("a", "h1", 1, 0.5).allocation.vcpus_max = 2;
  set_cpu(cluster.find("a"), flat_forecast(cluster.state.now, 0.85, 0.3, 0.5));
  const Decision decision = decide(cluster.ready(), eager_policy(), 1);
  ASSERT_THAT(decision.chosen.actions, SizeIs(1));
  const auto* quota = std::get_if<SetCpuQuota>(&decision.chosen.actions[0].operation);
  ASSERT_NE(quota, nullptr);
  EXPECT_EQ(quota->quota_us, 100000);
}

TEST(Decide, PausedClusterIsLeftAlone) {
  Cluster cluster = hot_and_idle();
  cluster.state.paused = true;
  const Decision decision = decide(cluster.ready(), eager_policy(), 1);
  EXPECT_THAT(decision.chosen.actions, IsEmpty());
  EXPECT_THAT(decision.summary, HasSubstr("paused"));
}

TEST(Decide, StaticStrategyDoesNothing) {
  Cluster cluster = hot_and_idle();
  Policy policy = eager_policy();
  policy.strategies = {false, false};
  EXPECT_THAT(decide(cluster.ready(), policy, 1).chosen.actions, IsEmpty());
}

TEST(Decide, StaleClusterIsLeftAlone) {
  Cluster cluster = hot_and_idle();
  for (HostState& host : cluster.state.hosts) host.fresh = false;
  const Decision decision = decide(cluster.ready(), eager_policy(), 1);
  EXPECT_THAT(decision.chosen.actions, IsEmpty());
  EXPECT_THAT(decision.summary, HasSubstr("fresh telemetry"));
}

// Proxmox-load-balancer issue 26: a lone VM moved for ever between empty nodes.
TEST(Decide, LoneVmBetweenEmptyHostsStays) {
  for (const double load : {0.05, 0.5, 1.0, 1.9}) {
    Cluster cluster;
    cluster.host("h1", 2.0).fingerprint.run_queue_wait = profile::prior_curve(2);
    cluster.host("h2", 2.0).fingerprint.run_queue_wait = profile::prior_curve(2);
    set_flat_cpu(cluster.vm("a", "h1", 2), cluster.state.now, load);
    EXPECT_THAT(decide(cluster.ready(), eager_policy(), 1).chosen.actions, IsEmpty()) << load;
  }
}

TEST(Decide, LimitsBoundThePlan) {
  Cluster cluster = hot_and_idle();
  Policy policy = eager_policy();
  policy.limits.concurrent_migrations_per_host = 1;
  EXPECT_EQ(count_migrations(decide(cluster.ready(), policy, 1).chosen.actions), 1);
  policy.limits.moves_per_hour = 0;
  const Decision decision = decide(cluster.ready(), policy, 1);
  EXPECT_THAT(decision.chosen.actions, IsEmpty());
  EXPECT_TRUE(rejects(decision, "moves_per_hour"));
  EXPECT_THAT(decision.summary, HasSubstr("moves_per_hour"));
}

TEST(Decide, GainBelowTheLeastIsNotWorthIt) {
  Cluster cluster = hot_and_idle();
  Policy policy = eager_policy();
  policy.limits.gain_min = 1.0;
  const Decision decision = decide(cluster.ready(), policy, 1);
  EXPECT_THAT(decision.chosen.actions, IsEmpty());
  EXPECT_THAT(decision.summary, HasSubstr("are asked for"));
  EXPECT_THAT(decision.alternatives, testing::Not(IsEmpty()));
}

TEST(Decide, DearDowntimeKeepsABusyWriterInPlace) {
  Cluster cluster;
  cluster.host("h1", 1.6);
  cluster.host("h2", 1.6);
  for (const char* name : {"a", "b", "c", "d"}) set_flat_cpu(cluster.vm(name, "h1", 1), cluster.state.now, 0.45);
  for (const char* name : {"b", "c", "d"}) cluster.find(name).dirty_bytes_per_s = 100 * kMiB;
  cluster.find("a").dirty_bytes_per_s = 64 * kKiB;
  Policy policy = eager_policy();
  policy.prices.downtime_per_second = 500;
  const Decision decision = decide(cluster.ready(), policy, 1);
  EXPECT_THAT(moves_of(decision.chosen), ElementsAre("a->h2"));
}

TEST(Decide, UnequalHostsAreJudgedByTheirOwnCapacity) {
  Cluster cluster = hot_and_idle();
  cluster.find_host("h2").fingerprint.cpu_capacity_cores = 0.5;
  cluster.host("h3", 8.0);
  const Decision decision = decide(cluster.ready(), eager_policy(), 1);
  for (const std::string& move : moves_of(decision.chosen)) EXPECT_THAT(move, HasSubstr("->h3"));
  EXPECT_THAT(moves_of(decision.chosen), testing::Not(IsEmpty()));
}

// CloudStack issue 13098: one VM with a passed-through device fails the plan of the whole cluster.
TEST(Decide, UnmovableVmDoesNotBlockThePlan) {
  Cluster cluster = hot_and_idle();
  cluster.find("a").unmovable = "a PCI device is passed through";
  const Decision decision = decide(cluster.ready(), eager_policy(), 1);
  EXPECT_THAT(moves_of(decision.chosen), testing::Not(IsEmpty()));
  for (const std::string& move : moves_of(decision.chosen)) EXPECT_FALSE(move.starts_with("a->")) << move;
  EXPECT_TRUE(rejects(decision, "unmovable"));
}

// CloudStack issue 12473: DRS breaks anti-affinity.
TEST(Decide, AntiAffinityIsNeverBroken) {
  Cluster cluster = hot_and_idle();
  set_flat_cpu(cluster.vm("e", "h2", 1), cluster.state.now, 0.1);
  Policy policy = eager_policy();
  policy.affinity.push_back(affinity("apart", {"a", "b", "c", "d", "e"}, true));
  // Four on h1 break the rule already; two hosts cannot mend it, and nobody may join e.
  const Decision decision = decide(cluster.ready(), policy, 1);
  EXPECT_THAT(decision.chosen.actions, IsEmpty());
  EXPECT_TRUE(rejects(decision, "anti_affinity:apart"));
}

// ProxLB issue 249: rules are to be mended with the fewest moves.
TEST(Decide, BrokenRulesAreMendedInTheFewestMoves) {
  Cluster cluster;
  for (const char* id : {"h1", "h2", "h3", "h4"}) cluster.host(id, 8.0);
  for (const char* name : {"a1", "a2", "a3"}) set_flat_cpu(cluster.vm(name, "h1", 1), cluster.state.now, 0.2);
  for (const char* name : {"t1", "t2", "t3"}) set_flat_cpu(cluster.vm(name, "h2", 1), cluster.state.now, 0.2);
  set_flat_cpu(cluster.vm("t4", "h3", 1), cluster.state.now, 0.2);
  set_flat_cpu(cluster.vm("p", "h1", 1), cluster.state.now, 0.2);
  Policy policy = eager_policy();
  policy.affinity.push_back(affinity("apart", {"a*"}, true));      // 3 on h1: two moves
  policy.affinity.push_back(affinity("together", {"t*"}, false));  // one stray: one move
  PinRule pin;
  pin.name = "pin";
  pin.vms = {"p", "a1"};
  pin.hosts = {"h4"};
  policy.pins.push_back(pin);  // p and a1 belong on h4: a1's move mends two rules at once
  const Decision decision = decide(cluster.ready(), policy, 1);
  EXPECT_EQ(count_migrations(decision.chosen.actions), 4) << dump(decision);
  EXPECT_THAT(moves_of(decision.chosen), testing::IsSupersetOf({"p->h4", "a1->h4", "t4->h2"}));
  EXPECT_GT(decision.chosen.score.total(), decision.do_nothing.score.total());
  carry_out(cluster.state, decision.chosen.actions);
  EXPECT_THAT(decide(cluster.state, policy, 1).chosen.actions, IsEmpty());
}

// Xen Orchestra and ProxLB users: enforcement moves VMs needlessly.
TEST(Decide, KeptRulesMoveNobody) {
  Cluster cluster;
  cluster.host("h1", 8.0);
  cluster.host("h2", 8.0);
  set_flat_cpu(cluster.vm("a", "h1", 1), cluster.state.now, 0.3);
  set_flat_cpu(cluster.vm("b", "h2", 1), cluster.state.now, 0.3);
  Policy policy = eager_policy();
  policy.affinity.push_back(affinity("apart", {"a", "b"}, true));
  EXPECT_THAT(decide(cluster.ready(), policy, 1).chosen.actions, IsEmpty());
}

TEST(Decide, SoftRuleIsWorthItsPrice) {
  Cluster cluster;
  cluster.host("h1", 8.0);
  cluster.host("h2", 8.0);
  set_flat_cpu(cluster.vm("a", "h1", 1), cluster.state.now, 0.1);
  set_flat_cpu(cluster.vm("b", "h1", 1), cluster.state.now, 0.1);
  Policy policy = eager_policy();
  policy.affinity.push_back(affinity("apart", {"a", "b"}, true));
  policy.affinity.front().hard = false;
  policy.affinity.front().price_per_hour = 0.01;
  EXPECT_THAT(decide(cluster.ready(), policy, 1).chosen.actions, IsEmpty());
  policy.affinity.front().price_per_hour = 100;
  EXPECT_EQ(count_migrations(decide(cluster.ready(), policy, 1).chosen.actions), 1);
}

TEST(Decide, MaintenanceEvacuatesWhatItCan) {
  Cluster cluster;
  for (const char* id : {"h1", "h2", "h3"}) cluster.host(id, 4.0, 16 * kGiB);
  for (const char* name : {"a", "b", "c", "d"}) set_flat_cpu(cluster.vm(name, "h1", 1), cluster.state.now, 0.2);
  cluster.find("b").unmovable = "its disk is on this host";
  cluster.find("c").allocation.memory_bytes = 100 * kGiB;
  cluster.find("d").last_action_end = cluster.state.now;  // cooldown does not hold up an evacuation
  cluster.find_host("h1").maintenance = true;
  Policy policy = eager_policy();
  policy.limits.cooldown = std::chrono::minutes(5);
  const Decision decision = decide(cluster.ready(), policy, 1);
  EXPECT_EQ(count_migrations(decision.chosen.actions), 2) << dump(decision);
  ASSERT_FALSE(decision.rejections.empty());
  const Rejection& check = decision.rejections.front();
  EXPECT_EQ(check.candidate, "evacuate h1");
  EXPECT_EQ(check.rule, "maintenance");
  EXPECT_THAT(check.reason, HasSubstr("2 of 4 VMs find no other host"));
  EXPECT_THAT(check.reason, HasSubstr("its disk is on this host"));
  EXPECT_THAT(decision.summary, HasSubstr("h1 is in maintenance"));
}

TEST(Decide, EvacuationKeepsTogetherWhatBelongsTogether) {
  Cluster cluster;
  for (const char* id : {"h1", "h2", "h3"}) cluster.host(id, 4.0);
  for (const char* name : {"a", "b"}) set_flat_cpu(cluster.vm(name, "h1", 1), cluster.state.now, 0.2);
  cluster.find_host("h1").maintenance = true;
  Policy policy = eager_policy();
  policy.limits.concurrent_migrations_per_host = 1;
  policy.affinity.push_back(affinity("pair", {"a", "b"}, false));
  cluster.ready();
  for (int cycle = 0; cycle < 2; ++cycle) {
    const Decision decision = decide(cluster.state, policy, 1);
    EXPECT_EQ(count_migrations(decision.chosen.actions), 1) << dump(decision);
    carry_out(cluster.state, decision.chosen.actions);
  }
  EXPECT_NE(cluster.find("a").host, HostId("h1"));
  EXPECT_EQ(cluster.find("a").host, cluster.find("b").host);
}

TEST(Decide, MovedVmMayGetMoreOnArrival) {
  Cluster cluster;
  cluster.host("h1", 0.9);
  cluster.host("h2", 4.0);
  set_flat_cpu(cluster.vm("a", "h1", 1, 0.4), cluster.state.now, 0.8);
  set_flat_cpu(cluster.vm("b", "h1", 1, 0.5), cluster.state.now, 0.4);
  cluster.find("b").unmovable = "its disk is on this host";
  const Decision decision = decide(cluster.ready(), eager_policy(), 1);
  ASSERT_THAT(decision.chosen.actions, SizeIs(2)) << dump(decision);
  EXPECT_THAT(moves_of(decision.chosen), ElementsAre("a->h2"));
  EXPECT_EQ(decision.chosen.actions[1].host, HostId("h2"));
  EXPECT_THAT(decision.chosen.actions[1].after, ElementsAre(0u));
}

TEST(Decide, AutomationIsTheLowerOfClusterAndVm) {
  Cluster cluster = hot_and_idle();
  Policy policy = eager_policy();
  policy.automation = Automation::kApprove;
  AutomationRule rule;
  rule.name = "slow";
  rule.vms = {"a", "b"};
  rule.level = Automation::kRecommend;
  policy.automation_rules.push_back(rule);
  rule.name = "cannot-raise";
  rule.vms = {"c", "d"};
  rule.level = Automation::kAutomatic;
  policy.automation_rules.push_back(rule);
  const Decision decision = decide(cluster.ready(), policy, 1);
  ASSERT_THAT(decision.chosen.actions, testing::Not(IsEmpty()));
  for (const Action& action : decision.chosen.actions) {
    const bool slow = action.vm.value == "a" || action.vm.value == "b";
    EXPECT_EQ(action.automation, slow ? Automation::kRecommend : Automation::kApprove);
  }
  // What a person may approve comes first, so that it never waits for what nobody will do.
  EXPECT_EQ(decision.chosen.actions.front().automation, Automation::kApprove);
}

TEST(Decide, MissingForecastFallsBackToDemandNow) {
  Cluster cluster = hot_and_idle();
  for (VmState& vm : cluster.state.vms) vm.forecasts.clear();
  const Decision decision = decide(cluster.ready(), eager_policy(), 1);
  EXPECT_THAT(moves_of(decision.chosen), testing::Not(IsEmpty()));
  EXPECT_EQ(decision.outlooks.front().model, "current demand");
}

// A host is to be emptied, but the only one that may take its VM is full: a third takes somebody else in.
TEST(Decide, OthersMoveOutOfTheWay) {
  Cluster cluster;
  cluster.host("h1", 4.0, 8 * kGiB).maintenance = true;
  cluster.host("h2", 4.0, 8 * kGiB);
  cluster.host("h3", 4.0, 4 * kGiB);
  set_flat_cpu(cluster.vm("big", "h1", 1, -1, 5 * kGiB), cluster.state.now, 0.2);
  set_flat_cpu(cluster.vm("small", "h2", 1, -1, 3 * kGiB), cluster.state.now, 0.2);
  const Decision decision = decide(cluster.ready(), eager_policy(), 1);
  EXPECT_THAT(moves_of(decision.chosen), ElementsAre("small->h3", "big->h2")) << dump(decision);
  EXPECT_THAT(decision.chosen.actions[1].after, ElementsAre(0u));
  EXPECT_THAT(decision.chosen.actions[0].reason, HasSubstr("out of the way"));
}

TEST(Decide, EvacuationThatCannotFitIsSaidSoAtOnce) {
  Cluster cluster;
  cluster.host("h1", 4.0, 16 * kGiB).maintenance = true;
  cluster.host("h2", 4.0, 8 * kGiB);
  for (const char* name : {"a", "b", "c"})
    set_flat_cpu(cluster.vm(name, "h1", 1, -1, 4 * kGiB), cluster.state.now, 0.2);
  const Decision decision = decide(cluster.ready(), eager_policy(), 1);
  ASSERT_FALSE(decision.rejections.empty());
  EXPECT_EQ(decision.rejections.front().candidate, "evacuate h1");
  EXPECT_THAT(decision.rejections.front().reason, HasSubstr("2 of 3 VMs find no other host, 8.0 GiB of memory in all"));
  EXPECT_EQ(count_migrations(decision.chosen.actions), 1) << "those that fit go all the same";
}

/// A hot VM belongs where a cold one is, and the other way round; neither host has memory for both. h3 has room for the
/// cold one, which must not stay there.
struct Exchange {
  Exchange() {
    for (const auto& [id, cores] : {std::pair("h1", 4.0), std::pair("h2", 16.0), std::pair("h3", 16.0)}) {
      cluster.host(id, cores, 64 * kGiB);
    }
    const auto add = [&](const char* name, const char* host, double cores, std::int64_t gib) -> VmState& {
      VmState& vm = cluster.vm(name, host, 4, -1, gib * kGiB);
      set_flat_cpu(vm, cluster.state.now, cores);
      return vm;
    };
    add("hot", "h1", 3.9, 40);
    add("cold", "h2", 0.3, 20);
    add("x", "h1", 3.0, 10).unmovable = "its disk is here";
    add("y", "h2", 0.3, 10).unmovable = "its disk is here";
    add("z", "h3", 0.3, 30).unmovable = "its disk is here";
    policy = eager_policy();
    policy.strategies.reshape = false;
    policy.limits.migration_bandwidth_bytes_per_s = 10 * kGiB;
    AffinityRule rule = affinity("soft", {"cold", "z"}, true);
    rule.hard = false;
    rule.price_per_hour = 1000;
    policy.affinity.push_back(rule);
  }
  Cluster cluster;
  Policy policy;
};

TEST(Decide, AVmStopsOnAThirdHostWhereTwoBlockEachOther) {
  Exchange exchange;
  const Decision decision = decide(exchange.cluster.ready(), exchange.policy, 1);
  EXPECT_THAT(moves_of(decision.chosen), ElementsAre("cold->h3", "hot->h2", "cold->h1")) << dump(decision);
  const std::vector<Action>& actions = decision.chosen.actions;
  ASSERT_THAT(actions, SizeIs(3));
  EXPECT_THAT(actions[0].reason, HasSubstr("no order of moves takes cold straight to h1"));
  EXPECT_THAT(actions[1].after, ElementsAre(0));
  EXPECT_EQ(actions[2].host, HostId("h3")) << "whose agent sends it on";
  EXPECT_THAT(actions[2].after, ElementsAre(0, 1));
  carry_out(exchange.cluster.state, actions);
  EXPECT_THAT(decide(exchange.cluster.ready(), exchange.policy, 1).chosen.actions, IsEmpty());
}

TEST(Decide, AStopCountsAsAMove) {
  Exchange exchange;
  exchange.policy.limits.moves_per_hour_per_vm = 1;
  const Decision decision = decide(exchange.cluster.ready(), exchange.policy, 1);
  EXPECT_THAT(moves_of(decision.chosen), testing::Not(testing::Contains("cold->h1"))) << dump(decision);
}

TEST(Decide, PriorityDecidesWhoIsHelped) {
  Cluster cluster = hot_and_idle();
  Policy policy = eager_policy();
  const double plain = decide(cluster.ready(), policy, 1).do_nothing.score.performance;
  PriorityRule rule;
  rule.name = "gold";
  rule.vms = {"a", "b", "c", "d"};
  rule.weight = 3;
  policy.priorities.push_back(rule);
  EXPECT_NEAR(decide(cluster.state, policy, 1).do_nothing.score.performance, 3 * plain, 1e-9);
  policy.priorities.front().vms = {"a"};
  EXPECT_NEAR(decide(cluster.state, policy, 1).do_nothing.score.performance, 1.5 * plain, 1e-9)
      << "a quarter of the host's demand counts three times";
}

TEST(Decide, NothingDoneTellsTheForecastsAllTheSame) {
  Cluster cluster;
  cluster.host("h1", 4.0);
  set_flat_cpu(cluster.vm("a", "h1", 1), cluster.state.now, 0.3);
  const Decision decision = decide(cluster.ready(), eager_policy(), 1);
  EXPECT_THAT(decision.chosen.actions, IsEmpty());
  ASSERT_THAT(decision.outlooks, SizeIs(1));
  EXPECT_EQ(decision.outlooks[0].vm, VmId("a"));
}

TEST(Decide, SwapsWhereNoSingleMoveFits) {
  Cluster cluster;
  cluster.host("h1", 2.0, 10 * kGiB);
  cluster.host("h2", 2.0, 10 * kGiB);
  set_flat_cpu(cluster.vm("a", "h1", 1, -1, 3 * kGiB), cluster.state.now, 0.82);
  set_flat_cpu(cluster.vm("b", "h1", 1, -1, 3 * kGiB), cluster.state.now, 0.82);
  set_flat_cpu(cluster.vm("c", "h2", 1, -1, 3 * kGiB), cluster.state.now, 0.05);
  set_flat_cpu(cluster.vm("d", "h2", 1, -1, 6 * kGiB), cluster.state.now, 0.05);
  for (VmState& vm : cluster.state.vms) vm.memory_resident_bytes = kGiB;
  Policy policy = eager_policy();
  policy.prices.migration_per_gib = 0;
  policy.limits.concurrent_migrations_per_host = 1;
  // h2 has promised all that it may, so that a or b fits only after c has gone.
  EXPECT_EQ(count_migrations(decide(cluster.ready(), policy, 1).chosen.actions), 0);
  policy.limits.concurrent_migrations_per_host = 2;
  const Decision decision = decide(cluster.state, policy, 1);
  ASSERT_EQ(count_migrations(decision.chosen.actions), 2) << dump(decision);
  EXPECT_EQ(decision.chosen.actions[0].vm, VmId("c"));
  EXPECT_THAT(decision.chosen.actions[1].after, ElementsAre(0u));
}

}  // namespace
}  // namespace proteus::ham
