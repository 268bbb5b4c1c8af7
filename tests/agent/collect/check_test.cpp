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
