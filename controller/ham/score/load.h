#pragma once

#include <array>
#include <cstdint>

#include "controller/ham/cluster_state.h"
#include "controller/ham/policy.h"
#include "controller/ham/score/cluster_model.h"
#include "controller/ham/score/demand.h"

namespace proteus::ham {

/// How much the forecast errors of VMs on one host move together: 0 independent (their spreads add as squares), 1 in
/// step (their spreads add up). Half-way, because load that VMs share shows in their medians already.
constexpr double kErrorCorrelation = 0.5;
/// Seconds of CPU run behind a host's curve at which it counts as much as the finite-population model.
constexpr double kCurveTrustRun_s = 60;
/// Share of its demand that a guest needs beside it for page cache before it starts to reclaim.
constexpr double kMemorySpare = 0.10;

using SlotValues = std::array<double, kSlots>;

/// Peak CPU load by slot [cores], reservations included: what headroom is about.
struct PeakLoad {
  SlotValues median{}, spread90{}, square90{};
  void add(const PeakLoad& other, double sign);
  /// p90 in one slot.
  double at(std::size_t slot) const;
  /// Largest p90 of all slots.
  double most() const;
};

/// What VMs ask of a host beside CPU: where they wait for it is learned, not modelled (profile::HostCurve).
struct DeviceLoad {
  double storage_requests_per_s = 0;
  double storage_lean_per_s = 0;  ///< of them those that vCPUs wait for, × the VM's priority (profile::Signature)
  double network_bytes_per_s = 0;
  double packets_per_s = 0;  ///< × the VM's priority
  double exits_per_s = 0;    ///< to user space; × the VM's priority
  double mean_cores = 0;     ///< p50, mean over the horizon
  double memory_used_bytes = 0;
  void add(const DeviceLoad& other, double sign);
};

/// Load of one VM, or of several together, by slot: medians add; spreads over the median add linearly and as squares.
struct Load {
  SlotValues median{}, spread90{}, square90{}, spread99{}, square99{};  ///< cores, mean over the slot
  SlotValues weighted{};  ///< median × the VM's priority: who suffers when the host is contended
  PeakLoad peak;
  double vcpus = 0;
  DeviceLoad devices;
  std::int64_t memory_bytes = 0;
  int vms = 0;
  void add(const Load& other, double sign);
};

/// What a host costs [currency per hour, >= 0].
struct HostScore {
  SlotValues contention{};
  double memory_shortage = 0;
  double imbalance = 0;
  double energy = 0;
  double slowdown = 0;  ///< value of work that its VMs do not get done (score/service.h); score_host() leaves it 0
  /// Standard errors of what is waited for, as far as the host's curves are uncertain.
  double cpu_error = 0;
  double device_error = 0;
  double performance() const;  ///< contention holds what is waited for devices as well
  double utilisation() const { return imbalance + energy; }
};

/// What a VM costs by its own allocation [currency per hour, >= 0].
struct VmScore {
  SlotValues unserved{};
  double memory_shortage = 0;
  double idle = 0;  ///< of a VM with a helper: the helper's too, and what having it costs
  double performance() const;
};

// Formulas: docs/decisions.md. Pure. demand: the VM's, or what a helper leaves of it.
Load load_of(const VmModel& vm, const Allocation& allocation, const Demand& demand);
VmScore score_vm(const Policy& policy, const VmModel& vm, const Allocation& allocation, const Demand& demand);
inline Load load_of(const VmModel& vm, const Allocation& allocation) {
  return load_of(vm, allocation, *vm.demand);
}
inline VmScore score_vm(const Policy& policy, const VmModel& vm, const Allocation& allocation) {
  return score_vm(policy, vm, allocation, *vm.demand);
}
HostScore score_host(const Policy& policy, const HostModel& host, const Load& load);
/// Of a host with VMs, in currency per hour; used: share of its CPU.
double energy_cost(const Policy& policy, const HostModel& host, double used);
/// A figure and its standard error, as far as the host's curves are uncertain.
struct Uncertain {
  double value = 0;
  double error = 0;
};
/// What VMs wait for the host's storage, network, memory and exits [currency per hour]; 0 where nothing is known of the
/// host or its VMs.
Uncertain device_cost(const Policy& policy, const HostModel& host, const DeviceLoad& load);
/// How many of `vcpus` vCPUs wait for a CPU of the host, on average, while they want so many cores.
Uncertain waiting_cores(const HostModel& host, double vcpus, double cores);

}  // namespace proteus::ham
