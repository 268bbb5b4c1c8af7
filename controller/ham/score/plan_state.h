#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "controller/ham/decision.h"
#include "controller/ham/score/cluster_model.h"
#include "controller/ham/score/load.h"
#include "controller/ham/score/service.h"

namespace proteus::ham {

/// Where a VM is and what it has been given.
struct Placement {
  std::size_t host = kNowhere;
  Allocation allocation;
  std::size_t helper = kNowhere;  ///< host of its helper; kNowhere: it has none
  bool operator==(const Placement&) const = default;

  /// The same on another host, with another allocation, or with another helper.
  Placement on(std::size_t other_host) const { return {other_host, allocation, helper}; }
  Placement with(const Allocation& other) const { return {host, other, helper}; }
  Placement helped_on(std::size_t helper_host) const { return {host, allocation, helper_host}; }
};

/// One VM gets another placement: at most one migration and up to three allocation changes, or another helper.
struct Change {
  std::size_t vm = 0;
  Placement to;
  bool operator==(const Change&) const = default;
};

/// What a change would do to the score of the plan so far.
struct Evaluation {
  ScoreTerms delta;
  double present_cost_per_hour = 0;  ///< performance and imbalance of what it touches, now; >= 0
  double doubt = 0;                  ///< part of delta.cost: what the move may bring less than expected
  int hard_violations = 0;           ///< added to (or, negative, taken from) the cluster
  double gain() const { return delta.total(); }
};

/// What taking a VM off its host does there: the part that all moves of the VM have in common.
struct Departure {
  std::size_t vm = 0;
  SlotValues relief{};     ///< contention, currency per hour
  double performance = 0;  ///< gained at the host it leaves
  double utilisation = 0;
  double cpu_error = 0;  ///< by how much its standard errors fall there
  double device_error = 0;
};

/// The cluster as it would be after the changes applied so far, with its score kept by host and VM, so that one more
/// change costs the two hosts it touches and nothing else. What is paid once is paid for the difference to the model,
/// however it came about, but for stops: a VM that has moved and moves on to a third host has stopped where it was, and
/// pays for both moves. Back to where it is in the model means that it never left.
/// Formulas: docs/decisions.md.
class PlanState {
 public:
  explicit PlanState(const ClusterModel& model);
  /// The cluster as it is in another model, as if made of it, if its VMs are on the same hosts as in the last one;
  /// false: they are not, and nothing is done. What versions say has not changed is kept. The last model may be gone,
  /// but what was applied must have been taken back.
  bool rebase(const ClusterModel& model);

  const ClusterModel& model() const { return *model_; }
  const Policy& policy() const { return model_->policy; }
  const Placement& placement(std::size_t vm) const { return placements_[vm]; }
  const std::vector<std::size_t>& vms_on(std::size_t host) const { return hosts_[host].vms; }
  /// The VM has left, in this plan, the host that it is on in the model.
  bool moved(std::size_t vm) const { return placements_[vm].host != model_->vms[vm].host; }
  /// Hosts that the VM passes through in this plan, first to last; only if it moved.
  const std::vector<std::size_t>& stops(std::size_t vm) const { return stops_[vm]; }
  /// Migrations of the VM in this plan.
  int migrations_of(std::size_t vm) const { return moved(vm) ? 1 + static_cast<int>(stops_[vm].size()) : 0; }

  /// Holds until the next change is applied.
  const Departure& depart(std::size_t vm) const;
  Evaluation evaluate(const Change& change) const;
  /// The same for a move of the departing VM; cheaper where several targets are tried.
  Evaluation evaluate(const Change& change, const Departure& departure) const;
  /// Two VMs on different hosts, neither with affinity rules, change places: what it gains at most (contention until
  /// both have arrived is left out). Exact otherwise.
  double swap_gain_bound(std::size_t a, std::size_t b) const;
  void apply(const Change& change);

