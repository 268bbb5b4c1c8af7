#pragma once

#include <cstddef>

#include "controller/simulate/kvm/performance.h"
#include "controller/simulate/kvm/policy.h"

namespace proteus::simulate::kvm {

/// What a searching policy believes of how hosts respond to load.
class Response {
 public:
  virtual ~Response() = default;
  /// The share of runnable time that VMs on a host wait for a CPU.
  virtual double wait(std::size_t host, const BusyFractions& busy) const = 0;
  /// How long disk operations take on a host at a load (of capacity), relative to the best host at rest.
  virtual double disk_stretch(std::size_t host, double load) const = 0;
  virtual double network_stretch(std::size_t host, double load) const = 0;
  /// The share of its time that a VM spends in I/O at such a rate, were it on the best host at rest.
  virtual double disk_share(double disk_kbs) const = 0;
  virtual double network_share(double network_kbs) const = 0;
};

}  // namespace proteus::simulate::kvm
