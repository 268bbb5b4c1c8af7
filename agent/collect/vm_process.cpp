#include "agent/collect/vm_process.h"

#include <dirent.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "agent/collect/text_file.h"
#include "agent/collect/vm_cgroup.h"

namespace proteus::collect {
namespace {

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

/// The numbers among a directory's entries.
std::vector<pid_t> numeric_entries(const std::string& path) {
  std::vector<pid_t> numbers;
  const Directory directory(::opendir(path.c_str()), ::closedir);
  if (!directory) return numbers;
  while (const dirent* entry = ::readdir(directory.get())) {
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
    numbers.push_back(static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10)));
  }
  return numbers;
}

/// The NAME of "guest=NAME,debug-threads=on", in which QEMU wants a comma to be doubled.
std::string guest_of(std::string_view argument) {
  constexpr std::string_view kKey = "guest=";
  if (!argument.starts_with(kKey)) return {};
  argument.remove_prefix(kKey.size());
  std::string name;
  for (std::size_t i = 0; i < argument.size(); ++i) {
    if (argument[i] == ',' && argument.substr(i + 1, 1) != ",") break;
    name += argument[i];
    if (argument[i] == ',') ++i;
  }
  return name;
}

bool is_uuid(std::string_view text) {
  return text.size() == 36 && text.find_first_not_of("0123456789abcdef-") == std::string_view::npos;
}

/// What a process says of the VM that it may run.
struct Claim {
  std::optional<std::string> machine;  ///< by its control group
  bool is_asleep = false;              ///< in a way that its arguments are not asked for
  bool is_qemu = false;                ///< of one that is asleep: by its name
  std::string uuid;                    ///< by its arguments; empty: none
  std::string name;                    ///< likewise
  bool is_of_this_host = true;         ///< hosts may share a kernel: the other end of a migration is not ours

  /// Names are given again to other VMs: the group alone is believed of a process that tells no UUID.
  bool is_for(const VmName& vm) const { return uuid.empty() ? machine == vm.name : uuid == vm.uuid; }
};

Claim claim_of(const std::string& root, pid_t pid) {
  Claim claim;
  const auto groups = read_file(under(root, fmt::format("/proc/{}/cgroup", pid)));
  const auto place = groups ? parse_cgroup(*groups, "cpu") : std::nullopt;
  if (place) {
    claim.is_of_this_host = !place->path.starts_with("/..");
    claim.machine = machine_of_group(place->path);
  }
  // Whoever reads them waits for the process's memory, which it may hold while it waits for a disk that is gone.
  claim.is_asleep = process_state(root, pid) == 'D';
  if (claim.is_asleep) {
    const auto name = read_file(under(root, fmt::format("/proc/{}/comm", pid)));
    claim.is_qemu = name && name->starts_with("qemu");
    return claim;
  }
  const auto arguments = read_file(under(root, fmt::format("/proc/{}/cmdline", pid)));
  const auto argument_after = [&](std::string_view option) -> std::string {
    const std::size_t at = arguments ? arguments->find(option) : std::string::npos;
    return at == std::string::npos ? "" : arguments->c_str() + at + option.size();  // ends at the next NUL
  };
  claim.uuid = argument_after(std::string_view("\0-uuid\0", 7));
  claim.name = guest_of(argument_after(std::string_view("\0-name\0", 7)));
  return claim;
}

bool has_vcpu(const std::string& root, pid_t pid) {
  const std::vector<VmThread> threads = list_threads(root, pid);
  return std::any_of(threads.begin(), threads.end(), [](const VmThread& thread) { return thread.vcpu.has_value(); });
}

std::optional<int> vcpu_of_group(const std::string& task_directory, pid_t tid) {
  const auto groups = read_file(fmt::format("{}/{}/cgroup", task_directory, tid));
  return groups ? parse_vcpu_group(*groups) : std::nullopt;
}

