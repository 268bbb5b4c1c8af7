#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace proteus::collect {

/// The process that runs a VM, or nullopt. Looks at libvirt's pid file, then at the processes in control groups of this
/// host, and believes one that sits in libvirt's group of that machine or whose arguments carry the UUID (-uuid), as
/// QEMU's do under libvirt, TCG or KVM: never one for its program's name.
std::optional<pid_t> find_vm_process(const std::string& root, std::string_view vm_name, std::string_view uuid);

struct VmThread {
  pid_t tid = 0;
  std::optional<int> vcpu;  ///< nullopt: main loop, workers, I/O threads
  bool vhost = false;       ///< works for vhost; a thread of the process since Linux 6.4
  bool operator==(const VmThread&) const = default;
};

/// All threads of a process; empty if it is gone. A vCPU is told by the name of its thread, or by the control group
/// that libvirt put it into (…/vcpuN), whatever its name.
std::vector<VmThread> list_threads(const std::string& root, pid_t pid);
/// The kernel threads that work for the process's vhost devices before Linux 6.4; each is a process of its own.
std::vector<pid_t> find_vhost_kthreads(const std::string& root, pid_t pid);
/// How many threads it has, at the price of one stat(); nullopt if it is gone.
std::optional<long> count_threads(const std::string& root, pid_t pid);

/// True if one part of the path is the group that libvirt makes for the machine: "machine-qemu\\x2d7\\x2dNAME.scope"
/// under systemd, "qemu-7-NAME.libvirt-qemu" without.
bool is_group_of_machine(std::string_view cgroup_path, std::string_view vm_name);

/// The vCPU number of a thread's control group, from /proc/PID/task/TID/cgroup: "…/vcpu3" is 3.
std::optional<int> parse_vcpu_group(std::string_view cgroup_text);
/// The vCPU number of a QEMU thread's name: "CPU 3/KVM" and "CPU 3/TCG" are 3; "ALL CPUs/TCG" (one thread for all) is
/// 0.
std::optional<int> parse_vcpu_thread_name(std::string_view name);

}  // namespace proteus::collect
