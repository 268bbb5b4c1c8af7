#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "controller/ham/score/cluster_model.h"
#include "controller/ham/score/scenarios.h"

namespace proteus::ham {

/// What the VMs of a host ask for together, cell by cell of the scenarios: [0, cells) cores, no VM more than its vCPUs
/// can do there; then disk and network, bytes per second; then Σ b² / n of finite_queue.h. Empty: the policy gives no
/// VM's work a value.
using ServiceLoad = std::vector<float>;

/// A VM on a host, or a part of one.
struct Guest {
  enum class Part : std::uint8_t {
    kAll,
    kOwn,    ///< what its helper leaves to it
    kHelper  ///< its helper
  };
  std::size_t vm = kNowhere;
  Part part = Part::kAll;
  float work_most = 0;  ///< cores of the VM's work that the helper does at most
  bool operator==(const Guest&) const = default;
};

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
/// than a twentieth costs Prices::waiting_per_vm_hour whatever its value. A VM with a helper has two parts, each priced
/// on its host with a part of what is free: together no less than the VM as a whole. Immutable. Formulas:
/// docs/decisions.md.
class ServicePrices {
 public:
  /// The model's VMs and hosts must be complete; it outlives this.
  explicit ServicePrices(const ClusterModel& model);

  ServiceLoad load_of(std::size_t host, std::span<const Guest> guests) const;
  /// Puts a guest of that host on top (sign 1), or takes it out (-1).
  void add(ServiceLoad& load, std::size_t host, const Guest& guest, float sign) const;
  /// Of the guests without `leaves` and with `comes`, on a host; load: theirs together.
  ServicePrice price(std::size_t host, std::span<const Guest> guests, std::span<const Guest> leaves,
                     std::span<const Guest> comes, const ServiceLoad& load) const;

 private:
  struct HostCells;
  struct Guests;
  struct Worker {
    double value_per_hour = 0;
    float vcpus = 1;
    bool sensitive = false;  ///< may lose something even where nothing is contended
  };
  HostCells cells_of(std::size_t host, const Guests& guests, const ServiceLoad& load) const;
  /// Value lost by a VM an hour and how uncertain it is, and the share of the time in which it waits or lacks CPU.
  void add_vm(std::size_t vm, const HostCells& cells, ServicePrice& price, double& contended) const;
  /// The same of a VM's part.
  void add_part(const Guest& guest, const HostCells& cells, ServicePrice& price, double& contended) const;
  /// Cores of the VM's work in a cell that its helper does.
  float helper_work(const Guest& guest, std::size_t cell) const;
  float cores_of(const Guest& guest, std::size_t cell) const;
  int vcpus_of(const Guest& guest) const;

  const ClusterModel& model_;
  std::shared_ptr<const Scenarios> scenarios_;
  std::vector<float> weights_;  ///< [cell] share of time and likelihood; their sum is 1
  std::vector<Worker> vms_;
  /// [3 · vm · cells] of each VM cores, then the shares of its time that it spends in disk and network I/O on the best
  /// host at rest: side by side, since this is read most.
  std::vector<float> work_;
};

}  // namespace proteus::ham
