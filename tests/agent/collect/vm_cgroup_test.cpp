#include "agent/collect/vm_cgroup.h"

#include <gtest/gtest.h>

#include "tests/agent/collect/fixture_root.h"

namespace proteus::collect {
namespace {

TEST(VmCgroup, SumsTheQuotasOfVcpusInLibvirtsV1Layout) {
  const FixtureRoot root;
  root.write("/proc/77/cgroup",
             "3:cpuset:/machine/qemu-1-q.libvirt-qemu/emulator\n1:cpu:/machine/qemu-1-a.libvirt-qemu/emulator\n0::/\n");
  const std::string group = "/sys/fs/cgroup/cpu/machine/qemu-1-a.libvirt-qemu";
  root.write(group + "/cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_time 7\n");
  root.write(group + "/vcpu0/cpu.stat", "nr_periods 9\nnr_throttled 5\nthrottled_time 1000\n");
  root.write(group + "/emulator/cpu.stat", "throttled_time 10\n");  // no vCPU waits for it
  root.write(group + "/iothread1/cpu.stat", "throttled_time 20\n");
  VmThrottling cgroup(find_vm_groups(root.path(), 77).cpu);
  EXPECT_EQ(cgroup.throttled_time_ns(), 1007);

  root.write(group + "/vcpu1/cpu.stat", "throttled_time 500\n");
  cgroup.rescan();
  EXPECT_EQ(cgroup.throttled_time_ns(), 1507);
  root.remove(group + "/vcpu1");
  cgroup.rescan();
  EXPECT_EQ(cgroup.throttled_time_ns(), 1007);
}

TEST(VmCgroup, ReadsTheV2Layout) {
  const FixtureRoot root;
  const std::string scope = "/machine.slice/machine-qemu\\x2d1\\x2da.scope";
  root.write("/proc/77/cgroup", "0::" + scope + "/libvirt/emulator\n");
  root.write("/sys/fs/cgroup/cgroup.controllers", "cpu io memory\n");
  root.write("/sys/fs/cgroup" + scope + "/libvirt/cpu.stat", "usage_usec 5\n");
  root.write("/sys/fs/cgroup" + scope + "/libvirt/vcpu0/cpu.stat", "usage_usec 5\nthrottled_usec 3\n");
  EXPECT_EQ(VmThrottling(find_vm_groups(root.path(), 77).cpu).throttled_time_ns(), 3000);
}

TEST(VmCgroup, AbsentWithoutFiguresOrOutsideThisHost) {
  const FixtureRoot root;
  EXPECT_EQ(VmThrottling(find_vm_groups(root.path(), 1).cpu).throttled_time_ns(), std::nullopt);
  root.write("/proc/2/cgroup", "1:cpu:/../other-host/machine/x/emulator\n");
  EXPECT_TRUE(find_vm_groups(root.path(), 2).cpu.empty());
  root.write("/proc/3/cgroup", "1:cpu:/\n");
  EXPECT_TRUE(find_vm_groups(root.path(), 3).cpu.empty()) << "the whole host is not the VM's group";
  // A libvirt that can make no groups, or that a user runs: all its VMs share one.
  root.write("/proc/4/cgroup", "0::/system.slice/docker-1f.scope\n");
  EXPECT_EQ(find_vm_groups(root.path(), 4), VmGroups{});
  root.write("/proc/4/cgroup", "0::/user.slice/user-1000.slice/session-3.scope/emulator\n");
  EXPECT_EQ(find_vm_groups(root.path(), 4), VmGroups{});
}

TEST(VmGroups, EachControllerHasItsPlace) {
  const FixtureRoot root;
  root.write("/proc/77/cgroup",
             "5:blkio:/machine/qemu-1-q.libvirt-qemu\n4:memory:/machine/qemu-1-q.libvirt-qemu\n"
             "1:cpu,cpuacct:/machine/qemu-1-q.libvirt-qemu/emulator\n0::/machine-qemu\\x2d1\\x2dq.scope\n");
  root.write("/sys/fs/cgroup/cpu,cpuacct/machine/qemu-1-q.libvirt-qemu/cpu.stat", "");
  root.write("/sys/fs/cgroup/blkio/machine/qemu-1-q.libvirt-qemu/vcpu0/tasks", "");
  const VmGroups groups = find_vm_groups(root.path(), 77);
  EXPECT_EQ(groups.cpu, root.path() + "/sys/fs/cgroup/cpu,cpuacct/machine/qemu-1-q.libvirt-qemu");
  EXPECT_EQ(groups.memory, root.path() + "/sys/fs/cgroup/memory/machine/qemu-1-q.libvirt-qemu");
  EXPECT_EQ(groups.block, root.path() + "/sys/fs/cgroup/blkio/machine/qemu-1-q.libvirt-qemu");
  EXPECT_EQ(groups.unified, root.path() + "/sys/fs/cgroup/unified/machine-qemu\\x2d1\\x2dq.scope");
  EXPECT_EQ(list_group_ids(groups.block).size(), 2u) << "the VM's group and the one below it";
  root.write("/sys/fs/cgroup/blkio/machine/qemu-1-q.libvirt-qemu/vcpu1/cgroup.type", "threaded\n");
  root.write("/sys/fs/cgroup/blkio/machine/qemu-1-q.libvirt-qemu/libvirt/cgroup.type", "domain threaded\n");
  EXPECT_EQ(list_group_ids(groups.block).size(), 3u) << "but none of threads";
  EXPECT_TRUE(list_group_ids("").empty());
}

TEST(ParseCgroup, PrefersTheHierarchyThatHasTheController) {
  const auto place = parse_cgroup("5:cpuset:/a\n4:cpu,cpuacct:/b\n0::/c\n", "cpu");
  ASSERT_TRUE(place);
  EXPECT_EQ(place->path, "/b");
  EXPECT_EQ(place->controllers, "cpu,cpuacct");
  EXPECT_EQ(parse_cgroup("5:cpuset:/a\n", "cpu"), std::nullopt);
  EXPECT_EQ(parse_cgroup("4:cpu,cpuacct:/b\n0::/c\n", "")->path, "/c") << "the v2 tree was asked for";
}

}  // namespace
}  // namespace proteus::collect
