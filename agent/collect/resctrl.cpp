#include "agent/collect/resctrl.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "agent/collect/text_file.h"
#include "common/log.h"

namespace proteus::collect {
namespace {

constexpr std::string_view kPrefix = "proteus-";
constexpr std::size_t kLeftToOthers = 16;
constexpr std::chrono::minutes kFullFor{1};

std::vector<std::string> entries_with(const std::string& path, std::string_view prefix) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
  if (!directory) return names;
  while (const dirent* entry = ::readdir(directory.get())) {
    if (std::string_view(entry->d_name).starts_with(prefix)) names.emplace_back(entry->d_name);
  }
  return names;
}

/// Files of resctrl take one number a write. Returns 0 or errno.
int write_number(const std::string& path, pid_t number) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const std::string text = std::to_string(number);
  const int code = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : errno;
  ::close(fd);
  return code;
}

}  // namespace

Result<Resctrl> Resctrl::open(const std::string& root) {
  const std::string top = under(root, "/sys/fs/resctrl");
  const std::string groups = top + "/mon_groups";
  if (::access((top + "/info").c_str(), F_OK) != 0) {
    return Error{ErrorCode::kUnsupported, "resctrl is not mounted at /sys/fs/resctrl, or the processor has none"};
  }
  if (::access((top + "/info/L3_MON").c_str(), F_OK) != 0) {
    return Error{ErrorCode::kUnsupported, "the processor can allocate its cache but not monitor it (no L3_MON)"};
  }
  if (::access(groups.c_str(), W_OK) != 0) {
    return Error{ErrorCode::kPermissionDenied, fmt::format("{}: {}", groups, std::strerror(errno))};
  }
  const auto text = read_file(top + "/info/L3_MON/num_rmids");
  const auto ids = text ? parse_number(*text) : std::nullopt;
  return Resctrl(root, top, ids && *ids > 0 ? std::optional(static_cast<std::size_t>(*ids)) : std::nullopt);
}

void Resctrl::remove_left() {
  for (const std::string& left : entries_with(groups_, kPrefix)) ::rmdir((groups_ + "/" + left).c_str());
}

/// The default group, all control groups, and monitoring groups in any of them.
std::size_t Resctrl::others_groups() const {
  const auto count = [](const std::string& path) {
    const std::vector<std::string> names = entries_with(path, "");
    return static_cast<std::size_t>(std::count_if(names.begin(), names.end(), [](const std::string& name) {
      return !name.starts_with('.') && !name.starts_with(kPrefix);
    }));
  };
  std::size_t groups = 1 + count(groups_);
  for (const std::string& name : entries_with(top_, "")) {
    const std::string inner = fmt::format("{}/{}/mon_groups", top_, name);
    if (!name.starts_with('.') && ::access(inner.c_str(), F_OK) == 0) groups += 1 + count(inner);
  }
  return groups;
}

std::optional<std::size_t> Resctrl::room() const {
  if (!ids_) return std::nullopt;
  const std::size_t taken = std::max((*ids_ + 3) / 4, std::min(kLeftToOthers, *ids_ / 2)) + others_groups();
  return *ids_ > taken ? *ids_ - taken : 0;
}

Resctrl::~Resctrl() {
  for (const auto& [vm, threads] : vms_) ::rmdir(path(vm).c_str());
}

/// From 5.6 on the kernel tells a thread's groups: "res:" and a control group, "/" being the default one, and "mon:"
/// and a monitoring group, if it is in one.
bool Resctrl::is_others(pid_t thread) const {
  const auto text = read_file(under(root_, fmt::format("/proc/{}/cpu_resctrl_groups", thread)));
  std::string_view rest = text ? std::string_view(*text) : std::string_view();
  while (const auto line = take_line(rest)) {
    if (line->starts_with("res:") && line->size() > 4 && line->substr(4) != "/") return true;
    if (line->starts_with("mon:") && line->size() > 4 && !line->substr(4).starts_with(kPrefix)) return true;
  }
  return false;
}

bool Resctrl::leave_to_others(const std::string& vm) {
  remove(vm);
  others_.insert(vm);
  log::info("VM {}: resctrl has threads of it in a group of somebody else's: it has no figures of its cache here", vm);
  return false;
}

bool Resctrl::make_group(const std::string& vm) {
  const auto now = std::chrono::steady_clock::now();
  if (now < full_until_) return false;
  if (vms_.size() < room().value_or(SIZE_MAX)) {
    if (::mkdir(path(vm).c_str(), 0755) == 0) {
      vms_.try_emplace(vm);
      return true;
    }
    if (errno != ENOSPC && errno != EBUSY) return false;  // EBUSY: ids rest for a while after their group has gone
  }
  full_until_ = now + kFullFor;
  if (!std::exchange(said_full_, true)) {
    log::warning("resctrl: no monitoring id for VM {}: those without one have no figures of their caches", vm);
  }
  return false;
}

bool Resctrl::add(const std::string& vm, std::span<const pid_t> threads) {
  if (others_.contains(vm)) return false;
  const auto known = vms_.find(vm);
  if (known == vms_.end() && std::chrono::steady_clock::now() < full_until_) return false;
  // Of those that have been entered one tells for all whether they still are where they were put.
  const auto is_asked = [&](pid_t thread) {
    return thread == threads.front() || known == vms_.end() || !known->second.contains(thread);
  };
  if (std::any_of(threads.begin(), threads.end(), [&](pid_t one) { return is_asked(one) && is_others(one); })) {
    return leave_to_others(vm);
  }
  if (known == vms_.end() && !make_group(vm)) return false;
  bool all = true;
  std::set<pid_t> entered;
  for (const pid_t thread : threads) {
    const int code = write_number(path(vm) + "/tasks", thread);
    if (code == EINVAL) return leave_to_others(vm);  // it is in another control group
    if (code == 0) entered.insert(thread);
    all &= code == 0;
  }
  vms_[vm] = std::move(entered);
  return all;
}

void Resctrl::remove(const std::string& vm) {
  others_.erase(vm);
  if (vms_.erase(vm) == 0) return;
  ::rmdir(path(vm).c_str());
  full_until_ = {};
}

ResctrlFigures Resctrl::read(const std::string& vm) const {
  ResctrlFigures figures;
  if (!vms_.contains(vm)) return figures;
  const std::string data = path(vm) + "/mon_data";
  const std::vector<std::string> caches = entries_with(data, "mon_L3_");
  // Without one of the caches it is no sum: it would fall, and grow when that one tells again.
  const auto sum_of = [&](const char* file) {
    std::optional<std::int64_t> sum;
    for (const std::string& cache : caches) {
      const auto text = read_file(fmt::format("{}/{}/{}", data, cache, file));
      const auto value = text ? parse_number(*text) : std::nullopt;  // "Unavailable" while the hardware has no value
      if (!value) return std::optional<std::int64_t>();
      sum = sum.value_or(0) + *value;
    }
    return sum;
  };
  figures.llc_occupancy_bytes = sum_of("llc_occupancy");
  figures.memory_bandwidth_bytes = sum_of("mbm_total_bytes");
  return figures;
}

}  // namespace proteus::collect
