#include "controller/simulate/kvm/tick.h"

#include <gtest/gtest.h>

#include "controller/simulate/kvm/metrics.h"
#include "tests/controller/simulate/kvm/small_cluster.h"

namespace proteus::simulate::kvm {
namespace {

TEST(Tick, AQuietHostServesEverythingAndDrawsPowerInProportion) {
  SmallCluster small;
  small.add_vm(1000, {.cpu_mhz = 500});
  Cluster cluster(small.workload());
  const TickOutcome outcome = simulate_tick(cluster);
  EXPECT_DOUBLE_EQ(outcome.vms[0].loss, 0);
  EXPECT_DOUBLE_EQ(outcome.vms[0].cpu_mhz, 500);
  EXPECT_DOUBLE_EQ(outcome.hosts[0].power_w, 100 + 100 * 0.25);
  EXPECT_DOUBLE_EQ(outcome.hosts[1].power_w, 100);
  EXPECT_EQ(cluster.tick(), kFirstTick + 1);
}

TEST(Tick, AVcpuGetsNoMoreThanACore) {
  SmallCluster small;
  small.add_vm(1000, {.cpu_mhz = 1250});
  Cluster cluster(small.workload());
  EXPECT_NEAR(simulate_tick(cluster).vms[0].loss, 0.2, 1e-12);
}

TEST(Tick, DiskAndNetworkStretchWhatAVmDoes) {
  SmallCluster small;
  small.add_vm(1000, {.disk_kbs = 500, .network_kbs = 62500});
  Cluster cluster(small.workload());
  const TickOutcome outcome = simulate_tick(cluster);
  const double disk = 500.0 / 50500;
  const double network = 62500.0 / 82500;
  EXPECT_NEAR(outcome.vms[0].loss, 1 - 1 / (1 + disk) / (1 + network), 1e-12);  // both stretched to 2
}

TEST(Tick, AHelperTakesHalfOfTheWorkFromTheNextTickOn) {
  SmallCluster small;
  const int vm = small.add_vm(1000, {.cpu_mhz = 1250});
  small.workload().vms[0].scalable = true;
  Cluster cluster(small.workload());
  cluster.start_helper(vm, 1);
  EXPECT_NEAR(simulate_tick(cluster).vms[0].loss, 0.2, 1e-12);  // its one vCPU gets a core of 1000 MHz
  const TickOutcome outcome = simulate_tick(cluster);
  EXPECT_NEAR(outcome.vms[0].loss, 0, 1e-12);
  EXPECT_NEAR(outcome.vms[0].cpu_mhz, 1250, 1e-9);
  EXPECT_NEAR(outcome.hosts[0].demand_mhz, 625, 1e-9);
  EXPECT_NEAR(outcome.hosts[1].demand_mhz, 1.1 * 625, 1e-9);
  cluster.end_helper(vm);
  EXPECT_NEAR(simulate_tick(cluster).vms[0].loss, 0.2, 1e-12);
}

TEST(Tick, AHelperHasOneCore) {
  SmallCluster small;
  const int vm = small.add_vm(1000, {.cpu_mhz = 2000});
  small.workload().vms[0].scalable = true;
  small.workload().vms[0].vcpus = 2;
  Cluster cluster(small.workload());
  cluster.start_helper(vm, 1);
  simulate_tick(cluster);
  const TickOutcome outcome = simulate_tick(cluster);
  EXPECT_NEAR(outcome.hosts[1].demand_mhz, 1000, 1e-9);
  EXPECT_NEAR(outcome.hosts[0].demand_mhz, 2000 - 1000 / 1.1, 1e-9);
}

TEST(Tick, AHelperSharesWhatSurroundsItsVm) {
  SmallCluster small;
  const int vm = small.add_vm(4000, {.cpu_mhz = 500, .active_mib = 100});
  small.workload().vms[0].scalable = true;
  Cluster cluster(small.workload());
  cluster.set_balloon(vm, 400);  // needs 500
  const double alone = simulate_tick(cluster).vms[0].loss;
  cluster.start_helper(vm, 1);
  simulate_tick(cluster);
  EXPECT_NEAR(simulate_tick(cluster).vms[0].loss, alone, 1e-12);
}

TEST(Tick, PartnersApartLoseATenth) {
  SmallCluster small;
  small.add_vm(1000, {});
  small.add_vm(1000, {});
  Cluster cluster(small.workload());  // placed apart, as nothing ties them
  small.workload().vms[0].partner = 1;
  EXPECT_NEAR(simulate_tick(cluster).vms[0].loss, 0.1, 1e-12);
}

TEST(Tick, ABalloonBelowTheNeedMakesTheGuestSwap) {
  SmallCluster small;
  const int vm = small.add_vm(4000, {.active_mib = 100});
  Cluster cluster(small.workload());
  cluster.set_balloon(vm, 400);
  const TickOutcome outcome = simulate_tick(cluster);  // needs 500
  EXPECT_TRUE(outcome.vms[0].guest_swap);
  EXPECT_NEAR(outcome.vms[0].loss, 1 - 1 / (1 + 10 * 0.2), 1e-12);
}

TEST(Tick, AMigrationCostsATenthOfItsTimeAtTheSourceAndItsDowntime) {
  SmallCluster small;
  const int vm = small.add_vm(8000, {.cpu_mhz = 100, .active_mib = 5000});
  Cluster cluster(small.workload());
  ASSERT_EQ(cluster.migrate(vm, 1), Refusal::kNone);
  const MigrationTally tally = cluster.start_migrations();
  ASSERT_LT(tally.seconds, 300);
  const double source = tally.seconds / 300;
  const double network = 0.8 * source;  // of both hosts' links, while it lasts
  ASSERT_LT(network, 0.9);
  const TickOutcome outcome = simulate_tick(cluster);
  EXPECT_NEAR(outcome.vms[0].loss, 1 - (1 - 0.1 * source) * (1 - tally.downtime_s / 300), 1e-12);
  EXPECT_NEAR(outcome.hosts[0].demand_mhz, 100 * source, 1e-9);
  EXPECT_NEAR(outcome.hosts[1].demand_mhz, 100 * (1 - source), 1e-9);
  EXPECT_NEAR(outcome.hosts[1].overhead_mhz, source * 97.65625, 1e-9);
  EXPECT_EQ(cluster.vms()[0].host, 1);
}

TEST(Tally, AddsUpTheBill) {
  SmallCluster small;
  small.add_vm(1000, {.cpu_mhz = 1250});
  Cluster cluster(small.workload());
  Tally tally;
  for (int i = 0; i < 12; ++i) {
    const int tick = cluster.tick();
    const TickOutcome outcome = simulate_tick(cluster);
    tally.add(cluster, tick, outcome, {});
  }
  const Metrics m = tally.metrics();
  EXPECT_NEAR(m.energy_kwh, 0.150 + 0.100, 1e-12);
  EXPECT_NEAR(m.sla_eur, 10 * 1 * (0.2 - 0.05), 1e-9);
  EXPECT_NEAR(m.cost_eur, 0.25 * 0.35 + 1.5, 1e-9);
  EXPECT_DOUBLE_EQ(m.contention_s, 3600);
  EXPECT_DOUBLE_EQ(m.contention_share, 1);
  EXPECT_NEAR(m.unmet_cpu_share, 0.2, 1e-12);
  EXPECT_NEAR(m.loss_p99, 0.2, 1e-6);
  EXPECT_DOUBLE_EQ(m.mean_hosts_on, 2);
}

}  // namespace
}  // namespace proteus::simulate::kvm
