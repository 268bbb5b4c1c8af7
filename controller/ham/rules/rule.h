#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "controller/ham/score/plan_state.h"

namespace proteus::ham {

/// Why a change may not be made.
struct Refusal {
  std::string rule;    ///< "headroom", or with the operator's own name "pin:databases"
  std::string reason;  ///< one sentence with figures; empty unless asked for
};

/// One hard rule. Learning and prices never cross it.
struct Rule {
  enum class Scope {
    kVm,      ///< depends on the VM and on whether it moves, not on where to: asked once per VM
    kChange,  ///< depends on the whole change and on the plan so far
  };
  enum class Of {
    kChanges,  ///< of every kind
    kMoves,    ///< not asked about a change that leaves the VM on its host
  };
  const char* name;
  Scope scope;
  Of of;
  /// nullopt: allowed. With `explain` false the reason is left empty, for it is formatted for nobody.
  std::optional<Refusal> (*check)(const PlanState& plan, const Change& change, bool explain);
};

/// Every rule, in the order in which they are asked. To add one: write its check beside its like, put it into this
/// table (rule.cpp) and document it in docs/policy.md.
std::span<const Rule> rules();

/// Whether the rule forbids the change; a rule of moves forbids nothing else. check() itself is for moves alone then.
bool forbids(const Rule& rule, const PlanState& plan, const Change& change);
/// The first rule of that scope that forbids the change.
std::optional<Refusal> refusal(const PlanState& plan, const Change& change, Rule::Scope scope, bool explain);
/// The first rule of any scope that forbids the change.
std::optional<Refusal> refusal(const PlanState& plan, const Change& change, bool explain);

/// True if what the rule (its name, or "name:operator's name") forbids now is allowed later without anybody's doing.
bool only_waits(std::string_view rule);

// What changes and rules are called in sentences.
const std::string& name_of(const PlanState& plan, std::size_t vm);  ///< name, or UUID if it has none
const std::string& host_name(const PlanState& plan, std::size_t host);
bool is_move(const PlanState& plan, const Change& change);
/// The VM's helper is started, ended or another.
bool is_helper_change(const PlanState& plan, const Change& change);

// Rules about one VM (vm_rules.cpp).
std::optional<Refusal> check_stale_source(const PlanState& plan, const Change& change, bool explain);
std::optional<Refusal> check_in_flight_vm(const PlanState& plan, const Change& change, bool explain);
std::optional<Refusal> check_exclude(const PlanState& plan, const Change& change, bool explain);
std::optional<Refusal> check_cooldown(const PlanState& plan, const Change& change, bool explain);
std::optional<Refusal> check_cold_start(const PlanState& plan, const Change& change, bool explain);
std::optional<Refusal> check_unmovable(const PlanState& plan, const Change& change, bool explain);
std::optional<Refusal> check_migration_time(const PlanState& plan, const Change& change, bool explain);
std::optional<Refusal> check_window(const PlanState& plan, const Change& change, bool explain);
// Budgets (budget_rules.cpp).
std::optional<Refusal> check_moves_per_hour(const PlanState& plan, const Change& change, bool explain);
std::optional<Refusal> check_moves_per_hour_per_vm(const PlanState& plan, const Change& change, bool explain);
std::optional<Refusal> check_moves_per_hour_per_host(const PlanState& plan, const Change& change, bool explain);
std::optional<Refusal> check_concurrency(const PlanState& plan, const Change& change, bool explain);
// Rules about where a VM may be (placement_rules.cpp).
std::optional<Refusal> check_stale_target(const PlanState& plan, const Change& change, bool explain);
std::optional<Refusal> check_in_flight_target(const PlanState& plan, const Change& change, bool explain);
std::optional<Refusal> check_maintenance(const PlanState& plan, const Change& change, bool explain);
std::optional<Refusal> check_emptying(const PlanState& plan, const Change& change, bool explain);
std::optional<Refusal> check_pin(const PlanState& plan, const Change& change, bool explain);
std::optional<Refusal> check_affinity(const PlanState& plan, const Change& change, bool explain);
// What stands against another helper (helper_rules.cpp).
std::optional<Refusal> check_helper(const PlanState& plan, const Change& change, bool explain);
// Rules about how much (capacity_rules.cpp).
std::optional<Refusal> check_size(const PlanState& plan, const Change& change, bool explain);
std::optional<Refusal> check_headroom(const PlanState& plan, const Change& change, bool explain);
std::optional<Refusal> check_helper_headroom(const PlanState& plan, const Change& change, bool explain);

}  // namespace proteus::ham
