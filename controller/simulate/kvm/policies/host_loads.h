#pragma once

#include <vector>

#include "controller/simulate/kvm/policy.h"

namespace proteus::simulate::kvm {

/// What each host has to carry once the migrations under way have ended: the VMs' newest CPU samples, and the memory
/// that they hold. Lives for one step.
class HostLoads {
 public:
  explicit HostLoads(const Console& console);

  double cpu_share(int host) const { return load(host).cpu_mhz / console_.host_class(host).cpu_mhz(); }
  double memory_share(int host) const { return load(host).memory_mib / console_.host_class(host).memory_mib; }
  /// The host with the VM would stay within both shares.
  bool fits(int vm, int host, double cpu_share_max, double memory_share_max) const;
  void move(int vm, int from, int to);
  /// To what they were when `saved` was copied from them.
  void restore(const HostLoads& saved) { loads_ = saved.loads_; }

 private:
  struct Load {
    double cpu_mhz = 0;
    double memory_mib = 0;
  };
  const Load& load(int host) const { return loads_[static_cast<std::size_t>(host)]; }
  void add(int host, int vm, double sign);

  const Console& console_;
  std::vector<Load> loads_;
};

}  // namespace proteus::simulate::kvm
