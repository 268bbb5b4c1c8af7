#include "agent/collect/vm_process.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/agent/collect/fixture_root.h"

namespace proteus::collect {
namespace {

using namespace std::string_literals;

constexpr const char* kUuid = "11111111-2222-3333-4444-555555555555";

std::string arguments(const std::string& uuid) {
  return "any-name\0-name\0guest=a\0-uuid\0"s + uuid + "\0-m\0512\0"s;
}

TEST(ParseVcpuThreadName, KnowsQemusNames) {
  EXPECT_EQ(parse_vcpu_thread_name("CPU 0/KVM"), 0);
  EXPECT_EQ(parse_vcpu_thread_name("CPU 17/TCG"), 17);
  EXPECT_EQ(parse_vcpu_thread_name("ALL CPUs/TCG"), 0);
  for (const char* other :
       {"qemu-system-x86", "CPU /KVM", "CPU x/KVM", "CPU 1", "CPU 1/", "IO mon_iothread", "worker", ""}) {
    EXPECT_EQ(parse_vcpu_thread_name(other), std::nullopt) << other;
  }
}

TEST(FindVmProcess, BelievesThePidFileOnlyIfTheProcessRunsTheVm) {
  const FixtureRoot root;
  root.write("/run/libvirt/qemu/a.pid", "77\n");
  EXPECT_EQ(find_vm_process(root.path(), "a", kUuid), std::nullopt);
  root.write("/proc/77/cmdline", arguments("99999999-2222-3333-4444-555555555555"));
  EXPECT_EQ(find_vm_process(root.path(), "a", kUuid), std::nullopt) << "a stale pid file";
  root.write("/proc/77/cmdline", arguments(kUuid));
  EXPECT_EQ(find_vm_process(root.path(), "a", kUuid), 77);
}

TEST(FindVmProcess, WithoutAPidFileTakesTheProcessOfThisHost) {
  const FixtureRoot root;
  root.write("/proc/60/cmdline", arguments(kUuid));  // the other end of a migration, on the same kernel
  root.write("/proc/60/cgroup", "1:cpu:/../host2/machine/qemu-1-a/emulator\n");
  EXPECT_EQ(find_vm_process(root.path(), "a", kUuid), std::nullopt);
  root.write("/proc/61/cmdline", arguments(kUuid));
  root.write("/proc/61/cgroup", "1:cpu:/machine/qemu-1-a/emulator\n");
  EXPECT_EQ(find_vm_process(root.path(), "a", kUuid), 61);
}

TEST(ListThreads, NamesVcpusAndOthers) {
  const FixtureRoot root;
  root.write("/proc/77/task/77/comm", "qemu-system-x86\n");
  root.write("/proc/77/task/80/comm", "CPU 1/TCG\n");
  auto threads = list_threads(root.path(), 77);
  std::sort(threads.begin(), threads.end(), [](const auto& a, const auto& b) { return a.tid < b.tid; });
  EXPECT_EQ(threads, (std::vector<VmThread>{{77, std::nullopt}, {80, 1}}));
  EXPECT_TRUE(list_threads(root.path(), 78).empty());
}

TEST(CountThreads, AgreesWithTheListOnTheRealProcfs) {
  const auto self = ::getpid();
  EXPECT_EQ(count_threads("/", self), static_cast<long>(list_threads("/", self).size()));
}

}  // namespace
}  // namespace proteus::collect
