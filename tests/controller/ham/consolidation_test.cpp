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

/// Three hosts of 200 W at idle, one of them nearly unused, one asleep.
class Consolidation : public testing::Test {
 protected:
  Consolidation() {
    for (const char* id : {"h1", "h2", "h3"}) {
      HostState& host = cluster_.host(id, 8.0, 32 * kGiB);
      host.idle_watts = 200;
      host.peak_watts = 300;
    }
    for (const char* name : {"a", "b", "c"}) set_flat_cpu(cluster_.vm(name, "h1", 2), cluster_.state.now, 0.5);
    for (const char* name : {"d", "e"}) set_flat_cpu(cluster_.vm(name, "h2", 2), cluster_.state.now, 0.2);
    cluster_.find_host("h3").asleep = true;
    cluster_.find_host("h3").fresh = false;
    policy_ = eager_policy();
    policy_.strategies.consolidate = true;
    policy_.prices.energy_per_kwh = 300;
    policy_.limits.spare_hosts = 0;
  }
  Cluster cluster_;
  Policy policy_;
};

TEST_F(Consolidation, EmptiesTheLeastUsedHostAndLetsItSleep) {
  Decision decision = decide(cluster_.ready(), policy_, 1);
  EXPECT_THAT(moves_of(decision.chosen), testing::UnorderedElementsAre("d->h1", "e->h1")) << dump(decision);
  EXPECT_THAT(decision.power, IsEmpty()) << "not before it is empty";
  carry_out(cluster_.state, decision.chosen.actions);
  decision = decide(cluster_.state, policy_, 1);
  EXPECT_THAT(decision.chosen.actions, IsEmpty()) << dump(decision);
  ASSERT_THAT(decision.power, SizeIs(1));
  EXPECT_EQ(decision.power[0].host, HostId("h2"));
  EXPECT_FALSE(decision.power[0].awake);
}

TEST_F(Consolidation, GoesOnOverSeveralCyclesWhereLimitsAreTight) {
  policy_.limits.concurrent_migrations_per_host = 1;
  cluster_.ready();
  for (int cycle = 0; cycle < 2; ++cycle) {
    const Decision decision = decide(cluster_.state, policy_, 1);
    EXPECT_EQ(count_migrations(decision.chosen.actions), 1) << dump(decision);
    EXPECT_THAT(decision.summary, HasSubstr("to be emptied so that it may sleep"));
    carry_out(cluster_.state, decision.chosen.actions);
  }
  for (const char* name : {"d", "e"}) EXPECT_EQ(cluster_.find(name).host, HostId("h1"));
}

/// The first of them to go leaves the other behind, but not for long.
TEST_F(Consolidation, VmsThatBelongTogetherLeaveTogether) {
  AffinityRule pair;
  pair.name = "pair";
  pair.vms = {"d", "e"};
  pair.hard = false;
  pair.price_per_hour = 1000;
  policy_.affinity.push_back(pair);
  const Decision decision = decide(cluster_.ready(), policy_, 1);
  EXPECT_THAT(moves_of(decision.chosen), testing::UnorderedElementsAre("d->h1", "e->h1")) << dump(decision);
}

/// At most 60 an hour are to be gained.
TEST_F(Consolidation, WhatIsAskedForMayComeInOverTheTimeThatItIsMeantFor) {
  policy_.limits.payback = std::chrono::hours(1);
  policy_.limits.gain_floor = 100;
  EXPECT_THAT(decide(cluster_.ready(), policy_, 1).chosen.actions, IsEmpty());
  policy_.limits.sleep_payback = std::chrono::hours(10);
  EXPECT_EQ(count_migrations(decide(cluster_.state, policy_, 1).chosen.actions), 2);
}

/// Two VMs would leave, and at most 60 an hour are to be gained.
TEST_F(Consolidation, EachVmThatLeavesMayAskForMore) {
  policy_.limits.payback = policy_.limits.sleep_payback = std::chrono::hours(1);
  policy_.limits.emptying_floor = 20;
  EXPECT_EQ(count_migrations(decide(cluster_.ready(), policy_, 1).chosen.actions), 2);
  policy_.limits.emptying_floor = 31;
  EXPECT_THAT(decide(cluster_.state, policy_, 1).chosen.actions, IsEmpty());
}

TEST_F(Consolidation, IsNotWorthItWhereEnergyIsCheap) {
  policy_.prices.energy_per_kwh = 0.01;
  EXPECT_THAT(decide(cluster_.ready(), policy_, 1).chosen.actions, IsEmpty());
}

TEST_F(Consolidation, WakesAHostThatIsNeeded) {
  for (const char* name : {"a", "b", "c", "d", "e"}) set_flat_cpu(cluster_.find(name), cluster_.state.now, 2.0);
  for (const char* name : {"f", "g", "i"}) set_flat_cpu(cluster_.vm(name, "h2", 2), cluster_.state.now, 2.0);
  const Decision decision = decide(cluster_.ready(), policy_, 1);
  ASSERT_THAT(decision.power, SizeIs(1)) << dump(decision);
  EXPECT_EQ(decision.power[0].host, HostId("h3"));
  EXPECT_TRUE(decision.power[0].awake);
  // "a->h3, then d->h1" looked cheaper: d was taken to be relieved at once, though it waits until h3 is awake and a is
  // there.
  EXPECT_THAT(moves_of(decision.chosen), testing::Each(HasSubstr("->h3"))) << dump(decision);
}

TEST_F(Consolidation, KeepsSpareHostsAwake) {
  policy_.limits.spare_hosts = 1;
  for (const char* name : {"d", "e"}) cluster_.find(name).host = HostId("h1");
  EXPECT_THAT(decide(cluster_.ready(), policy_, 1).power, IsEmpty()) << "h2 is the spare one";
  policy_.limits.spare_hosts = 2;
  const Decision decision = decide(cluster_.state, policy_, 1);
  ASSERT_THAT(decision.power, SizeIs(1));
  EXPECT_TRUE(decision.power[0].awake);
}

}  // namespace
}  // namespace proteus::ham
