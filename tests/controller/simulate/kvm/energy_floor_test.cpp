#include "controller/simulate/kvm/energy_floor.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "controller/simulate/kvm/metrics.h"
#include "controller/simulate/kvm/policies/catalogue.h"
#include "controller/simulate/kvm/run.h"
#include "tests/controller/simulate/kvm/small_cluster.h"

namespace proteus::simulate::kvm {
namespace {

/// Of the small cluster over its two thousand ticks, at so many watts.
double kwh(double watts) {
  return watts / 1000 * (kTraceTicks - kFirstTick) * kTick_s / 3600;
}

TEST(EnergyFloor, KeepsOnWhatTheCpuTakes) {
  SmallCluster small;
  small.add_vm(100, {.cpu_mhz = 500});
  EXPECT_NEAR(energy_floor_kwh(small.workload()), kwh(100 + 25 + 8), 1e-9);
  small.add_vm(100, {.cpu_mhz = 1700});  // its one vCPU can do 1000
  EXPECT_NEAR(energy_floor_kwh(small.workload()), kwh(100 + 75 + 8), 1e-9);
  for (int i = 0; i < 2; ++i) small.add_vm(100, {.cpu_mhz = 400});
  EXPECT_NEAR(energy_floor_kwh(small.workload()), kwh(200 + 115), 1e-9);
}

TEST(EnergyFloor, KeepsOnWhatTheMemoryTakes) {
  SmallCluster small;
  small.add_vm(10000, {.active_mib = 3900});  // with its kernel and QEMU's own 5028
  EXPECT_NEAR(energy_floor_kwh(small.workload()), kwh(100 + 8), 1e-9);
  small.add_vm(10000, {.active_mib = 3900});
  EXPECT_NEAR(energy_floor_kwh(small.workload()), kwh(200), 1e-9);
}

TEST(EnergyFloor, CountsVmsOnlyWhileTheyAreThere) {
  SmallCluster small;
  small.add_vm(100, {.cpu_mhz = 1000});
  small.workload().vms[0].arrives = kFirstTick + 16;
  small.workload().vms[0].departs = kFirstTick + 1016;
  EXPECT_NEAR(energy_floor_kwh(small.workload()), (1000 * kwh(158) + 1016 * kwh(16)) / 2016, 1e-9);
}

TEST(EnergyFloor, IsBelowEveryPolicyOnSmall) {
  const char* const data = PROTEUS_SOURCE_DIR "/../shared/data/kvm";
  if (!std::filesystem::exists(std::string(data) + "/vms.csv")) GTEST_SKIP() << "no traces in " << data;
  const Result<Traces> traces = read_traces(data);
  ASSERT_TRUE(traces);
  const Result<Workload> workload = generate(*traces, "small", 1);
  ASSERT_TRUE(workload);
  const double floor_kwh = energy_floor_kwh(*workload);
  for (const char* name : {"none", "threshold", "mfped", "peakday", "search-hour", "oracle", "proteus-rules"}) {
    const auto policy = make_policy(name, *workload);
    ASSERT_TRUE(policy);
    const Metrics m = run(*workload, **policy).metrics;
    EXPECT_LT(floor_kwh, m.energy_kwh) << name;
    EXPECT_LT(floor_kwh * kEnergyPrice_eur_kwh, m.cost_eur) << name;
  }
}

}  // namespace
}  // namespace proteus::simulate::kvm
