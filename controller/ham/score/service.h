#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "controller/ham/score/cluster_model.h"
#include "controller/ham/score/scenarios.h"

namespace proteus::ham {

/// What the VMs of a host ask for together, cell by cell of the scenarios: [0, cells) cores, no VM more than its vCPUs
/// can do there; then disk and network, bytes per second. Empty: the policy gives no VM's work a value.
using ServiceLoad = std::vector<float>;

/// What a host's service costs.
struct ServicePrice {
  double slowdown_per_hour = 0;  ///< value of the work that its VMs do not get done, and of those kept waiting
  double slowdown_error = 0;     ///< standard error of the work's value, as far as the CPU's curve is uncertain
  double used = 0;               ///< mean share of the host's CPU that is used
};

/// What slow VMs cost: the value of the work that they do not get done, in scenarios of what all VMs do together. A
/// VM's performance is the product of what it suffers: waiting in the run queue (the host's curve), a fair share of a
/// host that is asked for more than it has, cores slower than it could use, and waiting for disk and network as far as
/// its time is spent in I/O. Losses up to Limits::slowdown_free cost nothing. A VM that waits, or lacks CPU, by more
/// than a twentieth costs Prices::waiting_per_vm_hour whatever its value. Immutable. Formulas: docs/decisions.md.
class ServicePrices {
 public:
  /// The model's VMs and hosts must be complete; it outlives this.
  explicit ServicePrices(const ClusterModel& model);

  ServiceLoad load_of(std::size_t host, const std::vector<std::size_t>& vms) const;
  /// Puts a VM of that host on top (sign 1), or takes it out (-1).
  void add(ServiceLoad& load, std::size_t host, std::size_t vm, float sign) const;
  /// Of the VMs without `leaves` and with `comes` (kNowhere: none), on a host; load: theirs together.
  ServicePrice price(std::size_t host, const std::vector<std::size_t>& vms, std::size_t leaves, std::size_t comes,
                     const ServiceLoad& load) const;

 private:
  struct HostCells;
  HostCells cells_of(std::size_t host, const std::vector<std::size_t>& vms, std::size_t leaves, std::size_t comes,
                     const ServiceLoad& load) const;
  /// Value lost by a VM an hour and how uncertain it is, and the share of the time in which it waits or lacks CPU.
  void add_vm(std::size_t vm, const HostCells& cells, ServicePrice& price, double& contended) const;

  const ClusterModel& model_;
  std::shared_ptr<const Scenarios> scenarios_;
  std::vector<float> weights_;        ///< [cell] share of time and likelihood; their sum is 1
  std::vector<float> disk_share_;     ///< [vm · cells + cell] of its time, on the best host at rest
  std::vector<float> network_share_;  ///< likewise
  std::vector<char> sensitive_;       ///< [vm] may lose something even where nothing is contended
};

}  // namespace proteus::ham
