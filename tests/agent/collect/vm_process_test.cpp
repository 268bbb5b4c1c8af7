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

std::optional<pid_t> find_vm_process(const std::string& root, std::string_view name, std::string_view uuid) {
  const VmName vm{name, uuid};
  return find_vm_processes(root, {&vm, 1}).front();
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

TEST(FindRunningVms, KnowsThemByLibvirtsGroupAndTheirArguments) {
  const FixtureRoot root;
  const std::string group = "0::/machine.slice/machine-qemu\\x2d3\\x2dweb1.scope/libvirt/emulator\n";
  root.write("/proc/61/cmdline", "some-vmm\0-name\0guest=web,,1 \xc3\xa9,debug-threads=on\0"s + arguments(kUuid));
  root.write("/proc/61/cgroup", group);
  root.write("/proc/62/cmdline", "some-vmm\0-uuid\0"s + kUuid + "\0"s);  // a helper in the same group
  root.write("/proc/62/cgroup", group);
  root.write("/proc/63/cmdline", arguments("99999999-2222-3333-4444-555555555555"));  // not libvirt's
  root.write("/proc/63/cgroup", "0::/user.slice\n");
  root.write("/proc/64/cmdline", arguments("../../x"));
  root.write("/proc/64/cgroup", "0::/machine.slice/machine-qemu\\x2d4\\x2dodd.scope\n");
  const std::vector<FoundVm> found = find_running_vms(root.path());
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].uuid, kUuid);
  EXPECT_TRUE(found[0].name == "web,1 \xc3\xa9" || found[0].name == "web1") << "whichever process is seen first";
}

TEST(FindVmProcess, LibvirtsScopeOfTheMachineIsEnough) {
  const FixtureRoot root;
  root.write("/proc/61/cmdline", "some-vmm\0"s);
  root.write("/proc/61/cgroup", "0::/machine.slice/machine-qemu\\x2d3\\x2dweb\\x2d1.scope/libvirt/emulator\n");
  EXPECT_EQ(find_vm_process(root.path(), "web-1", kUuid), std::nullopt) << "a helper that outlives it";
  root.write("/proc/61/task/62/comm", "CPU 0/TCG\n");
  EXPECT_EQ(find_vm_process(root.path(), "web-1", kUuid), 61);
  EXPECT_EQ(find_vm_process(root.path(), "web", kUuid), std::nullopt);
}

// Its arguments are in memory that it may hold while it waits for a disk that is gone: whoever reads them waits too.
TEST(FindVmProcess, OneThatIsAsleepInTheKernelIsKnownByItsGroupAlone) {
  const FixtureRoot root;
  root.write("/run/libvirt/qemu/a.pid", "61\n");
  root.write("/proc/61/stat", "61 (qemu) D 1 61\n");
  root.write("/proc/61/cmdline", arguments("99999999-2222-3333-4444-555555555555"));
  EXPECT_EQ(find_vm_process(root.path(), "a", kUuid), std::nullopt);
  root.write("/proc/61/cgroup", "0::/machine.slice/machine-qemu\\x2d3\\x2dshortened.scope/libvirt/emulator\n");
  EXPECT_EQ(find_vm_process(root.path(), "a", kUuid), 61) << "what its arguments say is not asked";
  root.write("/proc/61/stat", "61 (qemu) S 1 61\n");
  EXPECT_EQ(find_vm_process(root.path(), "a", kUuid), std::nullopt);
}

TEST(FindVmProcess, AnotherVmsProcessIsNotBelievedForItsName) {
  const FixtureRoot root;
  const std::string other_uuid = "99999999-2222-3333-4444-555555555555";
  root.write("/run/libvirt/qemu/web.pid", "61\n");
  root.write("/proc/61/cmdline", arguments(other_uuid));  // the name is its now
  root.write("/proc/61/cgroup", "1:cpu:/machine/qemu-4-web.libvirt-qemu/emulator\n");
  EXPECT_EQ(find_vm_process(root.path(), "web", kUuid), std::nullopt);
  EXPECT_EQ(find_vm_process(root.path(), "web", other_uuid), 61);
}

