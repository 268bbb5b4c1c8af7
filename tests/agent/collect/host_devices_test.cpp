#include "agent/collect/host_devices.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>

#include "tests/agent/collect/fixture_root.h"

namespace proteus::collect {
namespace {

std::optional<std::int64_t> value(const HostDevices& devices, EntityKind kind, const std::string& name, Kpi kpi) {
  for (const Device& device : devices.devices()) {
    if (device.kind != kind || device.name != name) continue;
    for (const Figure& figure : device.figures) {
      if (figure.kpi == kpi) return figure.value;
    }
  }
  return std::nullopt;
}

class HostDevicesTest : public testing::Test {
 protected:
  void SetUp() override {
    root.write("/proc/stat", "cpu  9 9 9 9\ncpu0 1 2 3 4 5 6 7 8 1 1\ncpu1 10 0 0 0 0 0 0 0\nintr 5\n");
    root.write("/sys/devices/system/cpu/online", "0-1\n");
    root.write("/proc/diskstats", disks(100));
    root.write("/sys/block/vda/size", "1\n");
    root.write(
        "/sys/devices/system/node/node0/meminfo",
        "Node 0 MemTotal: 100 kB\nNode 0 MemFree: 10 kB\nNode 0 Inactive(file): 5 kB\nNode 0 SReclaimable: 1 kB\n");
    root.write("/sys/devices/system/node/node0/numastat", "numa_hit 5\nnuma_miss 3\n");
    root.write("/sys/class/powercap/intel-rapl:0/energy_uj", "900\n");
    root.write("/sys/class/powercap/intel-rapl:0/max_energy_range_uj", "1000\n");
    root.write("/sys/class/powercap/intel-rapl:0/name", "package-0\n");
    root.write("/sys/class/powercap/intel-rapl:0:0/energy_uj", "1\n");
    root.write("/sys/class/powercap/intel-rapl:1/energy_uj", "5000\n");
    root.write("/sys/class/powercap/intel-rapl:1/name", "psys\n");
    root.write("/sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "2400000\n");
    root.write("/sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count", "2\n");
  }
  static std::string disks(int busy_ms) {
    return "   7 0 loop0 0 0 0 0 0 0 0 0 0 0 0\n 254 0 vda 3 0 9 1 4 0 8 2 6 " + std::to_string(busy_ms) +
           " 5\n 254 1 vda1 3 0 9 1 4 0 8 2 6 1 5\n";
  }
  FixtureRoot root;
};

TEST_F(HostDevicesTest, NamesEveryPartAndItsFigures) {
  HostDevices devices(root.path());
  EXPECT_TRUE(devices.refresh());
  const std::int64_t tick = 1'000'000'000 / ::sysconf(_SC_CLK_TCK);
  EXPECT_EQ(value(devices, EntityKind::kCpu, "0", Kpi::kCpuUserTimeNs), 3 * tick);
  EXPECT_EQ(value(devices, EntityKind::kCpu, "0", Kpi::kCpuIrqTimeNs), 13 * tick);
  EXPECT_EQ(value(devices, EntityKind::kCpu, "0", Kpi::kCpuStealTimeNs), 8 * tick);
  EXPECT_EQ(value(devices, EntityKind::kCpu, "0", Kpi::kCpuIdleTimeNs), 4 * tick);
  EXPECT_EQ(value(devices, EntityKind::kCpu, "1", Kpi::kCpuUserTimeNs), 10 * tick);
  EXPECT_EQ(value(devices, EntityKind::kCpu, "0", Kpi::kCpuFrequencyKhz), std::nullopt);
  EXPECT_EQ(value(devices, EntityKind::kCpu, "1", Kpi::kCpuFrequencyKhz), 2'400'000);
  EXPECT_EQ(value(devices, EntityKind::kCpu, "1", Kpi::kThermalThrottlesCount), 2);
  EXPECT_EQ(value(devices, EntityKind::kNode, "0", Kpi::kNodeMemoryAvailableBytes), 16 * 1024);
  EXPECT_EQ(value(devices, EntityKind::kNode, "0", Kpi::kNumaMissCount), 3);
  EXPECT_EQ(value(devices, EntityKind::kHostDisk, "vda", Kpi::kDiskBusyTimeNs), 100'000'000);
  EXPECT_EQ(value(devices, EntityKind::kHostDisk, "vda", Kpi::kDiskInFlightCount), 6);
  EXPECT_EQ(value(devices, EntityKind::kPackage, "1", Kpi::kPackageEnergyUj), std::nullopt) << "holds the packages";
  int disk_count = 0;
  for (const Device& device : devices.devices()) disk_count += device.kind == EntityKind::kHostDisk ? 1 : 0;
  EXPECT_EQ(disk_count, 1) << "neither partitions nor unused disks";
}

TEST_F(HostDevicesTest, FollowsTicksAndTheWrapOfAnEnergyCounter) {
  HostDevices devices(root.path());
  devices.refresh();
  EXPECT_EQ(value(devices, EntityKind::kPackage, "0", Kpi::kPackageEnergyUj), 0);
  root.write("/sys/class/powercap/intel-rapl:0/energy_uj", "50\n");
  root.write("/proc/diskstats", disks(170));
  EXPECT_FALSE(devices.refresh());
  EXPECT_EQ(value(devices, EntityKind::kHostDisk, "vda", Kpi::kDiskBusyTimeNs), 170'000'000);
  // Read at every tenth tick, and told only then: repeated it would be no growth, and then all of it at once.
  std::vector<std::int64_t> told;
  for (int i = 0; i < 20; ++i) {
    if (i == 10) root.write("/sys/class/powercap/intel-rapl:0/energy_uj", "70\n");
    devices.refresh();
    if (const auto energy = value(devices, EntityKind::kPackage, "0", Kpi::kPackageEnergyUj)) told.push_back(*energy);
    EXPECT_EQ(value(devices, EntityKind::kCpu, "1", Kpi::kCpuFrequencyKhz), 2'400'000) << "a gauge holds";
  }
  EXPECT_EQ(told, (std::vector<std::int64_t>{150, 170}));
}

TEST_F(HostDevicesTest, AnEnergyCounterThatIsResetHasNotWrapped) {
  // Wide enough that a wrap would be megajoules.
  root.write("/sys/class/powercap/intel-rapl:0/max_energy_range_uj", "262143328850\n");
  root.write("/sys/class/powercap/intel-rapl:0/energy_uj", "50000000000\n");
  HostDevices devices(root.path());
  devices.refresh();
  root.write("/sys/class/powercap/intel-rapl:0/energy_uj", "7000000\n");
  std::optional<std::int64_t> told;
  for (int i = 0; i < 10; ++i) {
    devices.refresh();
    if (const auto energy = value(devices, EntityKind::kPackage, "0", Kpi::kPackageEnergyUj)) told = energy;
  }
  EXPECT_EQ(told, 7'000'000);
}

TEST_F(HostDevicesTest, SumsGoOnWhenADeviceComes) {
  HostDevices devices(root.path());
  devices.refresh();
  root.write("/sys/class/powercap/intel-rapl:0/energy_uj", "50\n");
  for (int i = 0; i < 11; ++i) {
    devices.refresh();
    if (const auto energy = value(devices, EntityKind::kPackage, "0", Kpi::kPackageEnergyUj)) {
      ASSERT_EQ(*energy, 150);
    }
  }
  root.write("/sys/class/powercap/intel-rapl:0/energy_uj", "60\n");
  root.write("/sys/block/sdb/size", "1\n");
  root.write("/proc/diskstats", disks(1) + " 8 16 sdb 1 0 8 1 0 0 0 0 0 9 9\n");
  EXPECT_TRUE(devices.refresh());
  EXPECT_EQ(value(devices, EntityKind::kPackage, "0", Kpi::kPackageEnergyUj), 160);
}

TEST_F(HostDevicesTest, TimesThatTheKernelSetsBackDoNotFall) {
  HostDevices devices(root.path());
  devices.refresh();
  const std::int64_t tick = 1'000'000'000 / ::sysconf(_SC_CLK_TCK);
  root.write("/proc/stat", "cpu  9 9 9 9\ncpu0 1 2 3 3 4 6 7 8 1 1\ncpu1 10 0 0 0 0 0 0 0\nintr 5\n");
  devices.refresh();
  EXPECT_EQ(value(devices, EntityKind::kCpu, "0", Kpi::kCpuIowaitTimeNs), 5 * tick);
  EXPECT_EQ(value(devices, EntityKind::kCpu, "0", Kpi::kCpuIdleTimeNs), 4 * tick);
  root.write("/proc/stat", "cpu  9 9 9 9\ncpu0 1 2 3 6 7 6 7 8 1 1\ncpu1 10 0 0 0 0 0 0 0\nintr 5\n");
  devices.refresh();
  EXPECT_EQ(value(devices, EntityKind::kCpu, "0", Kpi::kCpuIowaitTimeNs), 7 * tick);
}

TEST_F(HostDevicesTest, ADiskThatBeginsToWorkAppears) {
  HostDevices devices(root.path());
  devices.refresh();
  root.write("/sys/block/sdb/size", "1\n");
  root.write("/proc/diskstats", disks(1) + " 8 16 sdb 1 0 8 1 0 0 0 0 0 9 9\n");
  EXPECT_TRUE(devices.refresh());
  EXPECT_EQ(value(devices, EntityKind::kHostDisk, "sdb", Kpi::kDiskBusyTimeNs), 9'000'000);
}

/// A thread's count of sleeps, which is asked before and after each reading; every so many-th of them sleeps.
struct Sleeps {
  int every = 1;
  int readings = 0;
  std::int64_t count = 0;
  bool is_before = true;

