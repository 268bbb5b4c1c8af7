#include "controller/simulate/kvm/cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/controller/simulate/kvm/small_cluster.h"

namespace proteus::simulate::kvm {
namespace {

using testing::ElementsAre;

TEST(Placement, SpreadsByVcpusAndFillsOnlyToFourFifths) {
  SmallCluster small;
  small.add_vm(6000, {.active_mib = 4000});  // resident 4600
  small.add_vm(1000, {.active_mib = 100});
  small.add_vm(4000, {.active_mib = 3000});  // 3400: 4728 + 3528 > 8000 on host 0
  small.add_vm(1000, {.active_mib = 100});
  const Cluster cluster(small.workload());
  EXPECT_THAT(cluster.hosts()[0].vms, ElementsAre(0, 3));
  EXPECT_THAT(cluster.hosts()[1].vms, ElementsAre(1, 2));
  EXPECT_DOUBLE_EQ(cluster.vms()[0].resident_mib, 4600);
  EXPECT_DOUBLE_EQ(cluster.hosts()[1].used_mib, 200 + 128 + 3400 + 128);
}

TEST(Placement, PartnersTogetherGroupsApart) {
  SmallCluster small;
  for (int i = 0; i < 4; ++i) small.add_vm(1000, {});
  small.workload().vms[0].partner = 1;
  small.workload().vms[1].partner = 0;
  small.workload().groups = {{2, 3}};
  small.workload().vms[2].group = small.workload().vms[3].group = 0;
  const Cluster cluster(small.workload());
  EXPECT_EQ(cluster.vms()[0].host, cluster.vms()[1].host);
  EXPECT_NE(cluster.vms()[2].host, cluster.vms()[3].host);
}

TEST(Placement, WhereNothingFitsTheEmptierHostTakesIt) {
  SmallCluster small;
  small.add_vm(9000, {.active_mib = 9000});
  small.add_vm(8000, {.active_mib = 8000});
  small.add_vm(5000, {.active_mib = 5000});
  const Cluster cluster(small.workload());
  EXPECT_EQ(cluster.vms()[2].host, 1);
}

TEST(Migrate, IsRefusedByEachRuleAndTakesItsTime) {
  SmallCluster small;
  const int vm = small.add_vm(2000, {.active_mib = 1000});  // resident 1200
  const int pinned = small.add_vm(1000, {});
  small.workload().vms[1].pinned = true;
  Cluster cluster(small.workload());
  EXPECT_EQ(cluster.migrate(pinned, 0), Refusal::kPinned);
  EXPECT_EQ(cluster.migrate(vm, 0), Refusal::kSameHost);
  EXPECT_EQ(cluster.sleep(1), Refusal::kNotEmpty);
  EXPECT_EQ(cluster.migrate(vm, 1), Refusal::kNone);
  EXPECT_EQ(cluster.migrate(vm, 1), Refusal::kMigrating);
  const MigrationTally tally = cluster.start_migrations();
  EXPECT_EQ(tally.begun, 1);
  // 0.8 · 125000 / 1024 = 97.7 MiB/s for 1200 MiB, then 2 MiB/s of dirt: 24.6 MiB, which take 0.252 s.
  EXPECT_NEAR(tally.downtime_s, 2 * 12.288 / 97.65625 + 0.05, 1e-9);
  EXPECT_DOUBLE_EQ(cluster.hosts()[0].used_mib, 1328);
  EXPECT_DOUBLE_EQ(cluster.hosts()[1].used_mib, 1328 + 100 + 128);
  cluster.advance();
  EXPECT_EQ(cluster.vms()[0].host, 1);
  EXPECT_DOUBLE_EQ(cluster.hosts()[0].used_mib, 0);
  EXPECT_EQ(cluster.sleep(0), Refusal::kNone);
  EXPECT_EQ(cluster.migrate(vm, 0), Refusal::kHostOff);
  EXPECT_EQ(cluster.wake(0), Refusal::kNone);
  EXPECT_EQ(cluster.migrate(vm, 0), Refusal::kHostOff);
  cluster.finish_wakes();
  EXPECT_EQ(cluster.migrate(vm, 0), Refusal::kNone);
}

TEST(Migrate, IsRefusedWhereMemoryAntiAffinityOrFourOthersForbidIt) {
  SmallCluster small;
  const int large = small.add_vm(6000, {.active_mib = 5000});
  const int other = small.add_vm(6000, {.active_mib = 5000});
  Cluster full(small.workload());
  EXPECT_EQ(full.migrate(large, full.vms()[1].host), Refusal::kMemory);

  small.workload().groups = {{large, other}};
  small.workload().vms[0].group = small.workload().vms[1].group = 0;
  Cluster apart(small.workload());
  EXPECT_EQ(apart.migrate(large, apart.vms()[1].host), Refusal::kAntiAffinity);

  SmallCluster many;
  for (int i = 0; i < 12; ++i) many.add_vm(200, {});
  Cluster busy(many.workload());
  std::vector<Refusal> refusals;
  for (const int vm : std::vector<int>(busy.hosts()[0].vms)) refusals.push_back(busy.migrate(vm, 1));
  EXPECT_THAT(refusals, ElementsAre(Refusal::kNone, Refusal::kNone, Refusal::kNone, Refusal::kNone, Refusal::kBusy,
                                    Refusal::kBusy));
}

TEST(Memory, ResidentRatchetsUntilTheBalloonTakesItBackAQuarterAtATime) {
  SmallCluster small;
  const int vm = small.add_vm(4000, {.active_mib = 100});  // needs 500
  small.set(vm, Series::kMemory, kFirstTick, 2600);        // needs 3000
  small.set(vm, Series::kMemory, kFirstTick + 1, 100);
  Cluster cluster(small.workload());
  EXPECT_DOUBLE_EQ(cluster.vms()[0].resident_mib, 500);
  cluster.settle_memory();
  EXPECT_DOUBLE_EQ(cluster.vms()[0].resident_mib, 3000);
  cluster.advance();
  cluster.settle_memory();
  EXPECT_DOUBLE_EQ(cluster.vms()[0].resident_mib, 3000);
  EXPECT_EQ(cluster.set_balloon(vm, 600), Refusal::kNone);
  EXPECT_DOUBLE_EQ(cluster.vms()[0].balloon_mib, 2000);
  cluster.settle_memory();
  EXPECT_DOUBLE_EQ(cluster.vms()[0].resident_mib, 2000);
  cluster.set_balloon(vm, 600);
  cluster.set_balloon(vm, 1);
  EXPECT_DOUBLE_EQ(cluster.vms()[0].balloon_mib, 400);  // a tenth of its size, and 256 MiB
}

TEST(Memory, ATenthTooMuchKillsTheLargestWhichIsBackAfterTwoTicks) {
  SmallCluster small;
  small.add_vm(6000, {.active_mib = 3000});
  small.add_vm(100, {});
  small.add_vm(6000, {.active_mib = 3000});
  small.workload().vms[1].vcpus = 2;  // so that both large ones are on host 0
  small.set(0, Series::kMemory, kFirstTick, 5400);
  small.set(2, Series::kMemory, kFirstTick, 5000);
  Cluster cluster(small.workload());
  ASSERT_THAT(cluster.hosts()[0].vms, ElementsAre(0, 2));
  cluster.settle_memory();
  const MemoryPressure pressure = cluster.kill_for_memory();
  EXPECT_THAT(pressure.killed, ElementsAre(0));
  EXPECT_DOUBLE_EQ(pressure.excess[0], 0);
  EXPECT_DOUBLE_EQ(cluster.hosts()[0].used_mib, 5600 + 2 * 128);
  EXPECT_EQ(cluster.migrate(0, 1), Refusal::kDown);
  cluster.advance();
  EXPECT_TRUE(cluster.vms()[0].down(cluster.tick()));
  cluster.advance();
  EXPECT_FALSE(cluster.vms()[0].down(cluster.tick()));
}

TEST(Helper, TakesRoomOnItsHostUntilItEnds) {
  SmallCluster small;
  const int vm = small.add_vm(2000, {.active_mib = 1000});
  const int other = small.add_vm(9000, {.active_mib = 8500});  // on host 1: 9000 + 128 of 10000 MiB
  small.workload().vms[0].scalable = true;
  Cluster cluster(small.workload());
  EXPECT_EQ(cluster.start_helper(other, 0), Refusal::kNotScalable);
  EXPECT_EQ(cluster.start_helper(vm, 1), Refusal::kNone);
  EXPECT_EQ(cluster.start_helper(vm, 0), Refusal::kHelped);
  EXPECT_DOUBLE_EQ(cluster.hosts()[1].used_mib, 9000 + 128 + 512 + 128);
  EXPECT_THAT(cluster.hosts()[1].helped, ElementsAre(vm));
  EXPECT_EQ(cluster.hosts()[1].vcpus, 2);
  cluster.end_helper(vm);
  cluster.end_helper(vm);
  EXPECT_DOUBLE_EQ(cluster.hosts()[1].used_mib, 9000 + 128);
  EXPECT_TRUE(cluster.hosts()[1].helped.empty());
  EXPECT_EQ(cluster.hosts()[1].vcpus, 1);
}

TEST(Helper, KeepsItsHostAwakeAndNeedsOneThatIs) {
  SmallCluster small;
  const int vm = small.add_vm(2000, {});
  small.workload().vms[0].scalable = true;
  Cluster cluster(small.workload());
  EXPECT_EQ(cluster.start_helper(vm, 1), Refusal::kNone);
  EXPECT_EQ(cluster.sleep(1), Refusal::kNotEmpty);
  cluster.end_helper(vm);
  EXPECT_EQ(cluster.sleep(1), Refusal::kNone);
  EXPECT_EQ(cluster.start_helper(vm, 1), Refusal::kHostOff);
}

TEST(Helper, EndsWithItsVm) {
  SmallCluster small;
  const int vm = small.add_vm(2000, {});
  small.workload().vms[0].scalable = true;
  small.workload().vms[0].departs = kFirstTick;
  Cluster cluster(small.workload());
  EXPECT_EQ(cluster.start_helper(vm, 1), Refusal::kNone);
  cluster.depart();
  EXPECT_DOUBLE_EQ(cluster.hosts()[1].used_mib, 0);
  EXPECT_TRUE(cluster.hosts()[1].helped.empty());
}

}  // namespace
}  // namespace proteus::simulate::kvm
