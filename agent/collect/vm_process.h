#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace proteus::collect {

/// The process that runs a VM, or nullopt. Looks at libvirt's pid files, then for a process in a control group of this
/// host whose arguments carry the UUID (-uuid), as QEMU's do under libvirt: never for a program's name. A candidate is
/// believed only if its arguments carry the UUID.
std::optional<pid_t> find_vm_process(const std::string& root, std::string_view vm_name, std::string_view uuid);

struct VmThread {
  pid_t tid = 0;
  std::optional<int> vcpu;  ///< nullopt: main loop, workers, I/O threads
  bool operator==(const VmThread&) const = default;
};

/// All threads of a process; empty if it is gone.
std::vector<VmThread> list_threads(const std::string& root, pid_t pid);
/// How many threads it has, at the price of one stat(); nullopt if it is gone.
std::optional<long> count_threads(const std::string& root, pid_t pid);

/// The vCPU number of a QEMU thread's name: "CPU 3/KVM" and "CPU 3/TCG" are 3; "ALL CPUs/TCG" (one thread for all) is
/// 0.
std::optional<int> parse_vcpu_thread_name(std::string_view name);

}  // namespace proteus::collect
