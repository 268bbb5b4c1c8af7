#pragma once

#include <sys/types.h>

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
/// Monitoring ids are few (one to four hundred): a VM without one has no figures. Neither has one of whose threads
/// somebody else has put one into a group, as libvirt does for <cachetune> and its <monitor>: a thread is counted in
/// one place only, and the kernel leaves it in its control group (Documentation/filesystems/resctrl.rst). Thread: owned
/// by one.
class Resctrl {
 public:
  /// root: /sys/fs/resctrl is looked for below it. Errors: kUnsupported with the reason.
  static Result<Resctrl> open(const std::string& root);
  /// Removes the groups that an agent which was killed left.
  void remove_left();
  ~Resctrl();
  Resctrl(Resctrl&&) = default;
  Resctrl& operator=(Resctrl&&) = delete;

  /// Enters the VM's threads; new ones may follow in later calls. False if the kernel has no more groups, a thread is
  /// gone, or one is in somebody else's group: from then on the VM has no figures.
  bool add(const std::string& vm, std::span<const pid_t> threads);
  void remove(const std::string& vm);
  ResctrlFigures read(const std::string& vm) const;

 private:
  Resctrl(std::string root, std::string groups) : root_(std::move(root)), groups_(std::move(groups)) {}
  std::string path(const std::string& vm) const { return groups_ + "/proteus-" + vm; }
  bool is_others(pid_t thread) const;
  bool leave_to_others(const std::string& vm);

  std::string root_;
  std::string groups_;                          ///< the directory mon_groups
  std::map<std::string, std::set<pid_t>> vms_;  ///< threads that have been entered
  std::set<std::string> others_;                ///< VMs of which somebody else has threads in groups
};

}  // namespace proteus::collect
