#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/collect/text_file.h"

namespace proteus::collect {

/// How long a VM's own CPU quota has kept it from running.
/// libvirt puts the quota of a vCPU on a group of its own below the VM's (vcpuN, emulator, iothreadN) and a global
/// quota on the VM's group; each group's cpu.stat speaks of its own quota only, so the sum over them is the VM's
/// throttled time. Thread: owned by one.
class VmCgroup {
 public:
  /// Finds the groups of the process; valid but empty when there are none.
  VmCgroup(const std::string& root, pid_t pid);

  /// Looks again which children exist (a vCPU was plugged).
  void rescan();
  /// nullopt if no group of the VM has throttling figures.
  std::optional<std::int64_t> throttled_time_ns();
  const std::string& path() const { return path_; }

 private:
  std::string path_;  ///< the VM's group in the hierarchy of the CPU controller; empty: none
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
/// The place in the hierarchy that has the CPU controller: v1 if that is mounted, else v2.
std::optional<CgroupPlace> parse_cpu_cgroup(std::string_view text);

}  // namespace proteus::collect
