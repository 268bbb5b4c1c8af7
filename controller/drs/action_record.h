#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/command.h"
#include "controller/ham/decision.h"

namespace proteus::drs {

/// intended ──▶ (awaiting_approval ──▶) reserving ──▶ sent ──▶ accepted ──▶ running ──▶ verifying ──▶ verified
///    │                  │                  │           │          │           │            │
///    │                  ▼                  └───────────┴──────────┴─────┬─────┴────────────┘
///    │               rejected                                           ▼
///    └──────────────▶ expired                                         failed ──▶ reverting ──▶ reverted | failed
///
/// `reserving` only for migrations. Each transition is journalled before its command leaves. final: rejected, expired,
/// verified, failed, reverted.
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
constexpr bool is_final(ActionState s) {
  return s == ActionState::kVerified || s == ActionState::kFailed || s == ActionState::kReverted ||
         s == ActionState::kRejected || s == ActionState::kExpired;
}

/// One step in an action's life, as journalled.
struct Transition {
  ActionId action = 0;
  ActionState from = ActionState::kIntended;
  ActionState to = ActionState::kIntended;
  Timestamp time;                           ///< controller's clock
  std::optional<Timestamp> agent_time;      ///< host's clock, if an update caused it
  std::string message;
};

/// An action with its life so far.
struct ActionRecord {
  ham::Action action;
  std::uint64_t decision = 0;
  ActionState state = ActionState::kIntended;
  Term term = 0;
  Timestamp intended_at;
  Timestamp trigger_time;  ///< host's time stamp of the newest frame that the decision saw
  Timestamp deadline;
  std::optional<Timestamp> executed_at;  ///< agent's clock when it accepted the main command
  std::optional<Timestamp> ended_at;
  std::optional<MigrationProgress> progress;
  std::string message;                   ///< latest word
  std::vector<Transition> transitions;
};

}  // namespace proteus::drs
