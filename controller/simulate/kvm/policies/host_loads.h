#pragma once

#include <vector>

#include "controller/simulate/kvm/policy.h"

namespace proteus::simulate::kvm {

/// Parts of what a host has.
struct HostShares {
  double cpu = 1;
  double memory = 1;
};

/// What each VM wanted at most in so many ticks, or in those that are known of it. Shape: [vm], MHz; 0 for one that is
/// absent or arrives now.
std::vector<double> peak_cpu(const Console& console, int ticks);

/// Whether a policy of thresholds may move it: not on its way, pinned or down, last moved that long ago.
bool movable(const Console& console, int vm, int cooldown_ticks);

/// What each host has to carry once the migrations under way have ended, and whatever a policy goes on to plan: CPU as
/// told, residents with QEMU's own memory. Lives for one step.
class HostLoads {
 public:
  /// cpu_mhz: [vm] what counts as its demand.
  HostLoads(const Console& console, std::vector<double> cpu_mhz);

  double vm_cpu_mhz(int vm) const { return cpu_mhz_[static_cast<std::size_t>(vm)]; }
  double vm_memory_mib(int vm) const { return console_->vm(vm).resident_mib + kVmOverhead_mib; }
  double cpu_share(int host) const;
  double memory_share(int host) const;
  /// More than these of either.
  bool above(int host, const HostShares& limits) const;
  /// With the VM added, at most these of both.
  bool fits(int vm, int host, const HostShares& limits) const;
  void move(int vm, int from, int to);

 private:
  struct Load {
    double cpu_mhz = 0;
    double memory_mib = 0;
  };
  void add(int host, int vm, double sign);

  const Console* console_;
  std::vector<double> cpu_mhz_;
  std::vector<Load> loads_;
};

}  // namespace proteus::simulate::kvm
