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
  const VmCgroupFigures& figures = files.read(1, {});
  EXPECT_EQ(figures.cpu_pressure_some_ns, 1000);
  EXPECT_EQ(figures.memory_pressure_some_ns, 3000);
  EXPECT_EQ(figures.memory_pressure_full_ns, 4000);
  EXPECT_EQ(figures.io_pressure_some_ns, std::nullopt) << "this group has no such file";
  EXPECT_EQ(figures.working_set_bytes, 100);
  EXPECT_EQ(figures.refaults_count, 11);
  EXPECT_EQ(figures.swap_bytes, 4096);

  root.write("/g/memory.stat", "active_anon 7\nactive_file 0\n");
  root.write("/g/cpu.pressure", "some total=9\n");
  EXPECT_EQ(files.read(2, {}).working_set_bytes, 100) << "of the last reading";
  EXPECT_EQ(figures.refaults_count, std::nullopt) << "a counter is told when it is read: else it would stand still";
  EXPECT_EQ(files.read(2, {.run_queue_wait_ns = 5'000'000}).cpu_pressure_some_ns, 9000);
  EXPECT_EQ(files.read(10, {}).working_set_bytes, 100);
  EXPECT_EQ(files.read(30, {}).working_set_bytes, 7);
  root.write("/g/memory.stat", "active_anon 8\nactive_file 0\nworkingset_refault_anon 9\n");
  EXPECT_EQ(files.read(31, {.now = std::chrono::steady_clock::time_point(std::chrono::seconds(35))}).working_set_bytes,
            7);
  EXPECT_EQ(files.read(32, {.now = std::chrono::steady_clock::time_point(std::chrono::seconds(36))}).working_set_bytes,
            8)
      << "ticks that are long";
  EXPECT_EQ(figures.refaults_count, 9);
}

// The kernel has not had to look which memory is in use: the active list says nothing.
TEST(VmCgroupFiles, WithoutAnActiveListThereIsNoWorkingSet) {
  VmCgroupFigures untouched;
  parse_memory_stat("inactive_anon 258502656\nactive_anon 4096\n", untouched);
  EXPECT_EQ(untouched.working_set_bytes, std::nullopt);
  VmCgroupFigures looked_at;
  parse_memory_stat("inactive_anon 201326592\nactive_anon 67108864\n", looked_at);
  EXPECT_EQ(looked_at.working_set_bytes, 67108864);
}

TEST(VmCgroupFiles, MemoryIsReadMoreOftenWhereItIsShort) {
  const FixtureRoot root;
  root.write("/g/memory.stat", "active_anon 1\nactive_file 0\n");
  VmGroups groups;
  groups.memory = root.path() + "/g";
  VmCgroupFiles files(groups);
  EXPECT_EQ(files.read(1, {.faults_major_count = 5}).working_set_bytes, 1) << "the first time";
  root.write("/g/memory.stat", "active_anon 2\nactive_file 0\n");
  EXPECT_EQ(files.read(10, {.faults_major_count = 5}).working_set_bytes, 1) << "nothing has happened";
  EXPECT_EQ(files.read(11, {.faults_major_count = 6}).working_set_bytes, 1);
  EXPECT_EQ(files.read(20, {.faults_major_count = 6}).working_set_bytes, 2);
  root.write("/g/memory.stat", "active_anon 3\nactive_file 0\n");
  EXPECT_EQ(files.read(29, {.faults_major_count = 6}).working_set_bytes, 2);
  EXPECT_EQ(files.read(30, {.faults_major_count = 6}).working_set_bytes, 3);
}

group_pressure totals(std::uint64_t cpu_ns, std::uint64_t io_ns, std::uint64_t memory_ns, std::uint64_t full_ns) {
  return {.cpu_some_ns = cpu_ns,
          .io_some_ns = io_ns,
          .memory_some_ns = memory_ns,
          .memory_full_ns = full_ns,
          .valid = 1,
          .exact = 0};
}

TEST(VmCgroupFiles, TheKernelsTotalsStandForFilesWhileLittleMoves) {
  const FixtureRoot root;
  root.write("/g/cpu.pressure", "some total=1000\n");
  root.write("/g/io.pressure", "some total=2000\n");
  root.write("/g/memory.pressure", "some total=3000\nfull total=4000\n");
  VmGroups groups;
  groups.unified = root.path() + "/g";
  VmCgroupFiles files(groups);
  // the files once, then closely, as these totals are news
  for (std::uint64_t tick = 1; tick <= 6; ++tick) files.read(tick, {.pressure = totals(9, 2'000'000, 9, 9)});
  root.write("/g/cpu.pressure", "some total=1001\n");
  root.write("/g/io.pressure", "some total=2001\n");
  const VmCgroupFigures& figures = files.read(7, {.pressure = totals(1'004'000, 2'004'000, 3'000'007, 4'000'001)});
  EXPECT_EQ(figures.cpu_pressure_some_ns, 1'004'000);
  EXPECT_EQ(figures.io_pressure_some_ns, 2'004'000);
  EXPECT_EQ(figures.memory_pressure_some_ns, 3'000'007);
  EXPECT_EQ(figures.memory_pressure_full_ns, 4'000'001);
  files.read(8, {.pressure = totals(1'000'000, 2'000'000, 3'000'000, 4'000'000)});
  EXPECT_EQ(figures.io_pressure_some_ns, 2'004'000) << "never back";

  root.write("/g/io.pressure", "some total=9000\n");
  root.write("/g/cpu.pressure", "some total=8000\n");
  files.read(9, {.pressure = totals(1'004'000, 7'004'000, 3'000'007, 4'000'001)});
  EXPECT_EQ(figures.io_pressure_some_ns, 9'000'000) << "moved by 5 ms: the file says it to the moment";
  EXPECT_EQ(figures.cpu_pressure_some_ns, 1'004'000);
  root.write("/g/io.pressure", "some total=9500\n");
  files.read(10, {.pressure = totals(1'004'000, 7'004'000, 3'000'007, 4'000'001)});
  EXPECT_EQ(figures.io_pressure_some_ns, 9'500'000) << "and at the ticks that follow";
  files.read(11, {.run_queue_wait_ns = 5'000'000, .pressure = totals(1'004'000, 7'004'000, 3'000'007, 4'000'001)});
  EXPECT_EQ(figures.cpu_pressure_some_ns, 8'000'000) << "threads have waited";
}

