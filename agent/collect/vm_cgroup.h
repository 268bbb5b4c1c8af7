#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/collect/text_file.h"

namespace proteus::collect {

/// The VM's own control groups; a process of a VM sits in them or below. Paths below root, empty where it has none.
/// libvirt puts QEMU's threads into children (emulator, vcpuN, iothreadN) of the VM's group.
struct VmGroups {
  std::string cpu;      ///< in the hierarchy of the CPU controller
  std::string memory;   ///< of the memory controller
  std::string block;    ///< of the controller that requests to disks are accounted by: blkio (v1), io (v2)
  std::string unified;  ///< in the v2 tree, which alone has pressure files
  bool operator==(const VmGroups&) const = default;
};
VmGroups find_vm_groups(const std::string& root, pid_t pid);

/// The group's children that libvirt makes for vCPUs, by name.
std::vector<std::string> list_vcpu_groups(const std::string& path);

/// The id by which the kernel knows the group; nullopt if there is none at that path.
std::optional<std::uint64_t> group_id(const std::string& path);

/// The ids of the group and of every group below it.
std::vector<std::uint64_t> list_group_ids(const std::string& path);

/// How long a VM's own CPU quota has kept its vCPUs from running.
/// libvirt puts the quota of a vCPU on a group of its own below the VM's (vcpuN) and a global quota on the VM's group;
/// each group's cpu.stat speaks of its own quota only, so the sum over them is the vCPUs' throttled time. Quotas of
/// emulator and iothreadN do not count: their waits are not among those of vCPUs. Thread: owned by one.
class VmThrottling {
 public:
  /// path: VmGroups::cpu; valid but without figures when that is empty.
  explicit VmThrottling(std::string path) : path_(std::move(path)) { rescan(); }

  /// Looks again which children exist (a vCPU was plugged).
  void rescan();
  /// nullopt if no group of the VM has throttling figures.
  std::optional<std::int64_t> throttled_time_ns();

 private:
  std::string path_;
  std::vector<TextFile> stats_;
};

/// Throttled time of one cpu.stat, v1 (throttled_time) or v2 (throttled_usec).
std::optional<std::int64_t> parse_throttled_ns(std::string_view cpu_stat);

/// Where a process stands, from /proc/PID/cgroup.
struct CgroupPlace {
  bool v2 = false;
  std::string controllers;  ///< v1: the field between the colons, for example "cpu,cpuacct"
  std::string path;         ///< relative to the visible top; starts with "/.." if it lies outside
  bool operator==(const CgroupPlace&) const = default;
};
/// The place in the hierarchy that has the controller: v1 if that is mounted, else v2. "" asks for v2.
std::optional<CgroupPlace> parse_cgroup(std::string_view text, std::string_view controller);

}  // namespace proteus::collect
