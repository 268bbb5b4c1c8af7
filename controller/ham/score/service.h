#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "controller/ham/score/cluster_model.h"
#include "controller/ham/score/scenarios.h"

namespace proteus::ham {

/// What slow VMs cost: the value of the work that they do not get done, in scenarios of what all VMs do together. A
/// VM's performance is the product of what it suffers: waiting in the run queue (the host's curve), a fair share of a
/// host that is asked for more than it has, cores slower than it could use, and waiting for disk and network as far as
/// its time is spent in I/O. Losses up to Limits::slowdown_free cost nothing. Immutable. Formulas: docs/decisions.md.
class ServicePrices {
 public:
  /// The model's VMs and hosts must be complete; it outlives this.
  explicit ServicePrices(const ClusterModel& model);

  /// Of the VMs without `leaves` and with `comes` (kNowhere: none), on a host. Currency per hour, >= 0.
  double slowdown(std::size_t host, const std::vector<std::size_t>& vms, std::size_t leaves, std::size_t comes) const;

 private:
  struct Cell;
  double lost_value(const HostModel& host, const std::vector<std::size_t>& vms, std::size_t cell,
                    const Cell& sums) const;

  const ClusterModel& model_;
  std::shared_ptr<const Scenarios> scenarios_;
  std::vector<float> disk_share_;     ///< [vm · cells + cell] of its time, on the best host at rest
  std::vector<float> network_share_;  ///< likewise
  std::vector<char> sensitive_;       ///< [vm] may lose something even where nothing is contended
};

}  // namespace proteus::ham
