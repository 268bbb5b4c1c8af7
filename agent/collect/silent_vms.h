#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>

#include "agent/collect/inventory.h"
#include "common/ids.h"

namespace proteus::collect {

/// Tells by their processes which VMs' QEMUs answer nobody now. Each one that is asked all the same would hold a thread
/// of ours and one of the daemon's few for as long as that lasts. Thread: owned by one.
class SilentVms {
 public:
  /// A process that waits for a disk, or for memory, sleeps so too: one that did at each look for so long is silent.
  static constexpr std::chrono::seconds kAsleepLeast{1};

  /// root: procfs and libvirt's pid files are read below it.
  explicit SilentVms(std::string root) : root_(std::move(root)) {}

  /// Of these VMs those whose process is stopped, or sleeps where no signal wakes it (its disk is gone). VMs without a
  /// pid file of libvirt's are none. Cost: four small files a VM.
  std::set<VmId> look(const std::map<VmId, VmFacts>& vms, std::chrono::steady_clock::time_point now);

 private:
  const std::string root_;
  std::map<VmId, std::chrono::steady_clock::time_point> asleep_since_;
};

}  // namespace proteus::collect
