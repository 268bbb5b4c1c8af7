#include "agent/collect/vm_cgroup.h"

#include <dirent.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "agent/collect/vm_process.h"

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

bool is_vcpu_group(std::string_view name) {
  return starts_with(name, "vcpu") && name.size() > 4;
}

bool is_thread_group(std::string_view name) {
  return name == "emulator" || is_vcpu_group(name) || starts_with(name, "iothread");
}

/// The names of a directory's entries; empty if it cannot be read.
std::vector<std::string> entries(const std::string& path) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
  if (!directory) return names;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") names.emplace_back(name);
  }
  return names;
}

/// Where v2's tree is mounted: alone, or beside v1 hierarchies.
std::string unified_mount(const std::string& root) {
  const std::string alone = under(root, "/sys/fs/cgroup");
  return ::access((alone + "/cgroup.controllers").c_str(), F_OK) == 0 ? alone : alone + "/unified";
}

std::string group_of(const std::string& root, std::string_view text, std::string_view controller) {
  const auto place = parse_cgroup(text, controller);
  if (!place || starts_with(place->path, "/..")) return {};
  std::string path = place->path;
  // QEMU's main thread sits in the child "emulator"; the VM's group is its parent.
  const std::size_t last = path.rfind('/');
  if (is_thread_group(std::string_view(path).substr(last + 1))) path.resize(last);
  // Not a group of its own: all VMs of a libvirt that cannot make any, or of a user's session, are in one.
  if (!machine_of_group(path)) return {};
  if (place->v2) return unified_mount(root) + path;
  const std::string together = under(root, "/sys/fs/cgroup/" + place->controllers);
  if (::access((together + path).c_str(), F_OK) == 0) return together + path;
  return under(root, fmt::format("/sys/fs/cgroup/{}", controller)) + path;
}

}  // namespace

std::optional<CgroupPlace> parse_cgroup(std::string_view text, std::string_view controller) {
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
    } else if (!controller.empty() && has_word(place.controllers, controller)) {
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

VmGroups find_vm_groups(const std::string& root, pid_t pid) {
  const auto text = read_file(under(root, fmt::format("/proc/{}/cgroup", pid)));
  if (!text) return {};
  VmGroups groups{.cpu = group_of(root, *text, "cpu"),
                  .memory = group_of(root, *text, "memory"),
                  .block = group_of(root, *text, "blkio"),
                  .unified = group_of(root, *text, "")};
  // v2 accounts requests to the nearest group that has the io controller, which may be the scope above libvirt's own
  constexpr std::string_view kLibvirtsOwn = "/libvirt";
  if (groups.block == groups.unified && groups.block.ends_with(kLibvirtsOwn)) {
    groups.block.resize(groups.block.size() - kLibvirtsOwn.size());
  }
  return groups;
}

std::vector<std::string> list_vcpu_groups(const std::string& path) {
  std::vector<std::string> names = entries(path);
  std::erase_if(names, [](const std::string& name) { return !is_vcpu_group(name); });
  return names;
}

std::optional<std::uint64_t> group_id(const std::string& path) {
  struct stat status {};
  if (path.empty() || ::stat(path.c_str(), &status) != 0) return std::nullopt;
  return status.st_ino;
}

std::vector<std::uint64_t> list_group_ids(const std::string& path) {
  std::vector<std::uint64_t> ids;
  const auto id = group_id(path);
  if (!id) return ids;
  ids.push_back(*id);
  for (const std::string& child : entries(path)) {
    // No request is a threaded group's (v2): these tell apart what threads take of the CPU, not of disks.
    if (read_file(path + "/" + child + "/cgroup.type").value_or("").starts_with("threaded")) continue;
    const auto below = list_group_ids(path + "/" + child);
    ids.insert(ids.end(), below.begin(), below.end());
  }
  return ids;
}

void VmThrottling::rescan() {
  if (path_.empty()) return;
  std::vector<std::string> paths{path_ + "/cpu.stat"};
  for (const std::string& child : list_vcpu_groups(path_)) {
    paths.push_back(fmt::format("{}/{}/cpu.stat", path_, child));
  }
  std::erase_if(
      stats_, [&](const TextFile& file) { return std::find(paths.begin(), paths.end(), file.path()) == paths.end(); });
  for (std::string& path : paths) {
    const bool known =
        std::any_of(stats_.begin(), stats_.end(), [&](const TextFile& file) { return file.path() == path; });
    if (!known) stats_.emplace_back(std::move(path), FileRecords::kShort);
  }
}

std::optional<std::int64_t> VmThrottling::throttled_time_ns() {
  std::optional<std::int64_t> sum;
  for (TextFile& file : stats_) {
    const auto text = file.read();
    if (!text) continue;
    if (const auto ns = parse_throttled_ns(*text)) sum = sum.value_or(0) + *ns;
  }
  return sum;
}

}  // namespace proteus::collect
