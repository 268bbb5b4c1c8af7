#include <fmt/core.h>

#include <algorithm>

#include "controller/ham/explain.h"
#include "controller/ham/rules/rule.h"

namespace proteus::ham {
namespace {

/// Why nothing can be decided about a host; nullptr if it takes part.
const char* absence(const HostState& host) {
  if (host.asleep) return "is asleep";
  if (host.catching_up) return "sends telemetry that had been held up, or a clock was set";
  if (!host.fresh) return "has sent no telemetry within the staleness limit";
  if (!host.libvirt_trouble.empty()) return "gets no answer from libvirt";
  if (!host.commandable) return "takes no commands from this controller";
  return nullptr;
}

/// Telemetry shows within so long what an action did; before, the VM seems to have what it had.
constexpr Nanoseconds kSettling = std::chrono::seconds(5);

/// The VM stays, and no limit of it shrinks.
bool gives_in_place(const PlanState& plan, const Change& change) {
  if (is_move(plan, change)) return false;
  const Allocation& now = plan.placement(change.vm).allocation;
  const Allocation& then = change.to.allocation;
  return then.vcpus >= now.vcpus && then.cpu_limit_cores() >= now.cpu_limit_cores() &&
         then.memory_bytes >= now.memory_bytes;
}

}  // namespace

std::optional<Refusal> check_stale_source(const PlanState& plan, const Change& change, bool explain) {
  const std::size_t host = plan.placement(change.vm).host;
  const char* why = absence(*plan.model().hosts[host].state);
  if (why == nullptr) return std::nullopt;
  return Refusal{"staleness",
                 explain ? fmt::format("{}, where {} runs, {}", host_name(plan, host), name_of(plan, change.vm), why)
                         : std::string()};
}

std::optional<Refusal> check_stale_target(const PlanState& plan, const Change& change, bool explain) {
  const HostState& target = *plan.model().hosts[change.to.host].state;
  // A host that sleeps is silent, but may be woken.
  if (target.asleep && plan.policy().strategies.consolidate) return std::nullopt;
  const char* why = absence(target);
  if (why == nullptr) return std::nullopt;
  return Refusal{"staleness", explain ? fmt::format("{} {}", host_name(plan, change.to.host), why) : std::string()};
}

std::optional<Refusal> check_in_flight_vm(const PlanState& plan, const Change& change, bool explain) {
  const VmModel& vm = plan.model().vms[change.vm];
  if (vm.in_flight) {
    return Refusal{"in_flight", explain ? fmt::format("an action on {} {}", name_of(plan, change.vm),
                                                      vm.awaiting_approval ? "awaits approval" : "is under way")
                                        : std::string()};
  }
  if (plan.policy().limits.settle_hosts && plan.model().hosts[vm.host].migrations_running > 0) {
    return Refusal{"in_flight",
                   explain ? fmt::format("{} takes part in a migration that is under way", host_name(plan, vm.host))
                           : std::string()};
  }
  return std::nullopt;
}

std::optional<Refusal> check_in_flight_target(const PlanState& plan, const Change& change, bool explain) {
  if (!plan.policy().limits.settle_hosts || plan.model().hosts[change.to.host].migrations_running == 0) {
    return std::nullopt;
  }
  return Refusal{"in_flight", explain ? fmt::format("{} takes part in a migration that is under way",
                                                    host_name(plan, change.to.host))
                                      : std::string()};
}

std::optional<Refusal> check_exclude(const PlanState& plan, const Change& change, bool explain) {
  const std::string& exclusion = plan.model().vms[change.vm].exclusion;
  if (exclusion.empty()) return std::nullopt;
  return Refusal{
      "exclude:" + exclusion,
      explain ? fmt::format("the policy says that {} is never touched", name_of(plan, change.vm)) : std::string()};
}

std::optional<Refusal> check_cooldown(const PlanState& plan, const Change& change, bool explain) {
  const auto& last = plan.model().vms[change.vm].state->last_action_end;
  if (!last) return std::nullopt;
  // A host that is being emptied does not wait for its VMs to cool down.
  const HostState& source = *plan.model().hosts[plan.placement(change.vm).host].state;
  if (source.maintenance && is_move(plan, change)) return std::nullopt;
  const Nanoseconds since = plan.model().state.now - *last;
  Nanoseconds cooldown = plan.policy().limits.cooldown;
  // Giving a VM more where it is disturbs nobody; only taking it back or moving it must wait. Unless giving failed.
  if (gives_in_place(plan, change) && !plan.model().vms[change.vm].state->last_action_failed) {
    cooldown = std::min(cooldown, kSettling);
  }
  if (since >= cooldown) return std::nullopt;
  return Refusal{"cooldown", explain ? fmt::format("{} was changed {:.0f} s ago, less than the cooldown of {:.0f} s",
                                                   name_of(plan, change.vm), to_seconds(since), to_seconds(cooldown))
                                     : std::string()};
}

std::optional<Refusal> check_cold_start(const PlanState& plan, const Change& change, bool explain) {
  const auto& forecasts = plan.model().vms[change.vm].state->forecasts;
  const auto cpu = forecasts.find(forecast::Resource::kCpu);
  if (cpu == forecasts.end() || cpu->second.model != forecast::kColdStart) return std::nullopt;
  // Where a VM must not stay does not depend on what it will need.
  if (is_move(plan, change) && plan.hard_violations_of(change.vm) > 0) return std::nullopt;
  return Refusal{"cold_start", explain ? fmt::format("too little is known of {} yet to forecast what it will need",
                                                     name_of(plan, change.vm))
                                       : std::string()};
}

std::optional<Refusal> check_unmovable(const PlanState& plan, const Change& change, bool explain) {
  const auto& why = plan.model().vms[change.vm].state->unmovable;
  if (!why) return std::nullopt;
  return Refusal{"unmovable",
                 explain ? fmt::format("{} cannot be migrated: {}", name_of(plan, change.vm), *why) : std::string()};
}

std::optional<Refusal> check_migration_time(const PlanState& plan, const Change& change, bool explain) {
  const ClusterModel& model = plan.model();
  const double allowed_s = to_seconds(model.state.migration_time_max);
  const double expected_s = model.vms[change.vm].migration.duration_s;
  if (allowed_s <= 0 || expected_s <= allowed_s) return std::nullopt;
  return Refusal{"migration_time",
                 explain ? fmt::format("migrating {} is expected to take {}, and would be aborted after {}",
                                       name_of(plan, change.vm), say_seconds(expected_s), say_seconds(allowed_s))
                         : std::string()};
}

std::optional<Refusal> check_window(const PlanState& plan, const Change& change, bool explain) {
  const VmModel& vm = plan.model().vms[change.vm];
  if (vm.window.empty() || (vm.window_migrate_only && !is_move(plan, change))) return std::nullopt;
  return Refusal{"window:" + vm.window, explain
                                            ? fmt::format("{} is not to be {} at this time", name_of(plan, change.vm),
                                                          vm.window_migrate_only ? "migrated" : "changed")
                                            : std::string()};
}

}  // namespace proteus::ham
