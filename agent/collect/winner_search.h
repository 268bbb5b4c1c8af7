#pragma once

#include <cstdint>
#include <map>

#include "agent/collect/tracked_vm.h"

namespace proteus::collect {

/// Finds which VMs take the CPU from which: a pair has its series from then on. Thread: owned by one.
class WinnerSearch {
 public:
  /// tick: counts up. Returns true if a pair was found, which changes the catalog.
  bool update(const RunQueueTrace& trace, std::map<VmId, TrackedVm>& vms, std::uint64_t tick);

 private:
  std::uint64_t at_tick_ = 0;  // when they are looked for again
  std::uint64_t wait_ticks_ = 0;
  std::uint64_t pairs_count_ = 0;  // as of the last look
};

}  // namespace proteus::collect
