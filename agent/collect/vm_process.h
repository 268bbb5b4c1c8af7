#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace proteus::collect {

struct VmName {
  std::string_view name;
  std::string_view uuid;
};

/// For each VM the process that runs it, or nullopt. Looks at libvirt's pid files, then, once for all VMs that are
/// left, at all processes in control groups of this host, and believes one that sits in libvirt's group of that machine
/// or whose arguments carry the UUID (-uuid), as QEMU's do under libvirt, TCG or KVM: never one for its program's name.
std::vector<std::optional<pid_t>> find_vm_processes(const std::string& root, std::span<const VmName> vms);

/// The first half of that: the process that libvirt's pid file names, if it is this VM's.
std::optional<pid_t> process_of_pid_file(const std::string& root, const VmName& vm);

/// The letter of its main thread's state, as in /proc/PID/stat ('T': stopped, 'D': asleep where no signal wakes it);
/// '\0' if it is gone.
char process_state(const std::string& root, pid_t pid);

/// A VM that is known by its process alone.
struct FoundVm {
  std::string name;
  std::string uuid;
  bool operator==(const FoundVm&) const = default;
};
/// The VMs that libvirt has started on this host, whether it answers or not: processes in the group that it makes for a
/// machine, with the UUID that it gives QEMU as an argument. Cost: two files of every process.
std::vector<FoundVm> find_running_vms(const std::string& root);

struct VmThread {
  pid_t tid = 0;
  std::optional<int> vcpu;  ///< nullopt: main loop, workers, I/O threads
  bool vhost = false;       ///< works for vhost; a thread of the process since Linux 6.4
  bool operator==(const VmThread&) const = default;
};

/// All threads of a process; empty if it is gone. A vCPU is told by the name of its thread, or by the control group
/// that libvirt put it into (…/vcpuN), whatever its name. It has one thread: what that thread starts, as KVM's
/// kvm-nx-lpage-recovery since Linux 6.13, is born into its group.
/// known: threads whose groups have been read; what was told of them stands where no name tells otherwise. Whoever
/// reads a group waits for those who change any on this host, so it is done of no thread twice, and of none where vCPUs
/// have names: QEMU gives them to all or to none.
std::vector<VmThread> list_threads(const std::string& root, pid_t pid, std::span<const VmThread> known = {});
/// The kernel threads that work for processes' vhost devices before Linux 6.4, by process; each is one of its own.
std::map<pid_t, std::vector<pid_t>> find_vhost_kthreads(const std::string& root);
/// How many threads it has, at the price of one stat(); nullopt if it is gone.
std::optional<long> count_threads(const std::string& root, pid_t pid);

/// The NAME of the machine for which libvirt has made one part of the path: "machine-qemu\\x2d7\\x2dNAME.scope" under
/// systemd, "qemu-7-NAME.libvirt-qemu" without.
std::optional<std::string> machine_of_group(std::string_view cgroup_path);

/// The vCPU number of a thread's control group, from /proc/PID/task/TID/cgroup: "…/vcpu3" is 3.
std::optional<int> parse_vcpu_group(std::string_view cgroup_text);
/// The vCPU number of a QEMU thread's name: "CPU 3/KVM" and "CPU 3/TCG" are 3; "ALL CPUs/TCG" (one thread for all) is
/// 0.
std::optional<int> parse_vcpu_thread_name(std::string_view name);

}  // namespace proteus::collect
