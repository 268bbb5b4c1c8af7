#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "controller/ham/decision.h"
#include "controller/ham/score/cluster_model.h"

namespace proteus::ham {

/// Where a VM is and what it has been given.
struct Placement {
  std::size_t host = kNowhere;
  Allocation allocation;
  bool operator==(const Placement&) const = default;
};

/// One VM gets another placement. At most one migration; up to three allocation changes.
struct Change {
  std::size_t vm = 0;
  Placement to;
};

/// What a change would do to the score of the plan so far.
struct Evaluation {
  ScoreTerms delta;
  double present_cost_per_hour = 0;  ///< performance and imbalance of what it touches, now; >= 0
  int hard_violations = 0;           ///< added to (or, negative, taken from) the cluster
  double gain() const { return delta.total(); }
};

/// How much the forecast errors of VMs on one host move together: 0 independent (their spreads add as squares), 1 in
/// step (their spreads add up). Half-way, because load that VMs share shows in their medians already.
constexpr double kErrorCorrelation = 0.5;
/// Seconds of CPU run behind a host's curve at which it counts as much as the finite-population model.
constexpr double kCurveTrustRun_s = 60;
/// Share of its demand that a guest needs beside it for page cache before it starts to reclaim.
constexpr double kMemorySpare = 0.10;

/// The cluster as it would be after the changes applied so far, with its score kept by host and VM, so that one more
/// change costs the two hosts it touches and nothing else. Formulas: docs/decisions.md.
class PlanState {
 public:
  explicit PlanState(const ClusterModel& model);

  const ClusterModel& model() const { return *model_; }
  const Policy& policy() const { return model_->policy; }
  const Placement& placement(std::size_t vm) const { return placements_[vm]; }
  const std::vector<std::size_t>& vms_on(std::size_t host) const { return hosts_[host].vms; }

  Evaluation evaluate(const Change& change) const;
  void apply(const Change& change);

  /// What restore() needs to take back the latest apply().
  struct Saved {
    std::size_t vm = 0;
    Placement placement;
    ScoreTerms one_off;
    bool moved = false;
  };
  Saved apply_saved(const Change& change);
  void restore(const Saved& saved);

  /// Score of the whole cluster, one-off prices of the applied changes included.
  ScoreTerms total() const;
  /// Performance and imbalance of a host and its VMs, as a cost; >= 0.
  double cost_of_host(std::size_t host) const;
  int hard_violations() const;
  /// Hard rules that the VM itself has a part in breaking: affinity, pin, maintenance.
  int hard_violations_of(std::size_t vm) const;
  /// VMs of the rule on the host.
  int affinity_count(std::uint32_t rule, std::size_t host) const;
  /// Violations that a move would add to (or take from) one affinity rule.
  int affinity_change(std::uint32_t rule, std::size_t from, std::size_t to) const;

  /// Largest p90 CPU demand of the host over the horizon, transit included; `change` as if applied.
  double cpu_peak_cores(std::size_t host, const Change* change = nullptr) const;
  /// Sum of its VMs' allocations, transit included; VMs that leave earlier in this plan do not count.
  std::int64_t memory_committed_bytes(std::size_t host) const;
  /// What the host has available beyond what VMs that come in this plan or in flight, and balloons raised in
  /// it, may take; what leaving VMs free does not count before it is seen.
  std::int64_t memory_free_bytes(std::size_t host) const;

  int migrations_planned() const { return migrations_planned_; }
  int migrations_planned(std::size_t host) const { return hosts_[host].migrations; }

  /// First p90 moment at which the host's demand exceeds its capacity, seconds from now; negative: not within the
  /// horizon.
  double seconds_until_full(std::size_t host) const;

 private:
  /// CPU load of VMs by slot: medians add; spreads over the median add linearly and as squares.
  struct Load {
    std::array<double, kSlots> median{}, spread90{}, square90{}, spread99{}, square99{};
    std::array<double, kSlots> peak_median{}, peak_spread90{}, peak_square90{};
    double vcpus = 0;
    double memory_used_bytes = 0;
    std::int64_t memory_bytes = 0;
    void add(const Load& other, double sign);
  };
  struct HostScore {
    std::array<double, kSlots> contention{};  ///< currency per hour, >= 0
    double memory_shortage = 0;
    double imbalance = 0;
    double performance() const;
  };
  struct VmScore {
    std::array<double, kSlots> unserved{};
    double memory_shortage = 0;
    double idle = 0;
    double performance() const;
  };
  struct HostPlan {
    std::vector<std::size_t> vms;  ///< ascending
    Load load;
    HostScore score;
    double vm_performance = 0;  ///< of its VMs, as a cost
    int migrations = 0;
    std::int64_t memory_arriving_bytes = 0;
    std::int64_t memory_growth_bytes = 0;  ///< balloons raised in this plan
  };

  Load load_of(std::size_t vm, const Allocation& allocation) const;
  HostScore score_host(std::size_t host, const Load& load) const;
  VmScore score_vm(std::size_t vm, const Allocation& allocation) const;
  double peak_of(const Load& load, std::size_t slot) const;
  ScoreTerms one_off_terms(const Change& change) const;
  double rule_cost_change(std::size_t vm, std::size_t from, std::size_t to, int& hard) const;
  int violations(std::uint32_t rule, const std::map<std::size_t, int>& counts) const;
  void recompute(std::size_t host);
  void place(std::size_t vm, const Placement& to);

  const ClusterModel* model_;
  std::vector<Placement> placements_;
  std::vector<Load> vm_loads_;
  std::vector<VmScore> vm_scores_;
  std::vector<HostPlan> hosts_;
  std::vector<std::map<std::size_t, int>> affinity_counts_;  ///< [rule]: VMs by host
  ScoreTerms one_off_;
  int migrations_planned_ = 0;
};

}  // namespace proteus::ham
