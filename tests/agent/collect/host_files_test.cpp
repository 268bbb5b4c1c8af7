#include "agent/collect/host_files.h"

#include <gtest/gtest.h>

#include "tests/agent/collect/fixture_root.h"

namespace proteus::collect {
namespace {

constexpr const char* kMeminfo =
    "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8000000 kB\n";

void plain_host(const FixtureRoot& root) {
  root.write("/proc/stat", "cpu  100 20 30 1000 50 5 5 0 70 0\ncpu0 1 1 1 1 1 1 1 0 0 0\n");
  root.write("/proc/meminfo", kMeminfo);
  root.write("/proc/pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500\n");
  root.write("/proc/pressure/memory", "some avg10=0.00 total=7\nfull avg10=0.00 total=3\n");
  root.write("/sys/devices/system/cpu/online", "0-3,8\n");
}

/// The last of so many readings.
HostFigures read_times(HostFiles& files, int count) {
  HostFigures figures;
  for (int i = 0; i < count; ++i) figures = files.read();
  return figures;
}

TEST(HostFiles, ReadsAHostWithoutControlGroupsFromProcfs) {
  const FixtureRoot root;
  plain_host(root);
  const HostFigures f = HostFiles(root.path()).read();
  EXPECT_EQ(f.pressure_cpu_ns, 1'500'000);
  EXPECT_EQ(f.pressure_memory_ns, 7'000);
  EXPECT_EQ(f.pressure_io_ns, std::nullopt) << "missing is absent, not zero";
  EXPECT_EQ(f.cpu_time_ns, 160 * 10'000'000LL) << "user nice system irq softirq, in ticks of 10 ms";
  EXPECT_EQ(f.cpu_capacity_millicores, 5000);
  EXPECT_EQ(f.memory_total_bytes, 16'000'000LL * 1024);
  EXPECT_EQ(f.memory_available_bytes, 8'000'000LL * 1024);
}

TEST(HostFiles, ASliceWithAQuotaIsASmallHostV1) {
  const FixtureRoot root;
  plain_host(root);
  root.write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "75000\n");
  root.write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "50000\n");
  root.write("/sys/fs/cgroup/cpuacct/cpuacct.usage", "123456789\n");
  root.write("/sys/fs/cgroup/unified/cpu.pressure", "some avg10=0.00 total=9\nfull avg10=0.00 total=1\n");
  root.write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1000000000\n");
  root.write("/sys/fs/cgroup/memory/memory.usage_in_bytes", "700000000\n");
  root.write("/sys/fs/cgroup/memory/memory.stat", "cache 1\ntotal_inactive_file 100000000\n");
  HostFiles files(root.path());
  const HostFigures f = files.read();
  EXPECT_EQ(f.cpu_capacity_millicores, 1500);
  EXPECT_EQ(f.cpu_time_ns, 123456789);
  EXPECT_EQ(f.pressure_cpu_ns, 9'000) << "the slice's own pressure, not the machine's";
  EXPECT_EQ(f.memory_total_bytes, 1'000'000'000);
  EXPECT_EQ(f.memory_available_bytes, 400'000'000);

  root.write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(files.read().cpu_capacity_millicores, 1500) << "which hardly ever changes";
  EXPECT_EQ(read_times(files, 9).cpu_capacity_millicores, 5000) << "but a quota may be lifted while we run";
}

TEST(HostFiles, ASliceWithAQuotaIsASmallHostV2) {
  const FixtureRoot root;
  plain_host(root);
  root.write("/sys/fs/cgroup/cpu.max", "150000 100000\n");
  root.write("/sys/fs/cgroup/cpu.stat", "usage_usec 2900\nuser_usec 1500\nsystem_usec 500\n");
  root.write("/sys/fs/cgroup/memory.max", "max\n");
  HostFiles files(root.path());
  HostFigures f = files.read();
  EXPECT_EQ(f.cpu_capacity_millicores, 1500);
  EXPECT_EQ(f.cpu_time_ns, 2'000'000);
  EXPECT_EQ(f.memory_total_bytes, 16'000'000LL * 1024);
  root.write("/sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(read_times(files, 10).cpu_capacity_millicores, 5000);
}

TEST(HostFiles, AHostThatSaysNothingHasNoFigures) {
  const FixtureRoot root;
  const HostFigures f = HostFiles(root.path()).read();
  EXPECT_FALSE(f.cpu_time_ns);
  EXPECT_FALSE(f.cpu_capacity_millicores);
  EXPECT_FALSE(f.memory_total_bytes);
  EXPECT_FALSE(f.pressure_cpu_ns);
}

TEST(CountCpuList, CountsRangesAndSingles) {
  EXPECT_EQ(count_cpu_list("0"), 1);
  EXPECT_EQ(count_cpu_list("0-3,8,10-11\n"), 7);
  EXPECT_EQ(count_cpu_list(""), std::nullopt);
  EXPECT_EQ(count_cpu_list("3-1"), std::nullopt);
  EXPECT_EQ(count_cpu_list("x"), std::nullopt);
}

TEST(ParsePressure, TakesTheSomeLine) {
  EXPECT_EQ(parse_pressure_total_ns("full total=5\nsome avg10=1.00 total=6\n", "some"), 6000);
  EXPECT_EQ(parse_pressure_total_ns("some total=6\nfull avg10=1.00 total=5\n", "full"), 5000);
  EXPECT_EQ(parse_pressure_total_ns("full total=5\n", "some"), std::nullopt);
  EXPECT_EQ(parse_pressure_total_ns("some avg10=1.00\n", "some"), std::nullopt);
}

TEST(ParseTcpRetransmits, FindsTheColumnByItsName) {
  const std::string text = "Ip: A B\nIp: 1 2\nTcp: ActiveOpens RetransSegs InErrs\nTcp: 5 77 0\n";
  EXPECT_EQ(parse_tcp_retransmits(text), 77);
  EXPECT_EQ(parse_tcp_retransmits("Tcp: A\nTcp: 1\n"), std::nullopt);
  EXPECT_EQ(parse_tcp_retransmits("Tcp: RetransSegs\n"), std::nullopt);
}

}  // namespace
}  // namespace proteus::collect