  /// What restore() needs to take back the latest apply().
  struct Saved {
    std::size_t vm = 0;
    Placement placement;
    ScoreTerms one_off;
    std::vector<std::size_t> stops;
    double arrival_s = 0;
    double doubt = 0;
  };
  Saved apply_saved(const Change& change);
  void restore(const Saved& saved);
  /// Takes back everything: the cluster as it is in the model, bit for bit.
  void rewind();

  /// Score of the whole cluster, one-off prices of the applied changes included.
  ScoreTerms total() const;
  /// Performance and imbalance of a host and its VMs, as a cost; >= 0.
  double cost_of_host(std::size_t host) const;
  const Load& load(std::size_t host) const { return hosts_[host].load; }
  const Load& load_of_vm(std::size_t vm) const { return vm_loads_[vm]; }
  /// Load and score of the VM with that allocation and its present helper.
  Load load_if(std::size_t vm, const Allocation& allocation) const;
  VmScore score_if(std::size_t vm, const Allocation& allocation) const;
  /// What moving the VM costs once, spread over the payback time: copying, downtime, throttling. Without the contention
  /// until it has arrived.
  double move_price(std::size_t vm) const;
  /// What the VM's own allocation costs; >= 0.
  double own_cost(std::size_t vm) const { return vm_scores_[vm].performance() + vm_scores_[vm].idle; }
  int hard_violations() const;
  /// Hard rules that the VM itself has a part in breaking: affinity, pin, maintenance.
  int hard_violations_of(std::size_t vm) const;
  /// VMs of the rule on the host, or, if it is by fault domain, in the host's fault domain.
  int affinity_count(std::uint32_t rule, std::size_t host) const;
  /// Violations that a move would add to (or take from) one affinity rule.
  int affinity_change(std::uint32_t rule, std::size_t from, std::size_t to) const;

  /// Largest p90 CPU demand of the host over the horizon, transit and reservations included; `change` as if applied.
  double cpu_peak_cores(std::size_t host) const;
  double cpu_peak_cores(std::size_t host, const Change& change) const;
  /// Sum of its VMs' allocations, transit included; VMs that leave earlier in this plan do not count.
  std::int64_t memory_committed_bytes(std::size_t host) const;
  /// What the host will have available before the next change of this plan: what VMs that come in this plan or in
  /// flight, and balloons raised in it, may take is gone; what VMs that left earlier in it held is there, because a
  /// change waits until whoever made its room has left.
  std::int64_t memory_free_bytes(std::size_t host) const;

  /// VMs that have a helper on the host, ascending.
  const std::vector<std::size_t>& helpers_on(std::size_t host) const { return hosts_[host].helpers; }
  /// Helpers of the VMs that the rule is about.
  int helpers_of(const HelperRule& rule) const;

  int migrations_planned() const { return migrations_planned_; }
  int migrations_planned(std::size_t host) const { return hosts_[host].migrations; }

  /// What VMs are expected to wait for a CPU of the host for each second that they run, at the beginning of the horizon
  /// (p50), as the plan is.
  Uncertain wait_ratio(std::size_t host) const;
  /// The same where the change takes its VM, once it is there.
  Uncertain wait_ratio_after(const Change& change) const;
  /// First p90 moment at which the host's demand exceeds its capacity, seconds from now, to a slot; negative: not
  /// within the horizon.
  double seconds_until_full(std::size_t host) const;

 private:
  struct HostPlan {
    std::vector<std::size_t> vms;      ///< ascending
    std::vector<std::size_t> helpers;  ///< VMs whose helper is here, ascending
    Load load;
    std::vector<Guest> guests;  ///< VMs and helpers, where service is priced
    ServiceLoad service_load;
    ServicePrice service;
    HostScore score;
    double peak_cores = 0;
    double vm_performance = 0;  ///< of its VMs, as a cost
    int migrations = 0;
    std::vector<std::size_t> left;  ///< VMs that leave it in this plan, for good or after a stop
    double left_by_s = 0;           ///< when the last of them has arrived elsewhere
    std::uint64_t revision = 0;     ///< of the load, never twice the same
    std::int64_t memory_arriving_bytes = 0;
    std::int64_t memory_leaving_bytes = 0;
    std::int64_t memory_growth_bytes = 0;  ///< balloons raised in this plan
  };
  /// VMs of one affinity rule in one zone.
  struct ZoneCount {
    int all = 0;
    int staying = 0;  ///< without those on hosts in maintenance
  };