TEST(FindVmProcess, AHelperInTheMachinesGroupIsNotItsProcess) {
  const FixtureRoot root;
  const std::string group = "1:cpu:/machine/qemu-4-web.libvirt-qemu/emulator\n";
  root.write("/proc/60/cmdline", "swtpm\0socket\0"s);
  root.write("/proc/60/cgroup", group);
  root.write("/proc/61/cmdline", arguments(kUuid));
  root.write("/proc/61/cgroup", group);
  root.write("/proc/62/cmdline", "virtiofsd\0"s);
  root.write("/proc/62/cgroup", group);
  EXPECT_EQ(find_vm_process(root.path(), "web", kUuid), 61);
}

TEST(FindVmProcess, AnArgumentThatEndsLikeTheOptionIsNotIt) {
  const FixtureRoot root;
  root.write("/proc/61/cmdline", "some-vmm\0x-uuid\0none\0"s + arguments(kUuid));
  root.write("/proc/61/cgroup", "0::/machine/qemu-1-a.libvirt-qemu\n");
  EXPECT_EQ(find_vm_process(root.path(), "a", kUuid), 61);
}

TEST(FindVmProcess, FindsManyInOneLook) {
  const FixtureRoot root;
  const std::string other_uuid = "99999999-2222-3333-4444-555555555555";
  root.write("/run/libvirt/qemu/c.pid", "63\n");
  root.write("/proc/61/cmdline", arguments(kUuid));
  root.write("/proc/62/cgroup", "1:cpu:/machine/qemu-2-b.libvirt-qemu/emulator\n");
  root.write("/proc/62/task/65/comm", "CPU 0/KVM\n");
  root.write("/proc/63/cmdline", arguments(other_uuid));
  root.write("/proc/64/cmdline", "unrelated\0"s);
  const std::vector<VmName> vms{{"a", kUuid}, {"b", "no-uuid"}, {"c", other_uuid}, {"d", "nobody"}};
  EXPECT_EQ(find_vm_processes(root.path(), vms), (std::vector<std::optional<pid_t>>{61, 62, 63, std::nullopt}));
}

TEST(MachineOfGroup, KnowsLibvirtsNames) {
  EXPECT_EQ(machine_of_group("/machine/qemu-12-a.libvirt-qemu/vcpu0"), "a");
  EXPECT_EQ(machine_of_group("/machine.slice/machine-qemu\\x2d1\\x2da\\x2db.scope"), "a-b");
  for (const char* other :
       {"/", "", "/machine/qemu-12-a", "/qemu-x-a.libvirt-qemu", "/qemu-1.libvirt-qemu", "/a.scope"}) {
    EXPECT_EQ(machine_of_group(other), std::nullopt) << other;
  }
}

TEST(ListThreads, TellsAVcpuByItsGroupAndAVhostWorkerByItsName) {
  const FixtureRoot root;
  root.write("/proc/77/task/80/comm", "a-vmm\n");
  root.write("/proc/77/task/80/cgroup", "1:cpu:/machine/q/vcpu2\n");
  root.write("/proc/77/task/81/comm", "vhost-77\n");
  root.write("/proc/90/comm", "vhost-77\n");
  root.write("/proc/91/comm", "vhost-78\n");
  auto threads = list_threads(root.path(), 77);
  std::sort(threads.begin(), threads.end(), [](const auto& a, const auto& b) { return a.tid < b.tid; });
  EXPECT_EQ(threads, (std::vector<VmThread>{{.tid = 80, .vcpu = 2}, {.tid = 81, .vcpu = {}, .vhost = true}}));
  EXPECT_EQ(find_vhost_kthreads(root.path()), (std::map<pid_t, std::vector<pid_t>>{{77, {90}}, {78, {91}}}));
}

