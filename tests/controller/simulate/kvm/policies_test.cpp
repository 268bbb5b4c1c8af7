#include <gtest/gtest.h>

#include "controller/simulate/kvm/policies/catalogue.h"
#include "controller/simulate/kvm/policies/memory_keeper.h"
#include "controller/simulate/kvm/run.h"
#include "tests/controller/simulate/kvm/small_cluster.h"

namespace proteus::simulate::kvm {
namespace {

TEST(Catalogue, NamesWhatItHasWhenAskedForAnother) {
  SmallCluster small;
  const auto policy = make_policy("best", small.workload());
  ASSERT_FALSE(policy);
  EXPECT_NE(policy.error().message.find(policy_names()), std::string::npos);
}

TEST(Console, HidesTheFutureAndTheCensoredPast) {
  SmallCluster small;
  small.add_vm(1000, {});
  small.add_vm(1000, {});
  small.workload().vms[1].arrives = kFirstTick + 5;
  Cluster cluster(small.workload());
  const TickOutcome last;
  const Console console(cluster, last);
  EXPECT_EQ(console.sample(0, Series::kCpu, 0), 0);
  EXPECT_EQ(console.newest(1, Series::kCpu), 0);
  EXPECT_DEATH(static_cast<void>(console.sample(0, Series::kCpu, kFirstTick)), "");
  EXPECT_DEATH(static_cast<void>(console.sample(1, Series::kCpu, kFirstTick - 1)), "");
}

TEST(Threshold, GivesTheLargestThatFitsToTheLeastLoaded) {
  SmallCluster small;
  small.add_vm(100, {.cpu_mhz = 900});
  small.add_vm(100, {.cpu_mhz = 100});
  small.add_vm(100, {.cpu_mhz = 850});
  Cluster cluster(small.workload());
  ASSERT_EQ(cluster.hosts()[0].vms, (std::vector<int>{0, 2}));  // 1750 of 2000 MHz
  const TickOutcome last;
  Console console(cluster, last);
  const auto policy = make_policy("threshold", small.workload());
  (*policy)->decide(console);
  EXPECT_EQ(cluster.vms()[0].target, 1);  // 100 + 900 is below 70 %
  EXPECT_FALSE(cluster.vms()[2].migrating());
}

TEST(MemoryKeeper, CeilingsLeaveAHostWhatItCanStand) {
  SmallCluster small;
  small.add_vm(8000, {.active_mib = 3000});  // resident 3800 each
  small.add_vm(100, {});
  small.add_vm(8000, {.active_mib = 3000});
  small.workload().vms[1].vcpus = 2;
  Cluster cluster(small.workload());
  ASSERT_EQ(cluster.hosts()[0].vms, (std::vector<int>{0, 2}));
  const TickOutcome last;
  Console console(cluster, last);
  MemoryKeeper({.host_share = 1.0, .reclaim_share = 0.05, .value_power = 0})
      .act(console, {5000, 100, 3800}, {5000, 100, 3800});
  // 10000 less what both hold leaves 2144: the first one's likely 1200, and 944 for the other.
  EXPECT_NEAR(cluster.vms()[0].balloon_mib, 5000, 1);
  EXPECT_NEAR(cluster.vms()[2].balloon_mib, 3800 + 944, 1);
}

TEST(MemoryKeeper, PrefersWhatHasBeenSeenToWhatHasNot) {
  SmallCluster small;
  small.add_vm(8000, {.active_mib = 3000});  // resident 3800 each
  small.add_vm(100, {});
  small.add_vm(8000, {.active_mib = 3000});
  small.workload().vms[1].vcpus = 2;
  Cluster cluster(small.workload());
  const TickOutcome last;
  Console console(cluster, last);
  MemoryKeeper({.host_share = 1.0, .reclaim_share = 0.05, .value_power = 0})
      .act(console, {4000, 100, 3800}, {5800, 100, 3800});
  EXPECT_NEAR(cluster.vms()[0].balloon_mib, 5800, 1);
  EXPECT_NEAR(cluster.vms()[2].balloon_mib, 3800 + 144, 1);
}

TEST(MemoryKeeper, TakesBackWhatAGuestNoLongerNeeds) {
  SmallCluster small;
  const int vm = small.add_vm(8000, {.active_mib = 3000});
  Cluster cluster(small.workload());
  const TickOutcome last;
  Console console(cluster, last);
  MemoryKeeper({}).act(console, {2000}, {2000});
  EXPECT_DOUBLE_EQ(cluster.vms()[static_cast<std::size_t>(vm)].balloon_mib, 2000);
}

/// A host has more to do than it can from some tick on, the other one nothing.
TEST(Search, RelievesAnOverloadedHost) {
  SmallCluster small;
  for (int i = 0; i < 5; ++i) small.add_vm(100, {.cpu_mhz = 50});
  for (const int vm : {0, 2, 4}) small.set(vm, Series::kCpu, kFirstTick, 900);
  for (const char* name : {"search-hour", "proteus-rules", "proteus"}) {
    const auto policy = make_policy(name, small.workload());
    ASSERT_TRUE(policy);
    const RunResult result = run(small.workload(), **policy, {.ticks_max = 48, .on_tick = {}});
    EXPECT_GE(result.metrics.migrations, 1) << name;
    EXPECT_LE(result.metrics.migrations, 6) << name;
    EXPECT_LT(result.metrics.contention_share, 0.4) << name;
  }
}

TEST(Search, LetsAHostSleepThatIsNotNeeded) {
  SmallCluster small;
  for (int i = 0; i < 4; ++i) small.add_vm(100, {.cpu_mhz = 50});
  for (const char* name : {"search-hour", "proteus-rules", "proteus"}) {
    const auto policy = make_policy(name, small.workload());
    ASSERT_TRUE(policy);
    const RunResult result = run(small.workload(), **policy, {.ticks_max = 288, .on_tick = {}});
    EXPECT_LT(result.metrics.mean_hosts_on, 1.5) << name;
    EXPECT_LE(result.metrics.migrations, 4) << name;
    EXPECT_LT(result.metrics.sla_eur, 0.1) << name;
  }
}

}  // namespace
}  // namespace proteus::simulate::kvm
