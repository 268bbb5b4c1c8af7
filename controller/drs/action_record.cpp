#include "controller/drs/action_record.h"

#include <fmt/core.h>

#include <utility>

namespace proteus::drs {
namespace {

using enum ActionState;

// The arrows of the diagram in the header.
constexpr std::pair<ActionState, ActionState> kArrows[] = {
    {kIntended, kAwaitingApproval},
    {kIntended, kReserving},
    {kIntended, kSent},
    {kIntended, kExpired},
    {kAwaitingApproval, kIntended},
    {kAwaitingApproval, kRejected},
    {kAwaitingApproval, kExpired},
    {kReserving, kSent},
    {kReserving, kFailed},
    {kReserving, kExpired},
    {kSent, kAccepted},
    {kSent, kVerifying},
    {kSent, kFailed},
    {kAccepted, kRunning},
    {kAccepted, kVerifying},
    {kRunning, kVerifying},
    {kVerifying, kVerified},
    {kVerifying, kFailed},
    {kVerifying, kReverting},
    {kReverting, kReverted},
    {kReverting, kFailed},
};

}  // namespace

const char* to_string(ActionState state) {
  switch (state) {
    case kIntended: return "intended";
    case kAwaitingApproval: return "awaiting_approval";
    case kReserving: return "reserving";
    case kSent: return "sent";
    case kAccepted: return "accepted";
    case kRunning: return "running";
    case kVerifying: return "verifying";
    case kVerified: return "verified";
    case kFailed: return "failed";
    case kReverting: return "reverting";
    case kReverted: return "reverted";
    case kRejected: return "rejected";
    case kExpired: return "expired";
  }
  return "unknown";
}

bool may_follow(ActionState from, ActionState to) {
  if (from == to) return !is_final(from);
  for (const auto& [a, b] : kArrows) {
    if (a == from && b == to) return true;
  }
  return false;
}

Status apply(ActionRecord& record, Transition transition) {
  if (transition.action != record.action.id || transition.from != record.state) {
    return Error{ErrorCode::kFailedPrecondition,
                 fmt::format("action {} is {}, but the transition is of action {} from {}", record.action.id,
                             to_string(record.state), transition.action, to_string(transition.from))};
  }
  if (!may_follow(transition.from, transition.to)) {
    return Error{ErrorCode::kFailedPrecondition, fmt::format("action {} cannot go from {} to {}", record.action.id,
                                                             to_string(transition.from), to_string(transition.to))};
  }
  record.state = transition.to;
  if (!transition.message.empty()) record.message = transition.message;
  if (transition.command != 0) record.command = transition.command;
  if (transition.deadline) record.deadline = *transition.deadline;
  if (transition.trigger) record.trigger_time = *transition.trigger;
  if (transition.to == kAccepted && !record.executed_at) record.executed_at = transition.agent_time;
  if (is_final(transition.to)) record.ended_at = transition.time;
  record.transitions.push_back(std::move(transition));
  return {};
}

}  // namespace proteus::drs
