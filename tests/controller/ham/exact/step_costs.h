#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "controller/ham/score/load.h"
#include "controller/ham/score/plan_state.h"

namespace proteus::ham {

/// VMs by index, one bit each: of clusters of up to 64.
using VmSet = std::uint64_t;
inline VmSet one(std::size_t vm) {
  return VmSet{1} << vm;
}

/// What a placement of all VMs costs, put together from what each host costs by the set of its VMs. The score is the
/// search's own (score_host(), ServicePrices), for policies that give VMs' work a value: there, moves have prices of
/// their own, whatever else moves. Allocations stay as they are. Currency per hour.
class StepCosts {
 public:
  explicit StepCosts(const ClusterModel& model);

  std::size_t hosts() const { return model_.hosts.size(); }
  std::size_t vms() const { return model_.vms.size(); }
  const ClusterModel& model() const { return model_; }
  VmSet home(std::size_t host) const { return home_[host]; }
  /// Of these, VMs that may move.
  VmSet movable() const { return movable_; }
  /// It may take VMs in, as long as it has some or may be opened.
  bool may_take(std::size_t host) const { return may_take_[host]; }
  /// Emptying it counts as consolidation: its moves are paid back over Limits::sleep_payback.
  bool may_sleep(std::size_t host) const { return may_sleep_[host]; }

  /// Of a host with such VMs; 0: none.
  double host(std::size_t host, VmSet set);
  double idle(std::size_t host) const { return idle_[host]; }
  /// What the VM alone adds to the host's idle power.
  double own(std::size_t vm, std::size_t host) const { return own_[vm][host]; }
  /// What the VMs cost together beyond that.
  double stress(std::size_t host, VmSet set);
  double move_price(std::size_t vm) const { return move_[vm]; }
  /// Share of that price by which a move is cheaper that helps to empty a host.
  double spared() const { return spared_; }
  /// What each step must gain, counted as a price.
  double floor() const { return floor_; }

  /// The set may be on the host, seen from where the VMs are: memory and CPU headroom where some arrive, anti-affinity
  /// of those that arrive.
  bool allowed(std::size_t host, VmSet set) const;
  /// Soft and hard affinity.
  double affinity(const std::vector<std::size_t>& hosts) const;
  /// Of the whole placement, prices of moves and steps included. A step is a VM that moves, a host that is emptied or
  /// one that is opened with all VMs that come.
  double total(const std::vector<std::size_t>& hosts);
  /// The same without the price of steps, and with full prices of moves: PlanState::total(), but for what no move
  /// changes.
  double bare_total(const std::vector<std::size_t>& hosts);

  std::int64_t priced() const { return priced_; }

 private:
  std::vector<VmSet> sets_of(const std::vector<std::size_t>& hosts) const;

  const ClusterModel& model_;
  std::vector<VmSet> home_;
  VmSet movable_ = 0;
  std::vector<char> may_take_;
  std::vector<char> may_sleep_;
  std::vector<double> idle_;
  std::vector<std::vector<double>> own_;  ///< [vm][host]
  std::vector<double> move_;
  std::vector<Load> loads_;
  double spared_ = 0;
  double floor_ = 0;
  double emptying_floor_ = 0;  ///< of each VM that leaves a host that is emptied
  std::vector<std::unordered_map<VmSet, double>> known_;  ///< [host]
  std::int64_t priced_ = 0;
};

}  // namespace proteus::ham
