#pragma once

#include <memory>

#include "controller/forecast/forecast.h"
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
  /// Typical hours, for what is decided for longer.
  virtual void fill_day(const Console& console, Outlook& outlook) { fill(console, outlook); }
  /// Its CPU in MHz as forecast for the next hour; nothing: the source does not forecast.
  virtual const forecast::Forecast* cpu_forecast(int /*vm*/) const { return nullptr; }
  /// [vm] memory that a guest may need within the hour.
  virtual std::vector<double> memory_needs(const Console& console) = 0;
};

struct SearchOptions {
  double gain_min_eur = 0.05;        ///< a move must bring so much within the hour, beyond its price
  double settle_gain_min_eur = 0.1;  ///< likewise, for what is wrong all day, within settle_payback_h
  double settle_payback_h = 8;
  double empty_gain_min_eur = 0.05;  ///< likewise, for emptying a host, within sleep_payback_h
  double sleep_payback_h = 12;
  int look_every_ticks = 6;  ///< at the day
  int rest_ticks = 144;      ///< a host that was woken stays on so long
  bool may_sleep = true;
  PlanOptions plan;
  MemoryOptions memory;
};

/// Local search: what pays within the hour is moved; now and then what the last day says is in the wrong place; a host
/// whose VMs fit elsewhere is emptied over several steps and sleeps; one wakes when that relieves others enough.
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
  PricedPlan near_plan(const Console& console);
  PricedPlan day_plan(const Console& console, const PricedPlan& near);
  void choose_targets(const Console& console, const PricedPlan& plan);
  /// hours: for how long what the plan's hour costs is expected to go on.
  void relieve(Console& console, PricedPlan& plan, double hours, double gain_min_eur);
  Move best_move(const Console& console, const PricedPlan& plan, int h, double hours, double gain_min_eur) const;
  /// saved: what its host costs less without it, an hour.
  Move best_target(const Console& console, const PricedPlan& plan, int v, double saved, double hours) const;
  double target_gain(const Console& console, const PricedPlan& plan, int v, int h, double saved, double hours) const;
  double move_price(const Console& console, int v, int h) const;
  bool begin_move(Console& console, int v, int h) const;

  void manage_power(Console& console, PricedPlan& plan);
  void wake_hosts(Console& console, PricedPlan& plan);
  double wake_gain(const Console& console, PricedPlan trial, int h) const;
  bool can_empty(const Console& console, const PricedPlan& plan, int h) const;
  void choose_drain(const Console& console, const PricedPlan& plan);
  double empty_gain(const Console& console, PricedPlan day, PricedPlan near, int h) const;
  /// Where a VM of a host that is emptied does least harm, by the day and by the hour.
  Move best_refuge(const Console& console, const PricedPlan& day, const PricedPlan& near, int v) const;
  void drain(Console& console, PricedPlan& plan);

  std::unique_ptr<OutlookSource> source_;
  std::unique_ptr<Response> response_;
  SearchOptions options_;
  Outlook outlook_;
  Outlook day_;
  std::vector<double> need_mib_;
  std::vector<int> targets_;
  std::vector<int> woken_at_;  ///< [host] tick
  int draining_ = kNever;      ///< host that is being emptied
};

}  // namespace proteus::simulate::kvm
