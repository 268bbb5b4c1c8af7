#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "common/result.h"

namespace proteus::collect {

struct ResctrlFigures {
  std::optional<std::int64_t> llc_occupancy_bytes;
  std::optional<std::int64_t> memory_bandwidth_bytes;  ///< moved so far, all of the system's memory
};

/// Monitoring groups of the kernel's resctrl file system, one per VM that has been entered: what the VM holds of the
/// last-level cache, and what it moves to and from memory, summed over the caches. Groups are named proteus-ID and live
/// as long as their VM, at most as long as this object.
/// Monitoring ids are few (one to four hundred), each group of anybody's takes one, and libvirt cannot start a VM with
/// <cachetune> or <monitor> that finds none: a quarter of them, or 16 but no more than half, is left to others, and a
/// VM without one has no figures. Neither has one of whose threads somebody else has put one into a group, as libvirt
/// does for <cachetune> and its <monitor>: a thread is counted in one place only, and the kernel leaves it in its
/// control group (Documentation/filesystems/resctrl.rst). Thread: owned by one.
class Resctrl {
 public:
  /// root: /sys/fs/resctrl is looked for below it. Errors: kUnsupported with the reason.
  static Result<Resctrl> open(const std::string& root);
  /// Removes the groups that an agent which was killed left.
  void remove_left();
  /// For how many VMs there are ids, besides those of others; nullopt if the kernel does not tell how many it has.
  std::optional<std::size_t> room() const;
  ~Resctrl();
  Resctrl(Resctrl&&) = default;
  Resctrl& operator=(Resctrl&&) = delete;

  /// Enters the VM's threads; new ones may follow in later calls. False if there is no room, which is looked for again
  /// when a VM has ended, else once a minute; if a thread is gone; or if one is in somebody else's group: from then on
  /// the VM has no figures.
  bool add(const std::string& vm, std::span<const pid_t> threads);
  void remove(const std::string& vm);
  ResctrlFigures read(const std::string& vm) const;

 private:
  Resctrl(std::string root, std::string top, std::optional<std::size_t> ids)
      : root_(std::move(root)), top_(std::move(top)), groups_(top_ + "/mon_groups"), ids_(ids) {}
  std::string path(const std::string& vm) const { return groups_ + "/proteus-" + vm; }
  bool is_others(pid_t thread) const;
  bool leave_to_others(const std::string& vm);
  bool make_group(const std::string& vm);
  std::size_t others_groups() const;

  std::string root_;
  std::string top_;
  std::string groups_;              ///< the directory mon_groups
  std::optional<std::size_t> ids_;  ///< that the kernel has
  std::chrono::steady_clock::time_point full_until_;
  bool said_full_ = false;
  std::map<std::string, std::set<pid_t>> vms_;  ///< threads that have been entered
  std::set<std::string> others_;                ///< VMs of which somebody else has threads in groups
};

}  // namespace proteus::collect