/// The digits that `text` consists of; nullopt if it has others, none or too many.
std::optional<int> small_number(std::string_view text) {
  if (text.empty() || text.size() > 5 || text.find_first_not_of("0123456789") != std::string_view::npos) return {};
  return static_cast<int>(*parse_number(text));
}

}  // namespace

std::optional<pid_t> process_of_pid_file(const std::string& root, const VmName& vm) {
  for (const char* directory : {"/run/libvirt/qemu", "/var/run/libvirt/qemu"}) {
    const auto text = read_file(under(root, fmt::format("{}/{}.pid", directory, vm.name)));
    const auto pid = text ? parse_number(*text) : std::nullopt;
    if (!pid) continue;
    const Claim claim = claim_of(root, static_cast<pid_t>(*pid));
    if (claim.is_for(vm) || (claim.is_asleep && claim.is_of_this_host && (claim.machine || claim.is_qemu))) {
      return static_cast<pid_t>(*pid);
    }
  }
  return std::nullopt;
}

char process_state(const std::string& root, pid_t pid) {
  const auto text = read_file(under(root, fmt::format("/proc/{}/stat", pid)));
  const std::size_t name_end = text ? text->rfind(") ") : std::string::npos;  // a name may hold anything
  return name_end == std::string::npos || name_end + 2 >= text->size() ? '\0' : (*text)[name_end + 2];
}

std::vector<std::optional<pid_t>> find_vm_processes(const std::string& root, std::span<const VmName> vms) {
  std::vector<std::optional<pid_t>> found(vms.size());
  for (std::size_t i = 0; i < vms.size(); ++i) found[i] = process_of_pid_file(root, vms[i]);
  const auto is_missing = [](const std::optional<pid_t>& pid) { return !pid; };
  if (std::none_of(found.begin(), found.end(), is_missing)) return found;
  std::vector<std::optional<pid_t>> grouped(vms.size());
  for (const pid_t pid : numeric_entries(under(root, "/proc"))) {
    const Claim claim = claim_of(root, pid);
    if (!claim.is_of_this_host || (!claim.machine && claim.uuid.empty())) continue;
    for (std::size_t i = 0; i < vms.size(); ++i) {
      if (found[i] || !claim.is_for(vms[i])) continue;
      std::optional<pid_t>& place = claim.uuid.empty() ? grouped[i] : found[i];
      // Helpers are in the group too: swtpm, virtiofsd, qemu-pr-helper.
      if (!place && (!claim.uuid.empty() || has_vcpu(root, pid))) place = pid;
    }
  }
  for (std::size_t i = 0; i < vms.size(); ++i) {
    if (!found[i]) found[i] = grouped[i];
  }
  return found;
}

std::vector<FoundVm> find_running_vms(const std::string& root) {
  std::vector<FoundVm> found;
  for (const pid_t pid : numeric_entries(under(root, "/proc"))) {
    Claim claim = claim_of(root, pid);
    if (!claim.is_of_this_host || !claim.machine || !is_uuid(claim.uuid)) continue;
    const auto same = [&](const FoundVm& other) { return other.uuid == claim.uuid; };
    if (std::any_of(found.begin(), found.end(), same)) continue;
    // The group's name leaves out what systemd does not like.
    found.push_back({claim.name.empty() ? *claim.machine : std::move(claim.name), std::move(claim.uuid)});
  }
  return found;
}

std::optional<std::string> machine_of_group(std::string_view cgroup_path) {
  while (!cgroup_path.empty()) {
    const std::size_t slash = cgroup_path.find('/');
    const std::string_view part = cgroup_path.substr(0, slash);
    cgroup_path.remove_prefix(slash == std::string_view::npos ? cgroup_path.size() : slash + 1);
    std::string name;
    for (std::size_t i = 0; i < part.size(); ++i) {  // systemd escapes a dash
      const bool dash = part.substr(i, 4) == "\\x2d";
      name += dash ? '-' : part[i];
      i += dash ? 3 : 0;
    }
    std::string_view rest = name;
    if (rest.starts_with("machine-") && rest.ends_with(".scope")) {
      rest.remove_prefix(8);
      rest.remove_suffix(6);
    } else if (rest.ends_with(".libvirt-qemu")) {
      rest.remove_suffix(13);
    } else {
      continue;
    }
    if (!rest.starts_with("qemu-")) continue;
    rest.remove_prefix(5);
    const std::size_t dash = rest.find('-');
    if (dash == std::string_view::npos || !small_number(rest.substr(0, dash))) continue;
    return std::string(rest.substr(dash + 1));
  }
  return std::nullopt;
}