  ScoreTerms one_off_terms(std::size_t vm, const Placement& to) const;
  ScoreTerms move_terms(std::size_t vm) const;
  bool moves_on(const Change& change) const;
  double arrival_s(const Change& move) const;
  double doubt(const Change& move, const Departure& departure, const HostScore& after) const;
  double rule_cost_change(std::size_t vm, std::size_t from, std::size_t to, int& hard) const;
  int violations(std::uint32_t rule) const;
  void count_affinity(std::size_t vm, std::size_t host, int sign);
  void book(std::size_t vm, int sign);
  void leave(std::size_t host, std::size_t vm, int sign);
  void recompute(std::size_t host, bool same_vms);
  HostScore score_of(std::size_t host, const Load& load, const ServicePrice& service) const;
  /// Of a host with such a load: its guests but for `leaves`, and `comes`.
  HostScore score_of(std::size_t host, const Load& load, std::span<const Guest> leaves,
                     std::span<const Guest> comes) const;

  // Helpers (plan_helpers.cpp).
  Load load_if(std::size_t vm, const Allocation& allocation, std::size_t helper) const;
  VmScore score_if(std::size_t vm, const Allocation& allocation, std::size_t helper) const;
  Guest guest_of(std::size_t vm, std::size_t helper) const;
  Guest helper_guest_of(std::size_t vm, std::size_t helper) const;
  Load load_of_helper(std::size_t vm, std::size_t helper) const;
  void put_helper(std::size_t vm, std::size_t from, std::size_t to);
  void list_guests(HostPlan& host) const;
  Evaluation evaluate_helper(const Change& change) const;
  double helper_start_price(std::size_t vm, std::size_t helper) const;
  /// As of a move (doubt()), of what a new helper adds to its host. after: that host's score then.
  double helper_doubt(const Change& change, const HostScore& after) const;
  /// What is lost while contention is not relieved yet, spread over the payback time.
  double lost_until(double seconds, const SlotValues& relief) const;
  void place(std::size_t vm, const Placement& to, std::vector<std::size_t> stops, double arrival_s);

  /// What has been worked out of a VM on its host; holds while the host's revision is this.
  struct KnownDeparture {
    std::uint64_t revision = 0;
    Departure departure;
  };
  struct KnownReshape {
    std::uint64_t revision = 0;
    Allocation to;
    double performance = 0;
    double utilisation = 0;
  };

  const ClusterModel* model_;
  std::vector<std::uint64_t> vm_versions_;  ///< that the loads are of
  std::vector<std::uint64_t> host_versions_;
  std::uint64_t revisions_ = 0;  ///< given to hosts so far
  mutable std::vector<KnownDeparture> departures_;
  mutable std::vector<std::array<KnownReshape, 2>> reshapes_;  ///< one that leaves memory as it is, one that does not
  std::vector<Placement> placements_;
  std::vector<std::vector<std::size_t>> stops_;  ///< by VM
  std::vector<double> arrival_s_;                ///< by VM that moves: when it has arrived, from the plan's beginning
  std::vector<double> doubts_;                   ///< by VM that moves
  std::vector<Load> vm_loads_;                   ///< without what their helpers do
  std::map<std::size_t, Load> helper_loads_;     ///< by VM that has one
  std::vector<VmScore> vm_scores_;
  std::vector<ScoreTerms> vm_one_off_;
  std::vector<HostPlan> hosts_;
  std::vector<std::map<std::size_t, ZoneCount>> affinity_counts_;  ///< [rule][zone]
  int migrations_planned_ = 0;
};

}  // namespace proteus::ham
