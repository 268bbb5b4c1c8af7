#include <fmt/core.h>

#include "controller/ham/rules/rule.h"

namespace proteus::ham {
namespace {

/// What stands against a helper on that host as it would against the VM itself: rules that keep VMs apart do not.
std::optional<Refusal> check_helper_host(const PlanState& plan, std::size_t v, std::size_t h, bool explain) {
  const HostState& host = *plan.model().hosts[h].state;
  const auto refuse = [&](const char* rule, const char* why) {
    return Refusal{rule, explain ? fmt::format("{} {}", host_name(plan, h), why) : std::string()};
  };
  if (host.asleep) return refuse("helper", "is asleep, and no helper is worth waking it");
  if (host.maintenance) return refuse("maintenance", "is in maintenance and takes no helper in");
  if (host.emptying && plan.policy().strategies.consolidate) {
    return refuse("emptying", "is being emptied so that it may sleep");
  }
  // Rules of moves: at home nothing would be moved.
  if (h == plan.placement(v).host) return std::nullopt;
  const Change there{v, plan.placement(v).on(h)};
  for (const auto check : {check_stale_target, check_in_flight_target, check_pin}) {
    if (auto refused = check(plan, there, explain)) return refused;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Refusal> check_helper(const PlanState& plan, const Change& change, bool explain) {
  if (!is_helper_change(plan, change)) return std::nullopt;
  if (!(change.to == plan.placement(change.vm).helped_on(change.to.helper))) {
    return Refusal{"helper",
                   explain ? fmt::format("{} and its helper are changed one after the other", name_of(plan, change.vm))
                           : std::string()};
  }
  const ClusterModel& model = plan.model();
  const VmModel& vm = model.vms[change.vm];
  const std::size_t present = plan.placement(change.vm).helper;
  const Nanoseconds age = model.state.now - vm.helper_since;
  const bool may_end = present == kNowhere || !vm.scalable || model.hosts[present].state->maintenance;
  if (!may_end && age < model.policy.limits.cooldown) {
    return Refusal{
        "cooldown",
        explain ? fmt::format("the helper of {} was started {:.0f} s ago, less than the cooldown of {:.0f} s",
                              name_of(plan, change.vm), to_seconds(age), to_seconds(model.policy.limits.cooldown))
                : std::string()};
  }
  if (change.to.helper == kNowhere) return std::nullopt;
  if (!vm.scalable) {
    return Refusal{"helper",
                   explain ? fmt::format("no helper rule is about {}", name_of(plan, change.vm)) : std::string()};
  }
  const HelperRule& rule = *vm.helper_rule;
  const int others = plan.helpers_of(rule) - static_cast<int>(present != kNowhere);
  if (others >= rule.most) {
    return Refusal{
        "helper:" + rule.name,
        explain ? fmt::format("{} helpers there are already, {} are allowed", others, rule.most) : std::string()};
  }
  return check_helper_host(plan, change.vm, change.to.helper, explain);
}

}  // namespace proteus::ham
