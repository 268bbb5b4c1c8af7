#pragma once

#include <vector>

#include "controller/simulate/kvm/policy.h"

namespace proteus::simulate::kvm {

struct MemoryOptions {
  double host_share = 1.08;    ///< of a host's memory that ceilings may add up to
  double reclaim_share = 0.2;  ///< of its size: less is not worth taking back from a VM
  double value_power = 0.5;    ///< a guest's part of scarce room is proportional to its VM's value to this power
};

/// Keeps every host within its memory by the VMs' balloons: what a guest no longer needs is taken back by a ceiling
/// that stands for one step, and where not all guests could grow to their size at once, ceilings share out the room
/// that is left, so that no host can run out of memory: first what guests may need, then what they have needed, then
/// the rest.
class MemoryKeeper {
 public:
  explicit MemoryKeeper(MemoryOptions options) : options_(options) {}
  /// need_mib: [vm] what a guest may need within the hour, rarely exceeded; peak_mib: [vm] what it has needed at most.
  void act(Console& console, const std::vector<double>& need_mib, const std::vector<double>& peak_mib) const;

 private:
  MemoryOptions options_;
};

}  // namespace proteus::simulate::kvm
