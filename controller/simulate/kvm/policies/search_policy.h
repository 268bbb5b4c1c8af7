#pragma once

#include <memory>

#include "controller/simulate/kvm/policies/memory_keeper.h"
#include "controller/simulate/kvm/policies/outlook.h"
#include "controller/simulate/kvm/policies/priced_plan.h"
#include "controller/simulate/kvm/policies/response.h"
#include "controller/simulate/kvm/policy.h"

namespace proteus::simulate::kvm {

/// Where a searching policy's outlook comes from.
class OutlookSource {
 public:
  virtual ~OutlookSource() = default;
  /// Once a step, before fill.
  virtual void observe(const Console& /*console*/) {}
  virtual void fill(const Console& console, Outlook& outlook) = 0;
  /// [vm] memory that a guest may need within the hour.
  virtual std::vector<double> memory_needs(const Console& console) = 0;
  /// [vm] what it has needed at most in a week.
  virtual std::vector<double> memory_peaks(const Console& console);

 private:
  std::vector<double> peaks_;
};

struct SearchOptions {
  double gain_min_eur = 0.05;  ///< a move must bring so much within payback_h, beyond its price
  double payback_h = 6;
  double empty_gain_min_eur = 0.05;  ///< likewise, emptying a host, within sleep_payback_h
  double sleep_payback_h = 12;
  int look_every_ticks = 6;  ///< for a host to empty
  int rest_ticks = 144;      ///< a host that was woken stays on so long
  bool may_sleep = true;
  PlanOptions plan;
  MemoryOptions memory;
};

/// Local search: what pays within some hours is moved; a host whose VMs fit elsewhere is emptied over several steps and
/// sleeps; one wakes when that relieves others enough.
/// Memory is the MemoryKeeper's.
class SearchPolicy final : public Policy {
 public:
  SearchPolicy(std::unique_ptr<OutlookSource> source, std::unique_ptr<Response> response, SearchOptions options);
  void decide(Console& console) override;

 private:
  struct Move {
    int vm = kNever;
    int host = kNever;
    double gain = 0;
  };
  void choose_targets(const Console& console, const PricedPlan& plan);
  void relieve(Console& console, PricedPlan& plan);
  Move best_move(const Console& console, const PricedPlan& plan, int h) const;
  /// saved: what its host costs less without it, an hour; hours: for how long the outlook is expected to hold.
  Move best_target(const Console& console, const PricedPlan& plan, int v, double saved, double hours) const;
  double target_gain(const Console& console, const PricedPlan& plan, int v, int h, double saved, double hours) const;
  double move_price(const Console& console, int v, int h) const;
  bool begin_move(Console& console, int v, int h) const;

  void manage_power(Console& console, PricedPlan& plan);
  void wake_hosts(Console& console, PricedPlan& plan);
  double wake_gain(const Console& console, PricedPlan trial, int h) const;
  bool can_empty(const Console& console, const PricedPlan& plan, int h) const;
  void choose_drain(const Console& console, const PricedPlan& plan);
  double empty_gain(const Console& console, PricedPlan plan, int h) const;
  /// Where a VM of a host that is emptied does least harm.
  Move best_refuge(const Console& console, const PricedPlan& plan, int v) const;
  void drain(Console& console, PricedPlan& plan);

  std::unique_ptr<OutlookSource> source_;
  std::unique_ptr<Response> response_;
  SearchOptions options_;
  Outlook outlook_;
  std::vector<double> need_mib_;
  std::vector<int> targets_;
  std::vector<int> woken_at_;  ///< [host] tick
  int draining_ = kNever;      ///< host that is being emptied
};

}  // namespace proteus::simulate::kvm
