#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/ham/cluster_state.h"
#include "controller/ham/policy.h"
#include "controller/ham/score/demand.h"
#include "controller/ham/score/migration_model.h"

namespace proteus::ham {

namespace learning {
class Agent;
}

constexpr std::size_t kNowhere = std::numeric_limits<std::size_t>::max();

using profile::WaitTable;

/// A host, ready for arithmetic.
struct HostModel {
  const HostState* state = nullptr;
  std::shared_ptr<const WaitTable> wait;         ///< shared by hosts of which nothing is known but their size
  std::shared_ptr<const WaitTable> wait_factor;  ///< on what its vCPUs would wait by theory; none: `wait` has to do
  double curve_trust = 0;  ///< how far `wait` is believed, beside what a finite number of vCPUs can wait
  double capacity_cores = 0;
  std::int64_t memory_bytes = 0;
  double memory_other_bytes = 0;  ///< in use, and not by VMs that are there; to 1/256 of its memory
  double cpu_headroom = 0;        ///< share of the capacity to be kept free
  double memory_headroom = 0;
  std::shared_ptr<const WaitTable> disk_wait;  ///< none: nobody waits for it
  std::shared_ptr<const WaitTable> network_wait;
  double idle_watts = 0;
  double peak_watts = 0;
  std::size_t fault_domain = kNowhere;    ///< index into Policy::fault_domains, or beyond them: a host of its own
  int migrations_running = 0;             ///< in or out, in flight
  int moves_last_hour = 0;                ///< in or out, ended
  double transit_cpu_cores = 0;           ///< p90 demand of VMs on their way here
  std::int64_t transit_memory_bytes = 0;  ///< of the same
  /// The same as in a decision before only if its score under the same load is; 0: not known.
  std::uint64_t version = 0;
};

/// Limits that the size rules put on a VM's allocation, all that match taken together.
struct SizeBounds {
  int vcpus_min = 1;
  int vcpus_max = 1 << 20;
  double cpu_cores_min = 0;
  double cpu_cores_max = 1e9;
  std::int64_t memory_bytes_min = 0;
  std::int64_t memory_bytes_max = std::int64_t{1} << 60;
  std::string rule;  ///< "size:a,b"; empty if none matches
};

/// A VM, ready for arithmetic.
struct VmModel {
  const VmState* state = nullptr;
  std::size_t host = kNowhere;  ///< index; kNowhere if its host is not in the state
  bool active = false;          ///< running on a known host
  bool in_flight = false;
  bool awaiting_approval = false;
  std::shared_ptr<const Demand> demand;
  MigrationPrediction migration;
  Automation automation = Automation::kObserve;
  SizeBounds size;
  double priority = 1;        ///< multiplies what its waiting costs
  double value_per_hour = 0;  ///< of its work
  /// What the guest holds and may need: that counts against its host's memory instead of its balloon target, if the
  /// policy counts so (Limits::memory_promise).
  std::optional<std::int64_t> memory_need_bytes;
  double reserved_cores = 0;  ///< counted at its host whether it uses them or not
  int moves_last_hour = 0;
  std::string window;                   ///< name of the rule by which it may not be changed at this time; empty: none
  bool window_migrate_only = false;     ///< and that rule is about migrations alone
  std::string exclusion;                ///< name of the exclude rule; empty: none
  std::vector<std::uint32_t> affinity;  ///< indices into Policy::affinity
  std::vector<std::uint32_t> pins;      ///< indices into Policy::pins
  const HelperRule* helper_rule = nullptr;  ///< of the helper that it has or may have; null: neither
  bool scalable = false;                    ///< it may have one
  std::size_t helper_host = kNowhere;       ///< of the one that it has
  Timestamp helper_since;
  /// The same as in a decision before only if its load and its score are; 0: not known.
  std::uint64_t version = 0;
};

class ServicePrices;
struct Memory;

/// What a VM with such an allocation counts against its host's memory.
inline std::int64_t promised_bytes(const VmModel& vm, const Allocation& allocation) {
  return vm.memory_need_bytes.value_or(allocation.memory_bytes);
}

/// Everything that does not change while a decision is searched for. Borrows state and policy.
struct ClusterModel {
  /// memory: of the decision before, and for the next one.
  ClusterModel(const ClusterState& state, const Policy& policy, Memory* memory = nullptr);
  ~ClusterModel();
  ClusterModel(const ClusterModel&) = delete;
  ClusterModel& operator=(const ClusterModel&) = delete;

  const ClusterState& state;
  const Policy& policy;
  const learning::Agent* learning = nullptr;  ///< corrects gains; null: nothing does
  bool explores = false;                      ///< among equal choices one is drawn
  Horizon horizon;
  std::vector<HostModel> hosts;  ///< as in state.hosts
  std::vector<VmModel> vms;      ///< as in state.vms
  int migrations_running = 0;    ///< in flight, in the cluster
  int moves_last_hour = 0;
  bool helpers = false;                            ///< some VM has a helper or may have one
  std::unique_ptr<const ServicePrices> service;    ///< none: the policy gives no VM's work a value
  std::vector<std::vector<bool>> pin_allows;       ///< [pin][host]
  std::vector<std::vector<std::size_t>> rule_vms;  ///< [affinity rule]: the active VMs that it is about

  double payback_hours() const;
  /// Currency per hour that a change must gain if what it touches costs so much now.
  double gain_required(double present_cost_per_hour) const;
  /// Where the VMs of an affinity rule are together or apart: a host, or all hosts of a fault domain.
  std::size_t zone(std::uint32_t affinity_rule, std::size_t host) const {
    return policy.affinity[affinity_rule].by_fault_domain ? hosts[host].fault_domain : host;
  }
  /// True if every pin of the VM allows the host.
  bool pins_allow(std::size_t vm, std::size_t host) const;
};

}  // namespace proteus::ham
