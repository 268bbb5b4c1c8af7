#include "agent/collect/vm_cgroup_files.h"

#include <gtest/gtest.h>

#include "tests/agent/collect/fixture_root.h"

namespace proteus::collect {
namespace {

TEST(VmCgroupFiles, ReadsV2) {
  const FixtureRoot root;
  root.write("/g/cpu.pressure", "some total=1\nfull total=2\n");
  root.write("/g/memory.pressure", "some avg10=0.00 total=3\nfull avg10=0.00 total=4\n");
  root.write("/g/memory.stat",
             "anon 9\nactive_anon 100\nactive_file 20\nworkingset_refault_anon 5\nworkingset_refault_file 6\n");
  root.write("/g/memory.swap.current", "4096\n");
  VmGroups groups;
  groups.memory = groups.unified = root.path() + "/g";
  VmCgroupFiles files(groups);
  const VmCgroupFigures& figures = files.read(1, 0);
  EXPECT_EQ(figures.cpu_pressure_some_ns, 1000);
  EXPECT_EQ(figures.memory_pressure_some_ns, 3000);
  EXPECT_EQ(figures.memory_pressure_full_ns, 4000);
  EXPECT_EQ(figures.io_pressure_some_ns, std::nullopt) << "this group has no such file";
  EXPECT_EQ(figures.working_set_bytes, 120);
  EXPECT_EQ(figures.refaults_count, 11);
  EXPECT_EQ(figures.swap_bytes, 4096);

  root.write("/g/memory.stat", "active_anon 7\nactive_file 0\n");
  root.write("/g/cpu.pressure", "some total=9\n");
  EXPECT_EQ(files.read(2, 0).working_set_bytes, 120) << "of the last reading";
  EXPECT_EQ(files.read(2, 5'000'000).cpu_pressure_some_ns, 9000);
  EXPECT_EQ(files.read(10, 0).working_set_bytes, 7);
}

TEST(VmCgroupFiles, PressureThatStandsStillIsReadAtEveryFifthTick) {
  const FixtureRoot root;
  root.write("/g/io.pressure", "some total=1\n");
  VmGroups groups;
  groups.unified = root.path() + "/g";
  VmCgroupFiles files(groups);
  for (std::uint64_t tick = 1; tick <= 11; ++tick) files.read(tick, 0);
  root.write("/g/io.pressure", "some total=2\n");
  EXPECT_EQ(files.read(12, 0).io_pressure_some_ns, 1000);
  EXPECT_EQ(files.read(15, 0).io_pressure_some_ns, 2000);
  root.write("/g/io.pressure", "some total=3\n");
  EXPECT_EQ(files.read(16, 0).io_pressure_some_ns, 3000) << "it moves";
}

TEST(VmCgroupFiles, PressureOnTheCpuIsReadWhenThreadsHaveWaited) {
  const FixtureRoot root;
  root.write("/g/cpu.pressure", "some total=1\n");
  VmGroups groups;
  groups.unified = root.path() + "/g";
  VmCgroupFiles files(groups);
  EXPECT_EQ(files.read(1, 70'000'000).cpu_pressure_some_ns, 1000) << "the first time, whatever they waited before";
  root.write("/g/cpu.pressure", "some total=2\n");
  EXPECT_EQ(files.read(2, 74'900'000).cpu_pressure_some_ns, 1000) << "less than 5 ms";
  EXPECT_EQ(files.read(3, 75'000'000).cpu_pressure_some_ns, 2000);
  root.write("/g/cpu.pressure", "some total=3\n");
  EXPECT_EQ(files.read(4, 75'000'001).cpu_pressure_some_ns, 2000);
  EXPECT_EQ(files.read(5, 75'000'001).cpu_pressure_some_ns, 3000) << "every fifth tick";
  root.write("/g/cpu.pressure", "some total=4\n");
  EXPECT_EQ(files.read(6, 1'000'000).cpu_pressure_some_ns, 4000) << "a new process counts from zero";
}

TEST(VmCgroupFiles, ReadsV1sTotals) {
  const FixtureRoot root;
  root.write("/g/memory.stat",
             "active_anon 1\nswap 1\nworkingset_refault_anon 1\ntotal_active_anon 100\ntotal_active_file 20\n"
             "total_swap 8192\ntotal_workingset_refault_anon 5\ntotal_workingset_refault_file 6\n");
  VmGroups groups;
  groups.memory = root.path() + "/g";
  VmCgroupFiles files(groups);
  const VmCgroupFigures& figures = files.read(1, 0);
  EXPECT_EQ(figures.working_set_bytes, 120);
  EXPECT_EQ(figures.refaults_count, 11);
  EXPECT_EQ(figures.swap_bytes, 8192);
  EXPECT_EQ(figures.cpu_pressure_some_ns, std::nullopt);
}

TEST(VmCgroupFiles, AVmWithoutGroupsHasNoFigures) {
  VmCgroupFiles files(VmGroups{});
  EXPECT_EQ(files.read(0, 0).working_set_bytes, std::nullopt);
}

}  // namespace
}  // namespace proteus::collect
