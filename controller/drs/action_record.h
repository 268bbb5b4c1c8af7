#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/command.h"
#include "common/result.h"
#include "controller/ham/decision.h"

namespace proteus::drs {

/// awaiting_approval ──▶ rejected | expired
///     ▲ │
///     │ ▼ approved
///  intended ──▶ reserving ──▶ sent ──▶ accepted ──▶ running ──▶ verifying ──▶ verified | failed
///     │   │         │         ▲  │         │                    ▲   │
///     │   └─────────┼─────────┘  ├─────────┴────────────────────┘   └──▶ reverting ──▶ reverted | failed
///     ▼             ▼            ▼
///  expired   expired | failed  failed
///
/// awaiting_approval only at that level of automation. reserving only for migrations, which do not skip it;
/// reverting only for reshapes. sent ──▶ failed only if the agent refused the one copy that left; any other
/// trouble goes to verifying, where the hosts are asked. Each transition is journalled before its command
/// leaves. final: rejected, expired, verified, failed, reverted.
enum class ActionState : std::uint8_t {
  kIntended,
  kAwaitingApproval,
  kReserving,
  kSent,
  kAccepted,
  kRunning,
  kVerifying,
  kVerified,
  kFailed,
  kReverting,
  kReverted,
  kRejected,
  kExpired,
};
const char* to_string(ActionState state);
/// True if the diagram has this arrow, or to == from (a new word on an unchanged state).
bool may_follow(ActionState from, ActionState to);
constexpr bool is_final(ActionState s) {
  return s == ActionState::kVerified || s == ActionState::kFailed || s == ActionState::kReverted ||
         s == ActionState::kRejected || s == ActionState::kExpired;
}

/// One step in an action's life, as journalled.
struct Transition {
  ActionId action = 0;
  ActionState from = ActionState::kIntended;
  ActionState to = ActionState::kIntended;
  Timestamp time;                       ///< controller's clock
  std::optional<Timestamp> agent_time;  ///< host's clock, if an update caused it
  std::string message;
  std::uint64_t command = 0;          ///< id of the Reserve, Set* or Migrate that leaves after this transition; 0: none
  std::optional<Timestamp> deadline;  ///< and that command's deadline
  std::optional<Timestamp> trigger;   ///< it had waited, and this is when what it waited for was there
};

/// An action with its life so far.
struct ActionRecord {
  ham::Action action;
  std::uint64_t decision = 0;
  std::vector<ActionId> prerequisites;  ///< must be verified before this one begins; if one is not, this one expires
  ActionState state = ActionState::kIntended;
  Term term = 0;
  Timestamp intended_at;
  /// What set it off: the time stamp of the frame that the decision knew the host by (the oldest, if it has
  /// several); for one that had to wait, the moment the last of its prerequisites was verified or it was approved.
  Timestamp trigger_time;
  Timestamp deadline;                    ///< intended, awaiting approval: to begin by; later: of its latest command
  std::uint64_t command = 0;             ///< id of its latest Reserve, Set* or Migrate; 0: none has left
  std::optional<Timestamp> executed_at;  ///< agent's clock when it accepted the Set* or Migrate
  std::optional<Timestamp> ended_at;
  std::optional<MigrationProgress> progress;
  std::string message;  ///< latest word
  std::vector<Transition> transitions;
};

/// Folds the next transition into the record: state, message, command, deadline, executed_at, ended_at,
/// transitions. A journalled intent with its transitions applied in order is the action as it stands. Errors:
/// kFailedPrecondition if it is another action's, or does not begin where the record is; nothing is changed.
Status apply(ActionRecord& record, Transition transition);

}  // namespace proteus::drs
