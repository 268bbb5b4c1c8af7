#include "agent/collect/vm_cgroup.h"

#include <dirent.h>
#include <fmt/core.h>

#include <algorithm>
#include <memory>

namespace proteus::collect {
namespace {

constexpr std::int64_t kNsPerUs = 1000;

bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    if (list.substr(0, comma) == word) return true;
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return false;
}

bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

}  // namespace

std::optional<CgroupPlace> parse_cpu_cgroup(std::string_view text) {
  std::optional<CgroupPlace> unified;
  while (const auto line = take_line(text)) {  // "4:cpu,cpuacct:/machine/…" or "0::/machine.slice/…"
    const std::size_t first = line->find(':');
    if (first == std::string_view::npos) continue;
    const std::size_t second = line->find(':', first + 1);
    if (second == std::string_view::npos) continue;
    CgroupPlace place;
    place.controllers = line->substr(first + 1, second - first - 1);
    place.path = line->substr(second + 1);
    place.v2 = place.controllers.empty();
    if (place.v2) {
      unified = place;
    } else if (has_word(place.controllers, "cpu")) {
      return place;
    }
  }
  return unified;
}

std::optional<std::int64_t> parse_throttled_ns(std::string_view cpu_stat) {
  if (const auto ns = number_after(cpu_stat, "throttled_time")) return ns;
  if (const auto us = number_after(cpu_stat, "throttled_usec")) return *us * kNsPerUs;
  return std::nullopt;
}

VmCgroup::VmCgroup(const std::string& root, pid_t pid) {
  const auto text = read_file(under(root, fmt::format("/proc/{}/cgroup", pid)));
  if (!text) return;
  const auto place = parse_cpu_cgroup(*text);
  if (!place || starts_with(place->path, "/..")) return;
  std::string path = place->path;
  // QEMU's main thread sits in the child "emulator"; the VM's group is its parent.
  const std::size_t last = path.rfind('/');
  const std::string_view name = std::string_view(path).substr(last + 1);
  if (name == "emulator" || starts_with(name, "vcpu") || starts_with(name, "iothread")) path.resize(last);
  if (path.empty() || path == "/") return;  // not a group of its own
  std::string mount = "/sys/fs/cgroup";
  if (!place->v2) mount += "/" + place->controllers;
  path_ = under(root, mount + path);
  if (!place->v2 && !TextFile(path_ + "/cpu.stat").read()) path_ = under(root, "/sys/fs/cgroup/cpu" + path);
  rescan();
}

void VmCgroup::rescan() {
  if (path_.empty()) return;
  std::vector<std::string> paths{path_ + "/cpu.stat"};
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path_.c_str()), ::closedir);
  if (!directory) return;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string_view name = entry->d_name;
    if (name == "emulator" || (starts_with(name, "vcpu") && name.size() > 4) || starts_with(name, "iothread")) {
      paths.push_back(fmt::format("{}/{}/cpu.stat", path_, name));
    }
  }
  std::erase_if(
      stats_, [&](const TextFile& file) { return std::find(paths.begin(), paths.end(), file.path()) == paths.end(); });
  for (std::string& path : paths) {
    const bool known =
        std::any_of(stats_.begin(), stats_.end(), [&](const TextFile& file) { return file.path() == path; });
    if (!known) stats_.emplace_back(std::move(path));
  }
}

std::optional<std::int64_t> VmCgroup::throttled_time_ns() {
  std::optional<std::int64_t> sum;
  for (TextFile& file : stats_) {
    const auto text = file.read();
    if (!text) continue;
    if (const auto ns = parse_throttled_ns(*text)) sum = sum.value_or(0) + *ns;
  }
  return sum;
}

}  // namespace proteus::collect
