#include "agent/collect/vm_process.h"

#include <dirent.h>
#include <fmt/core.h>
#include <sys/stat.h>

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

bool runs_vm(const std::string& root, pid_t pid, std::string_view uuid) {
  const auto arguments = read_file(under(root, fmt::format("/proc/{}/cmdline", pid)));
  if (!arguments) return false;
  const std::string wanted = fmt::format("-uuid{}{}{}", '\0', uuid, '\0');
  return arguments->find(wanted) != std::string::npos;
}

}  // namespace

std::optional<pid_t> find_vm_process(const std::string& root, std::string_view vm_name, std::string_view uuid) {
  for (const char* directory : {"/run/libvirt/qemu", "/var/run/libvirt/qemu"}) {
    const auto text = read_file(under(root, fmt::format("{}/{}.pid", directory, vm_name)));
    if (!text) continue;
    const auto pid = parse_number(*text);
    if (pid && runs_vm(root, static_cast<pid_t>(*pid), uuid)) return static_cast<pid_t>(*pid);
  }
  for (const pid_t pid : numeric_entries(under(root, "/proc"))) {
    if (!runs_vm(root, pid, uuid)) continue;
    // Hosts may share a kernel (containers): the same VM's process at the other end of a migration is not ours.
    const auto groups = read_file(under(root, fmt::format("/proc/{}/cgroup", pid)));
    const auto place = groups ? parse_cpu_cgroup(*groups) : std::nullopt;
    if (!place || place->path.substr(0, 3) != "/..") return pid;
  }
  return std::nullopt;
}

std::vector<VmThread> list_threads(const std::string& root, pid_t pid) {
  std::vector<VmThread> threads;
  const std::string directory = under(root, fmt::format("/proc/{}/task", pid));
  for (const pid_t tid : numeric_entries(directory)) {
    const auto name = read_file(fmt::format("{}/{}/comm", directory, tid));
    if (!name) continue;
    std::string_view line = *name;
    threads.push_back({tid, parse_vcpu_thread_name(take_line(line).value_or(std::string_view{}))});
  }
  return threads;
}

std::optional<long> count_threads(const std::string& root, pid_t pid) {
  struct stat status {};
  if (::stat(under(root, fmt::format("/proc/{}/task", pid)).c_str(), &status) != 0) return std::nullopt;
  return static_cast<long>(status.st_nlink) - 2;  // procfs: one link per thread, besides "." and ".."
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
  int number = 0;
  for (const char c : name.substr(0, slash)) {
    if (c < '0' || c > '9' || number > 100000) return std::nullopt;
    number = number * 10 + (c - '0');
  }
  return number;
}

}  // namespace proteus::collect