TEST(ListThreads, WhatAVcpusThreadHasStartedIsNoVcpu) {
  const FixtureRoot root;
  root.write("/proc/77/task/80/comm", "CPU 0/KVM\n");
  root.write("/proc/77/task/80/cgroup", "1:cpu:/machine/q/vcpu0\n");
  root.write("/proc/77/task/85/comm", "kvm-nx-lpage-re\n");
  root.write("/proc/77/task/85/cgroup", "1:cpu:/machine/q/vcpu0\n");
  root.write("/proc/78/task/101/comm", "kvm-nx-lpage-re\n");
  root.write("/proc/78/task/101/cgroup", "1:cpu:/machine/r/vcpu0\n");
  root.write("/proc/78/task/99/comm", "a-vmm\n");
  root.write("/proc/78/task/99/cgroup", "1:cpu:/machine/r/vcpu0\n");
  const auto listed = [&](pid_t pid) {
    auto threads = list_threads(root.path(), pid);
    std::sort(threads.begin(), threads.end(), [](const auto& a, const auto& b) { return a.tid < b.tid; });
    return threads;
  };
  EXPECT_EQ(listed(77), (std::vector<VmThread>{{.tid = 80, .vcpu = 0}, {.tid = 85, .vcpu = {}}}));
  EXPECT_EQ(listed(78), (std::vector<VmThread>{{.tid = 99, .vcpu = 0}, {.tid = 101, .vcpu = {}}}))
      << "the older one is";
}

// Whoever reads a group waits for those who change any.
TEST(ListThreads, ReadsNoGroupWhereVcpusHaveNames) {
  const FixtureRoot root;
  root.write("/proc/77/task/80/comm", "CPU 0/KVM\n");
  root.write("/proc/77/task/81/comm", "worker\n");
  root.write("/proc/77/task/81/cgroup", "1:cpu:/machine/q/emulator\n");
  const OpenWatch watch(root.path() + "/proc/77/task/81/cgroup");
  ASSERT_TRUE(watch.works());
  EXPECT_EQ(list_threads(root.path(), 77).size(), 2u);
  EXPECT_FALSE(watch.was_opened());
}

TEST(ListThreads, ReadsNoGroupOfAKnownThread) {
  const FixtureRoot root;
  for (const auto& [tid, group] : {std::pair{"80", "vcpu0"}, {"81", "emulator"}, {"82", "vcpu0"}}) {
    root.write("/proc/77/task/"s + tid + "/comm", "a-vmm\n");
    root.write("/proc/77/task/"s + tid + "/cgroup", "1:cpu:/machine/q/"s + group + "\n");
  }
  const OpenWatch vcpu(root.path() + "/proc/77/task/80/cgroup"), worker(root.path() + "/proc/77/task/81/cgroup"),
      other(root.path() + "/proc/77/task/82/cgroup");
  ASSERT_TRUE(vcpu.works() && worker.works() && other.works());
  const std::vector<VmThread> known{{.tid = 80, .vcpu = 0}, {.tid = 81, .vcpu = {}}};
  auto threads = list_threads(root.path(), 77, known);
  std::sort(threads.begin(), threads.end(), [](const auto& a, const auto& b) { return a.tid < b.tid; });
  EXPECT_EQ(threads, (std::vector<VmThread>{known[0], known[1], {.tid = 82, .vcpu = {}}}))
      << "what a vCPU's thread has started is none";
  EXPECT_FALSE(vcpu.was_opened());
  EXPECT_FALSE(worker.was_opened());
  EXPECT_TRUE(other.was_opened());
}

TEST(ListThreads, NamesVcpusAndOthers) {
  const FixtureRoot root;
  root.write("/proc/77/task/77/comm", "qemu-system-x86\n");
  root.write("/proc/77/task/80/comm", "CPU 1/TCG\n");
  auto threads = list_threads(root.path(), 77);
  std::sort(threads.begin(), threads.end(), [](const auto& a, const auto& b) { return a.tid < b.tid; });
  EXPECT_EQ(threads, (std::vector<VmThread>{{.tid = 77, .vcpu = {}}, {.tid = 80, .vcpu = 1}}));
  EXPECT_TRUE(list_threads(root.path(), 78).empty());
}

TEST(CountThreads, AgreesWithTheListOnTheRealProcfs) {
  const auto self = ::getpid();
  EXPECT_EQ(count_threads("/", self), static_cast<long>(list_threads("/", self).size()));
}

}  // namespace
}  // namespace proteus::collect
