#pragma once

#include <optional>

#include "controller/ham/learning/note.h"
#include "controller/ham/score/plan_state.h"

namespace proteus::ham::learning {

/// plan: as it is before the change; evaluation: the plan's of the change. nullopt: its outcome does not show in
/// waiting (it changes memory only, or a tenth or more of what it promises is memory or exits). Where the policy gives
/// VMs' work a value, a move's outcome shows in the work that gets done, whatever it is about. What learning
/// thinks of it is left as it is at first: nothing. Pure.
std::optional<Note> describe(const PlanState& plan, const Change& change, const Evaluation& evaluation);

}  // namespace proteus::ham::learning
