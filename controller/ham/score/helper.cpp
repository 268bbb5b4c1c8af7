#include "controller/ham/score/helper.h"

#include <algorithm>

namespace proteus::ham {
namespace {

/// Of so many cores of work, those that the helper does.
double share_of(double cores, const HelperRule& rule, double most) {
  return std::min(rule.share * cores, most);
}

}  // namespace

double helper_work_most(const HelperRule& rule, double core_speed) {
  return rule.vcpus * core_speed / rule.overhead;
}

Demand left_by_helper(const Demand& demand, const HelperRule& rule, double core_speed) {
  const double most = helper_work_most(rule, core_speed);
  Demand left = demand;
  const auto lessen = [&](forecast::Quantiles& quantiles) {
    for (const auto member : forecast::kQuantileMembers) {
      quantiles.*member -= share_of(quantiles.*member, rule, most);
    }
  };
  for (std::size_t i = 0; i < kSlots; ++i) {
    lessen(left.cpu_mean[i]);
    lessen(left.cpu_peak[i]);
  }
  lessen(left.cpu_max);
  return left;
}

Load load_of_helper(const VmModel& vm, double core_speed) {
  const HelperRule& rule = *vm.helper_rule;
  const double most = helper_work_most(rule, core_speed);
  const auto taken = [&](double cores) { return rule.overhead * share_of(cores, rule, most); };
  Load load;
  load.vms = 1;
  load.vcpus = rule.vcpus;
  load.memory_bytes = rule.memory_bytes;
  load.devices.memory_used_bytes = static_cast<double>(rule.memory_bytes);
  for (std::size_t i = 0; i < kSlots; ++i) {
    const forecast::Quantiles& mean = vm.demand->cpu_mean[i];
    load.median[i] = taken(mean.p50);
    load.spread90[i] = taken(mean.p90) - load.median[i];
    load.square90[i] = load.spread90[i] * load.spread90[i];
    load.spread99[i] = taken(mean.p99) - load.median[i];
    load.square99[i] = load.spread99[i] * load.spread99[i];
    load.weighted[i] = vm.priority * load.median[i];
    const forecast::Quantiles& peak = vm.demand->cpu_peak[i];
    load.peak.median[i] = taken(peak.p50);
    load.peak.spread90[i] = taken(peak.p90) - load.peak.median[i];
    load.peak.square90[i] = load.peak.spread90[i] * load.peak.spread90[i];
    load.devices.mean_cores += load.median[i] / static_cast<double>(kSlots);
  }
  return load;
}

double helper_price(const Policy& policy, const VmModel& vm, double core_speed) {
  const HelperRule& rule = *vm.helper_rule;
  const double used = rule.overhead * share_of(vm.demand->cpu_max.p99, rule, helper_work_most(rule, core_speed));
  return rule.price_per_hour + policy.prices.capacity_per_core_hour * std::max(0.0, rule.vcpus * core_speed - used);
}

}  // namespace proteus::ham
