// Policies that others are compared with.

#include <gtest/gtest.h>

#include <vector>

#include "controller/simulate/kvm/policies/packing.h"
#include "controller/simulate/kvm/run.h"
#include "tests/controller/simulate/kvm/small_cluster.h"

namespace proteus::simulate::kvm {
namespace {

/// A third host. VMs of one vCPU are placed one after the other on the three.
void add_host(SmallCluster& small) {
  small.workload().hosts.push_back(small.workload().hosts.front());
}

TEST(Mfped, GivesTheSmallestToTheHostNearestToItsBestLoad) {
  SmallCluster small;
  add_host(small);
  small.add_vm(4000, {.cpu_mhz = 900});
  small.add_vm(100, {.cpu_mhz = 200});
  small.add_vm(100, {.cpu_mhz = 600});
  small.add_vm(1000, {.cpu_mhz = 750});
  Cluster cluster(small.workload());
  ASSERT_EQ(cluster.hosts()[0].vms, (std::vector<int>{0, 3}));  // 1650 of 2000 MHz
  const TickOutcome last;
  Console console(cluster, last);
  PackingPolicy(mfped_rules()).decide(console);
  EXPECT_EQ(cluster.vms()[3].target, 2);  // 600 + 750 is below 70 %, and 30 % is nearer to 60 % than 10 %
  EXPECT_FALSE(cluster.vms()[0].migrating());
}

TEST(Mfped, GivesUntilTheHostIsRelievedOrAsManyAsAllowed) {
  for (const int moves_max : {9, 1}) {
    SmallCluster small;
    add_host(small);
    for (int i = 0; i < 12; ++i) small.add_vm(1000, {.cpu_mhz = i % 3 == 0 ? 550.0 : 50.0});
    Cluster cluster(small.workload());
    const TickOutcome last;
    Console console(cluster, last);  // 2200 of 2000 MHz on host 0
    PackingRules rules = mfped_rules();
    rules.moves_max = moves_max;
    PackingPolicy(rules).decide(console);
    EXPECT_EQ(cluster.hosts()[0].outgoing, moves_max == 1 ? 1 : 2);
  }
}

/// All fits on one host, until from some tick on it does not.
TEST(Mfped, EmptiesAndSleepsTheLeastLoadedAndWakesItWhenNothingFits) {
  SmallCluster small;
  for (int i = 0; i < 4; ++i) {
    small.add_vm(100, {.cpu_mhz = i % 2 == 0 ? 60.0 : 50.0});
    small.set(i, Series::kCpu, kFirstTick + 100, 500);
  }
  PackingPolicy policy(mfped_rules());
  std::vector<int> slept;
  RunOptions options{.ticks_max = 200, .on_tick = {}};
  options.on_tick = [&](const Cluster& cluster, const TickOutcome&, const Tally& tally) {
    const int tick = cluster.tick() - 1 - kFirstTick;
    if (cluster.hosts()[1].power == Power::kAsleep) slept.push_back(tick);
    EXPECT_NE(cluster.hosts()[0].power, Power::kAsleep);
    EXPECT_EQ(tally.sums().migrations, tick < 102 ? 2 : 3) << tick;
  };
  run(small.workload(), policy, options);
  ASSERT_FALSE(slept.empty());
  EXPECT_EQ(slept.front(), 1);   // emptied in the tick before
  EXPECT_EQ(slept.back(), 100);  // seen at the step after, and woken
  EXPECT_EQ(slept.size(), 100U);
}

TEST(Mfped, EmptiesNoHostOfWhichAVmMustStay) {
  for (const bool pinned : {false, true}) {
    SmallCluster small;
    for (int i = 0; i < 4; ++i) small.add_vm(100, {.cpu_mhz = i % 2 == 0 ? 60.0 : 50.0});
    small.workload().vms[3].pinned = pinned;
    small.workload().vms[2].pinned = true;
    Cluster cluster(small.workload());
    const TickOutcome last;
    Console console(cluster, last);
    PackingPolicy(mfped_rules()).decide(console);
    EXPECT_EQ(cluster.hosts()[1].outgoing, pinned ? 0 : 2);
    EXPECT_EQ(cluster.hosts()[0].outgoing, 0);
  }
}

/// Full by peaks of the last day, not by what is wanted now.
TEST(PeakDay, PacksByWhatVmsWantedAtMostInTheLastDay) {
  for (const int hours_ago : {23, 25}) {
    SmallCluster small;
    add_host(small);
    const double peaks[] = {900, 200, 1000, 800, 100, 100, 450, 50};
    for (const double peak : peaks) {
      const int vm = small.add_vm(1000, {.cpu_mhz = 100});
      small.set_one(vm, Series::kCpu, kFirstTick - 12 * hours_ago, peak);
    }
    Cluster cluster(small.workload());
    ASSERT_EQ(cluster.hosts()[0].vms, (std::vector<int>{0, 3, 6}));  // 2150 of 2000 MHz at most; 300 and 1100
    const TickOutcome last;
    Console console(cluster, last);
    PackingPolicy(peak_day_rules()).decide(console);
    if (hours_ago == 23) {
      EXPECT_EQ(cluster.vms()[0].target, 2);  // the largest, to where it fills a host most: 1100 + 900
      EXPECT_EQ(cluster.hosts()[0].outgoing, 1);
    } else {
      EXPECT_EQ(cluster.hosts()[0].outgoing, 0);  // all are at 100, and the emptiest host goes to the others
      EXPECT_EQ(cluster.hosts()[2].outgoing, 2);
    }
  }
}

TEST(PeakDay, DecidesAtFullHours) {
  SmallCluster small;
  for (int i = 0; i < 4; ++i) small.add_vm(100, {.cpu_mhz = 50});
  for (const int tick : {kFirstTick, kFirstTick + 1}) {
    Cluster cluster(small.workload());
    while (cluster.tick() < tick) cluster.advance();
    const TickOutcome last;
    Console console(cluster, last);
    PackingPolicy(peak_day_rules()).decide(console);
    EXPECT_EQ(cluster.hosts()[0].outgoing, tick == kFirstTick ? 2 : 0);
  }
}

}  // namespace
}  // namespace proteus::simulate::kvm