TEST(VmCgroupFiles, PressureThatStandsStillIsReadAtEveryFifthTick) {
  const FixtureRoot root;
  root.write("/g/io.pressure", "some total=1\n");
  VmGroups groups;
  groups.unified = root.path() + "/g";
  VmCgroupFiles files(groups);
  for (std::uint64_t tick = 1; tick <= 11; ++tick) files.read(tick, {});
  root.write("/g/io.pressure", "some total=2\n");
  EXPECT_EQ(files.read(12, {}).io_pressure_some_ns, 1000);
  EXPECT_EQ(files.read(15, {}).io_pressure_some_ns, 2000);
  root.write("/g/io.pressure", "some total=3\n");
  EXPECT_EQ(files.read(16, {}).io_pressure_some_ns, 3000) << "it moves";
}

TEST(VmCgroupFiles, PressureOnTheCpuIsReadWhenThreadsHaveWaited) {
  const FixtureRoot root;
  root.write("/g/cpu.pressure", "some total=1\n");
  VmGroups groups;
  groups.unified = root.path() + "/g";
  VmCgroupFiles files(groups);
  EXPECT_EQ(files.read(1, {.run_queue_wait_ns = 70'000'000}).cpu_pressure_some_ns, 1000)
      << "the first time, whatever they waited before";
  root.write("/g/cpu.pressure", "some total=2\n");
  EXPECT_EQ(files.read(2, {.run_queue_wait_ns = 74'900'000}).cpu_pressure_some_ns, 1000) << "less than 5 ms";
  EXPECT_EQ(files.read(3, {.run_queue_wait_ns = 75'000'000}).cpu_pressure_some_ns, 2000);
  root.write("/g/cpu.pressure", "some total=3\n");
  EXPECT_EQ(files.read(4, {.run_queue_wait_ns = 75'000'001}).cpu_pressure_some_ns, 2000);
  EXPECT_EQ(files.read(5, {.run_queue_wait_ns = 75'000'001}).cpu_pressure_some_ns, 3000) << "every fifth tick";
  root.write("/g/cpu.pressure", "some total=4\n");
  EXPECT_EQ(files.read(6, {.run_queue_wait_ns = 1'000'000}).cpu_pressure_some_ns, 4000)
      << "a new process counts from zero";
}

TEST(VmCgroupFiles, AnExactTotalOfTheCpuSparesItsFile) {
  const FixtureRoot root;
  root.write("/g/cpu.pressure", "some total=1\n");
  VmGroups groups;
  groups.unified = root.path() + "/g";
  VmCgroupFiles files(groups);
  EXPECT_TRUE(files.wants_exact(0)) << "the first time";
  group_pressure exact = totals(7'000, 0, 0, 0);
  exact.exact = 1;
  EXPECT_EQ(files.read(1, {.run_queue_wait_ns = 0, .pressure = exact}).cpu_pressure_some_ns, 7'000);
  EXPECT_FALSE(files.wants_exact(4'999'999));
  EXPECT_TRUE(files.wants_exact(5'000'000));
  exact.cpu_some_ns = 6'000;
  EXPECT_EQ(files.read(2, {.run_queue_wait_ns = 5'000'000, .pressure = exact}).cpu_pressure_some_ns, 7'000)
      << "never back";
  EXPECT_FALSE(files.wants_exact(9'999'999));
  EXPECT_FALSE(VmCgroupFiles(VmGroups{}).wants_exact(1 << 30)) << "no file, no figure";
}

TEST(VmCgroupFiles, ReadsV1sTotals) {
  const FixtureRoot root;
  root.write("/g/memory.stat",
             "active_anon 1\nswap 1\nworkingset_refault_anon 1\ntotal_active_anon 100\ntotal_active_file 20\n"
             "total_swap 8192\ntotal_workingset_refault_anon 5\ntotal_workingset_refault_file 6\n");
  VmGroups groups;
  groups.memory = root.path() + "/g";
  VmCgroupFiles files(groups);
  const VmCgroupFigures& figures = files.read(1, {});
  EXPECT_EQ(figures.working_set_bytes, 100);
  EXPECT_EQ(figures.refaults_count, 11);
  EXPECT_EQ(figures.swap_bytes, 8192);
  EXPECT_EQ(figures.cpu_pressure_some_ns, std::nullopt);
}

TEST(VmCgroupFiles, AVmWithoutGroupsHasNoFigures) {
  VmCgroupFiles files(VmGroups{});
  EXPECT_EQ(files.read(0, {}).working_set_bytes, std::nullopt);
}

}  // namespace
}  // namespace proteus::collect
