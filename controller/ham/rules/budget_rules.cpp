#include <fmt/core.h>

#include "controller/ham/rules/rule.h"

namespace proteus::ham {

std::optional<Refusal> check_moves_per_hour(const PlanState& plan, const Change& /*change*/, bool explain) {
  const ClusterModel& model = plan.model();
  const int used = model.moves_last_hour + model.migrations_running + plan.migrations_planned();
  if (used < plan.policy().limits.moves_per_hour) return std::nullopt;
  return Refusal{"moves_per_hour", explain ? fmt::format("{} migrations in the last hour and this plan, {} allowed",
                                                         used, plan.policy().limits.moves_per_hour)
                                           : std::string()};
}

std::optional<Refusal> check_moves_per_hour_per_vm(const PlanState& plan, const Change& change, bool explain) {
  const int used = plan.model().vms[change.vm].moves_last_hour + plan.migrations_of(change.vm);
  const int allowed = plan.policy().limits.moves_per_hour_per_vm;
  if (used < allowed) return std::nullopt;
  return Refusal{"moves_per_hour_per_vm",
                 explain ? fmt::format("{} has been migrated {} times in the last hour and this plan, {} are allowed",
                                       name_of(plan, change.vm), used, allowed)
                         : std::string()};
}

std::optional<Refusal> check_moves_per_hour_per_host(const PlanState& plan, const Change& change, bool explain) {
  const int allowed = plan.policy().limits.moves_per_hour_per_host;
  for (const std::size_t h : {plan.placement(change.vm).host, change.to.host}) {
    const HostModel& host = plan.model().hosts[h];
    // A host that is being emptied does not wait for its budget.
    if (host.state->maintenance) continue;
    const int used = host.moves_last_hour + host.migrations_running + plan.migrations_planned(h);
    if (used < allowed) continue;
    return Refusal{"moves_per_hour_per_host",
                   explain ? fmt::format("{} has part in {} migrations of the last hour and this plan, {} are allowed",
                                         host_name(plan, h), used, allowed)
                           : std::string()};
  }
  return std::nullopt;
}

std::optional<Refusal> check_concurrency(const PlanState& plan, const Change& change, bool explain) {
  const ClusterModel& model = plan.model();
  const Limits& limits = plan.policy().limits;
  const int running = model.migrations_running + plan.migrations_planned();
  if (running >= limits.concurrent_migrations) {
    return Refusal{"concurrency", explain ? fmt::format("{} migrations run or are planned, {} at a time are allowed",
                                                        running, limits.concurrent_migrations)
                                          : std::string()};
  }
  for (const std::size_t h : {plan.placement(change.vm).host, change.to.host}) {
    const int of_host = model.hosts[h].migrations_running + plan.migrations_planned(h);
    if (of_host >= limits.concurrent_migrations_per_host) {
      return Refusal{"concurrency",
                     explain ? fmt::format("{} takes part in {} migrations, {} at a time are allowed",
                                           host_name(plan, h), of_host, limits.concurrent_migrations_per_host)
                             : std::string()};
    }
  }
  return std::nullopt;
}

}  // namespace proteus::ham
