#include "agent/collect/check.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "agent/collect/bpf_support.h"
#include "agent/collect/kvm_reader.h"
#include "agent/collect/probe.h"
#include "common/kpi.h"
#include "tests/agent/collect/fixture_root.h"

namespace proteus {
namespace {

CollectorOptions bare(const std::string& root) {
  CollectorOptions o;
  o.host = HostId("h");
  o.root = root;
  o.libvirt_uri = "";
  o.kernel_programs = false;
  return o;
}

/// The row of a figure where libvirt tells what VMs there are: its test driver does.
CheckRow checked(Kpi kpi, const collect::FixtureRoot& root) {
  CollectorOptions o = bare(root.path());
  o.libvirt_uri = "test:///default";
  for (const CheckRow& row : run_checks(o)) {
    if (row.subject == info(kpi).name) return row;
  }
  ADD_FAILURE() << info(kpi).name << " has no row";
  return {};
}

TEST(Check, EveryKpiHasARowAndEveryAbsenceAReason) {
  const collect::FixtureRoot root;
  const auto rows = run_checks(bare(root.path()));
  std::set<std::string> subjects;
  for (const CheckRow& row : rows) {
    EXPECT_TRUE(subjects.insert(row.subject).second) << row.subject << " twice";
    EXPECT_FALSE(row.reason.empty()) << row.subject;
  }
  for (const KpiInfo& kpi : kpi_table()) EXPECT_EQ(subjects.count(std::string(kpi.name)), 1u) << kpi.name;
}

TEST(Check, AnEmptyHostHasNoHostFigures) {
  const collect::FixtureRoot root;
  for (const CheckRow& row : run_checks(bare(root.path()))) {
    for (const char* absent :
         {"host_pressure_cpu_ns", "host_cpu_time_ns", "host_memory_total_bytes", "vm_state", "cpu_throttled_time_ns",
          "capability.psi", "capability.libvirt", "capability.cgroup_v2"}) {
      if (row.subject == absent) {
        EXPECT_FALSE(row.available) << absent;
      }
    }
  }
}

TEST(Check, KvmWithoutTheProcessorsHelpHasNoExits) {
  const collect::FixtureRoot root;
  root.write("/sys/module/kvm/refcnt", "1\n");
#if defined(__x86_64__)
  EXPECT_FALSE(collect::probe_hardware_kvm(root.path()).available);
  root.write("/sys/module/kvm_pvm/refcnt", "1\n");
  EXPECT_NE(collect::probe_hardware_kvm(root.path()).reason.find("kvm_pvm"), std::string::npos);
  root.write("/sys/module/kvm_amd/refcnt", "1\n");
  EXPECT_TRUE(collect::probe_hardware_kvm(root.path()).available);
#endif
}

TEST(Check, NamesWhatAnOlderKvmDoesNotKeep) {
  const auto missing = collect::missing_kvm_figures([](const std::string& type, const std::string& member) {
    return type == "kvm_vcpu_stat" && member == "directed_yield_attempted";  // as Linux 5.14 does
  });
  const auto row_of = [&missing](Kpi kpi) { return kvm_row(info(kpi), {true, "read"}, missing); };
  for (const Kpi kpi : {Kpi::kMappedPages4k, Kpi::kMappedPages2m, Kpi::kHaltWaitNs}) {
    EXPECT_FALSE(row_of(kpi).available) << row_of(kpi).subject;
    EXPECT_NE(row_of(kpi).reason.find("since 5.15"), std::string::npos) << row_of(kpi).reason;
  }
  EXPECT_NE(row_of(Kpi::kSecondLevelFaultsCount).reason.find("pf_taken (since 5.19"), std::string::npos);
  EXPECT_TRUE(row_of(Kpi::kDirectedYieldsCount).available);
  EXPECT_TRUE(row_of(Kpi::kKvmExitsCount).available);
  EXPECT_EQ(kvm_row(info(Kpi::kMappedPages4k), {false, "no KVM"}, missing).reason, "no KVM");
}

TEST(Check, AKernelIsAskedForMembersOfItsStructs) {
  if (!collect::has_kernel_type("task_struct")) GTEST_SKIP() << "no type information";
  EXPECT_TRUE(collect::has_kernel_member("task_struct", "tgid", "kvm"));
  EXPECT_FALSE(collect::has_kernel_member("task_struct", "no_such_member", "kvm"));
  // struct page { unsigned long flags; union { struct { …; struct address_space *mapping; … }; … }; … }
  EXPECT_TRUE(collect::has_kernel_member("page", "mapping", "kvm")) << "a member of one without a name is its own";
  EXPECT_FALSE(collect::has_kernel_member("no_such_struct", "tgid", "kvm"));
}

TEST(Check, MergedPagesAreNotToldByAKernelThatDoesNotCountThemByProcess) {
  const collect::FixtureRoot root;
  const CheckRow absent = checked(Kpi::kKsmMergedPages, root);
  EXPECT_FALSE(absent.available);
  EXPECT_EQ(absent.reason, "this kernel does not count them by process (since 5.19, with CONFIG_KSM)");
  root.write("/proc/self/ksm_merging_pages", "0\n");
  const CheckRow told = checked(Kpi::kKsmMergedPages, root);
  EXPECT_TRUE(told.available) << told.reason;
}

TEST(Check, WaitsAreNotToldByAKernelThatDoesNotKeepThem) {
  const collect::FixtureRoot root;
  for (const Kpi kpi : {Kpi::kRunQueueWaitNs, Kpi::kDispatchesCount}) {
    const CheckRow absent = checked(kpi, root);
    EXPECT_FALSE(absent.available) << absent.subject;
    EXPECT_NE(absent.reason.find("CONFIG_SCHED_INFO"), std::string::npos) << absent.reason;
  }
  EXPECT_TRUE(checked(Kpi::kCpuRunTimeNs, root).available);
  EXPECT_NE(checked(Kpi::kCpuRunTimeNs, root).reason.find("hundredths"), std::string::npos);
  root.write("/proc/self/schedstat", "1 2 3\n");
  EXPECT_TRUE(checked(Kpi::kRunQueueWaitNs, root).available);
  EXPECT_EQ(checked(Kpi::kCpuRunTimeNs, root).reason.find("hundredths"), std::string::npos);
}

TEST(Check, AKernelProgramAndProcfsAgreeWhetherMergedPagesAreCounted) {
  if (!collect::has_kernel_type("mm_struct")) GTEST_SKIP() << "no type information";
  EXPECT_EQ(collect::probe_ksm_merged("/", true).available, collect::probe_ksm_merged("/", false).available);
}

TEST(Check, SharedPagesOfAHostAreNotToldByAKernelWithoutKsm) {
  const collect::FixtureRoot root;
  const CheckRow absent = checked(Kpi::kKsmPagesSharing, root);
  EXPECT_FALSE(absent.available);
  EXPECT_EQ(absent.reason, "no sysfs mm/ksm (CONFIG_KSM)");
  root.write("/sys/kernel/mm/ksm/pages_sharing", "0\n");
  const CheckRow told = checked(Kpi::kKsmPagesSharing, root);
  EXPECT_TRUE(told.available) << told.reason;
}

TEST(Check, WhatGroupsOfVersion1DoNotTellHasARowThatSaysSo) {
  const collect::FixtureRoot root;
  root.write("/sys/fs/cgroup/memory/memory.stat", "cache 0\nrss 0\ntotal_cache 0\ntotal_rss 0\n");
  const CheckRow no_swap = checked(Kpi::kMemorySwapBytes, root);
  EXPECT_FALSE(no_swap.available);
  EXPECT_EQ(no_swap.reason, "the kernel does not account swap to groups (swapaccount=1 at boot)");
  const CheckRow no_refaults = checked(Kpi::kWorkingsetRefaultsCount, root);
  EXPECT_FALSE(no_refaults.available);
  EXPECT_EQ(no_refaults.reason, "control groups v1 of this kernel do not tell");
  EXPECT_TRUE(checked(Kpi::kMemoryWorkingSetBytes, root).available) << "the file is there";

  root.write("/sys/fs/cgroup/memory/memory.stat",
             "cache 0\nswap 0\nworkingset_refault_anon 0\ntotal_swap 0\ntotal_workingset_refault_anon 0\n");
  for (const Kpi kpi : {Kpi::kMemorySwapBytes, Kpi::kWorkingsetRefaultsCount}) {
    const CheckRow row = checked(kpi, root);
    EXPECT_TRUE(row.available) << row.subject << ": " << row.reason;
    EXPECT_NE(row.reason.find("/sys/fs/cgroup/memory, v1"), std::string::npos) << row.reason;
  }
}

TEST(Check, SwapIsNotToldByGroupsOfVersion2WithoutItsFile) {
  const collect::FixtureRoot root;
  root.write("/sys/fs/cgroup/cgroup.controllers", "cpu io memory\n");
  root.write("/sys/fs/cgroup/machine.slice/memory.current", "4096\n");
  const CheckRow no_swap = checked(Kpi::kMemorySwapBytes, root);
  EXPECT_FALSE(no_swap.available);
  EXPECT_EQ(no_swap.reason, "the kernel does not account swap to groups (swapaccount=1 at boot)");
  EXPECT_TRUE(checked(Kpi::kWorkingsetRefaultsCount, root).available) << "that is another file's";

  root.write("/sys/fs/cgroup/machine.slice/memory.swap.current", "0\n");
  const CheckRow swap = checked(Kpi::kMemorySwapBytes, root);
  EXPECT_TRUE(swap.available) << swap.reason;
  EXPECT_NE(swap.reason.find("control groups v2"), std::string::npos) << swap.reason;
}

TEST(Check, WithoutTheMemoryControllerNothingOfAGroupsMemoryIsTold) {
  const collect::FixtureRoot root;
  root.write("/sys/fs/cgroup/cgroup.controllers", "cpu io\n");
  for (const Kpi kpi : {Kpi::kMemorySwapBytes, Kpi::kWorkingsetRefaultsCount}) {
    const CheckRow row = checked(kpi, root);
    EXPECT_FALSE(row.available) << row.subject;
    EXPECT_EQ(row.reason, "no hierarchy of control groups has the memory controller");
  }
}

TEST(Check, VhostIsToldByItsDevice) {
  const collect::FixtureRoot root;
  EXPECT_FALSE(collect::probe_vhost(root.path()).reason.empty());
  root.write("/dev/vhost-net", "");
  EXPECT_TRUE(collect::probe_vhost(root.path()).available);
}

TEST(Check, PrintsATableAndJson) {
  const std::vector<CheckRow> rows{{"a_ns", true, "poll", "task a"}, {"capability.b", false, "", "no \"b\" here"}};
  const std::string table = check_table(rows);
  EXPECT_NE(table.find("a_ns"), std::string::npos);
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 3);
  const auto json = nlohmann::json::parse(check_json(rows));
  ASSERT_EQ(json.size(), 2u);
  EXPECT_EQ(json[0]["available"], true);
  EXPECT_EQ(json[1]["reason"], "no \"b\" here");
}

}  // namespace
}  // namespace proteus