  std::int64_t operator()() {
    if (!is_before && ++readings % every == 0) ++count;
    is_before = !is_before;
    return count;
  }
};

TEST_F(HostDevicesTest, FrequenciesWhoseEveryReadingSleepsAreGivenUpAfterEight) {
  Sleeps sleeps{.every = 1};
  HostDevices devices(root.path(), std::ref(sleeps));
  devices.refresh();
  EXPECT_TRUE(devices.frequency_is_told());
  EXPECT_EQ(value(devices, EntityKind::kCpu, "1", Kpi::kCpuFrequencyKhz), 2'400'000) << "it slept, but it told";
  for (int i = 0; i < 100; ++i) devices.refresh();  // ten readings
  EXPECT_FALSE(devices.frequency_is_told());
  EXPECT_EQ(sleeps.readings, 8);
  EXPECT_EQ(value(devices, EntityKind::kCpu, "1", Kpi::kCpuFrequencyKhz), std::nullopt) << "what is not read is absent";
}

// Before 5.19 the files of busy CPUs sleep, those of idle ones do not.
TEST_F(HostDevicesTest, FrequenciesThatSleepAtEveryThirdReadingAreGivenUpLater) {
  Sleeps sleeps{.every = 3};
  HostDevices devices(root.path(), std::ref(sleeps));
  for (int i = 0; i < 1'000; ++i) devices.refresh();
  EXPECT_FALSE(devices.frequency_is_told());
  EXPECT_GT(sleeps.readings, 8);
  EXPECT_LT(sleeps.readings, 100);
}

TEST_F(HostDevicesTest, FrequenciesThatSleepNowAndThenAreReadOn) {
  Sleeps sleeps{.every = 10};
  HostDevices devices(root.path(), std::ref(sleeps));
  for (int i = 0; i < 2'000; ++i) devices.refresh();
  EXPECT_GE(sleeps.readings, 200);
  EXPECT_TRUE(devices.frequency_is_told());
  EXPECT_EQ(value(devices, EntityKind::kCpu, "1", Kpi::kCpuFrequencyKhz), 2'400'000);
}

TEST(HostDevices, TheRealHostHasCpus) {
  HostDevices devices("/");
  ASSERT_TRUE(devices.refresh());
  EXPECT_TRUE(value(devices, EntityKind::kCpu, "0", Kpi::kCpuIdleTimeNs));
}

}  // namespace
}  // namespace proteus::collect