std::vector<VmThread> list_threads(const std::string& root, pid_t pid, std::span<const VmThread> known) {
  std::vector<VmThread> threads;
  bool has_names = false;
  const std::string directory = under(root, fmt::format("/proc/{}/task", pid));
  for (const pid_t tid : numeric_entries(directory)) {
    const auto text = read_file(fmt::format("{}/{}/comm", directory, tid));
    if (!text) continue;
    std::string_view rest = *text;
    const std::string_view name = take_line(rest).value_or(std::string_view{});
    threads.push_back({tid, parse_vcpu_thread_name(name), name.starts_with("vhost-")});
    has_names |= threads.back().vcpu.has_value();
  }
  if (has_names) return threads;
  std::map<int, VmThread*> grouped;
  for (VmThread& thread : threads) {
    if (thread.vhost || thread.tid == pid) continue;
    const auto same = std::find_if(known.begin(), known.end(), [&](const VmThread& k) { return k.tid == thread.tid; });
    const auto vcpu = same != known.end() ? same->vcpu : vcpu_of_group(directory, thread.tid);
    if (!vcpu) continue;
    VmThread*& first = grouped.try_emplace(*vcpu, &thread).first->second;
    if (thread.tid < first->tid) first = &thread;
  }
  for (const auto& [vcpu, thread] : grouped) thread->vcpu = vcpu;
  return threads;
}

std::map<pid_t, std::vector<pid_t>> find_vhost_kthreads(const std::string& root) {
  std::map<pid_t, std::vector<pid_t>> workers;
  constexpr std::string_view kPrefix = "vhost-";
  for (const pid_t candidate : numeric_entries(under(root, "/proc"))) {
    const auto name = read_file(under(root, fmt::format("/proc/{}/comm", candidate)));
    if (!name || !name->starts_with(kPrefix)) continue;
    const auto owner = parse_number(std::string_view(*name).substr(kPrefix.size()));
    if (owner) workers[static_cast<pid_t>(*owner)].push_back(candidate);
  }
  return workers;
}

std::optional<long> count_threads(const std::string& root, pid_t pid) {
  struct stat status {};
  if (::stat(under(root, fmt::format("/proc/{}/task", pid)).c_str(), &status) != 0) return std::nullopt;
  return static_cast<long>(status.st_nlink) - 2;  // procfs: one link per thread, besides "." and ".."
}

std::optional<int> parse_vcpu_group(std::string_view cgroup_text) {
  const auto place = parse_cgroup(cgroup_text, "cpu");
  if (!place) return std::nullopt;
  const std::string_view path = place->path;
  const std::string_view name = path.substr(path.rfind('/') + 1);
  if (!name.starts_with("vcpu")) return std::nullopt;
  return small_number(name.substr(4));
}

std::optional<int> parse_vcpu_thread_name(std::string_view name) {
  if (name == "ALL CPUs/TCG") return 0;
  constexpr std::string_view kPrefix = "CPU ";
  if (name.substr(0, kPrefix.size()) != kPrefix) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  const std::size_t slash = name.find('/');
  if (slash == std::string_view::npos || slash == 0) return std::nullopt;
  const std::string_view kind = name.substr(slash + 1);
  if (kind != "KVM" && kind != "TCG") return std::nullopt;
  return small_number(name.substr(0, slash));
}

}  // namespace proteus::collect
