#include <fmt/core.h>

#include "controller/ham/rules/rule.h"

namespace proteus::ham {

std::optional<Refusal> check_maintenance(const PlanState& plan, const Change& change, bool explain) {
  if (!plan.model().hosts[change.to.host].state->maintenance) return std::nullopt;
  return Refusal{"maintenance",
                 explain ? fmt::format("{} is in maintenance and takes no VM in", host_name(plan, change.to.host))
                         : std::string()};
}

std::optional<Refusal> check_emptying(const PlanState& plan, const Change& change, bool explain) {
  const HostState& target = *plan.model().hosts[change.to.host].state;
  if (!target.emptying || !plan.policy().strategies.consolidate) return std::nullopt;
  // One without VMs is empty: filling it anew is another matter.
  if (plan.vms_on(change.to.host).empty()) return std::nullopt;
  return Refusal{"emptying",
                 explain ? fmt::format("{} is being emptied so that it may sleep", host_name(plan, change.to.host))
                         : std::string()};
}

std::optional<Refusal> check_pin(const PlanState& plan, const Change& change, bool explain) {
  const ClusterModel& model = plan.model();
  for (const std::uint32_t pin : model.vms[change.vm].pins) {
    if (model.pin_allows[pin][change.to.host]) continue;
    const PinRule& rule = model.policy.pins[pin];
    if (!explain) return Refusal{"pin:" + rule.name, std::string()};
    std::string hosts;
    for (const std::string& host : rule.hosts) hosts += (hosts.empty() ? "" : ", ") + host;
    return Refusal{"pin:" + rule.name, fmt::format("{} may only be on {}, not on {}", name_of(plan, change.vm), hosts,
                                                   host_name(plan, change.to.host))};
  }
  return std::nullopt;
}

std::optional<Refusal> check_affinity(const PlanState& plan, const Change& change, bool explain) {
  const ClusterModel& model = plan.model();
  const std::size_t from = plan.placement(change.vm).host;
  for (const std::uint32_t index : model.vms[change.vm].affinity) {
    const AffinityRule& rule = model.policy.affinity[index];
    if (!rule.hard) continue;
    // Nobody joins a VM that it must be apart from, even if it leaves another such behind.
    const bool leaves_zone = model.zone(index, from) != model.zone(index, change.to.host);
    const bool breaks = rule.apart ? leaves_zone && plan.affinity_count(index, change.to.host) > 0
                                   : plan.affinity_change(index, from, change.to.host) > 0;
    if (!breaks) continue;
    const std::string name = (rule.apart ? "anti_affinity:" : "affinity:") + rule.name;
    if (!explain) return Refusal{name, std::string()};
    if (!rule.apart) {
      return Refusal{name, fmt::format("{} would leave the VMs on {} that it must be together with",
                                       name_of(plan, change.vm), host_name(plan, from))};
    }
    std::string others;
    for (const std::size_t other : model.rule_vms[index]) {
      if (model.zone(index, plan.placement(other).host) != model.zone(index, change.to.host)) continue;
      others += (others.empty() ? "" : ", ") + name_of(plan, other);
    }
    return Refusal{name, fmt::format("{} must be apart from {}, on {}", name_of(plan, change.vm), others,
                                     host_name(plan, change.to.host))};
  }
  return std::nullopt;
}

}  // namespace proteus::ham
