#include "controller/ham/rules/rule.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace proteus::ham {
namespace {

constexpr std::array kRules = {
    Rule{"staleness", Rule::Scope::kVm, Rule::Of::kChanges, check_stale_source},
    Rule{"in_flight", Rule::Scope::kVm, Rule::Of::kChanges, check_in_flight_vm},
    Rule{"exclude", Rule::Scope::kVm, Rule::Of::kChanges, check_exclude},
    Rule{"cooldown", Rule::Scope::kVm, Rule::Of::kChanges, check_cooldown},
    Rule{"cold_start", Rule::Scope::kVm, Rule::Of::kChanges, check_cold_start},
    Rule{"unmovable", Rule::Scope::kVm, Rule::Of::kMoves, check_unmovable},
    Rule{"migration_time", Rule::Scope::kVm, Rule::Of::kMoves, check_migration_time},
    Rule{"window", Rule::Scope::kVm, Rule::Of::kChanges, check_window},
    Rule{"moves_per_hour", Rule::Scope::kVm, Rule::Of::kMoves, check_moves_per_hour},
    Rule{"moves_per_hour_per_vm", Rule::Scope::kVm, Rule::Of::kMoves, check_moves_per_hour_per_vm},
    Rule{"staleness", Rule::Scope::kChange, Rule::Of::kMoves, check_stale_target},
    Rule{"in_flight", Rule::Scope::kChange, Rule::Of::kMoves, check_in_flight_target},
    Rule{"maintenance", Rule::Scope::kChange, Rule::Of::kMoves, check_maintenance},
    Rule{"emptying", Rule::Scope::kChange, Rule::Of::kMoves, check_emptying},
    Rule{"pin", Rule::Scope::kChange, Rule::Of::kMoves, check_pin},
    Rule{"affinity", Rule::Scope::kChange, Rule::Of::kMoves, check_affinity},
    Rule{"size", Rule::Scope::kChange, Rule::Of::kChanges, check_size},
    Rule{"moves_per_hour_per_host", Rule::Scope::kChange, Rule::Of::kMoves, check_moves_per_hour_per_host},
    Rule{"concurrency", Rule::Scope::kChange, Rule::Of::kMoves, check_concurrency},
    Rule{"headroom", Rule::Scope::kChange, Rule::Of::kChanges, check_headroom},
    Rule{"helper", Rule::Scope::kChange, Rule::Of::kChanges, check_helper},
    Rule{"headroom", Rule::Scope::kChange, Rule::Of::kChanges, check_helper_headroom},
};

}  // namespace

std::span<const Rule> rules() {
  return kRules;
}

bool forbids(const Rule& rule, const PlanState& plan, const Change& change) {
  if (rule.of == Rule::Of::kMoves && !is_move(plan, change)) return false;
  return rule.check(plan, change, false).has_value();
}

std::optional<Refusal> refusal(const PlanState& plan, const Change& change, Rule::Scope scope, bool explain) {
  const bool moves = is_move(plan, change);
  for (const Rule& rule : kRules) {
    if (rule.scope != scope || (rule.of == Rule::Of::kMoves && !moves)) continue;
    if (auto refused = rule.check(plan, change, explain)) return refused;
  }
  return std::nullopt;
}

std::optional<Refusal> refusal(const PlanState& plan, const Change& change, bool explain) {
  if (auto refused = refusal(plan, change, Rule::Scope::kVm, explain)) return refused;
  return refusal(plan, change, Rule::Scope::kChange, explain);
}

bool only_waits(std::string_view rule) {
  constexpr std::array<std::string_view, 7> kNames = {
      "in_flight",  "cooldown", "window", "moves_per_hour", "moves_per_hour_per_vm", "moves_per_hour_per_host",
      "concurrency"};
  return std::find(kNames.begin(), kNames.end(), rule.substr(0, rule.find(':'))) != kNames.end();
}

const std::string& name_of(const PlanState& plan, std::size_t vm) {
  const VmState& state = *plan.model().vms[vm].state;
  return state.name.empty() ? state.id.value : state.name;
}

const std::string& host_name(const PlanState& plan, std::size_t host) {
  return plan.model().hosts[host].state->id.value;
}

bool is_move(const PlanState& plan, const Change& change) {
  return change.to.host != plan.placement(change.vm).host;
}

bool is_helper_change(const PlanState& plan, const Change& change) {
  return change.to.helper != plan.placement(change.vm).helper;
}

}  // namespace proteus::ham
