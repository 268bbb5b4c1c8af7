// Actions on their way from intent to outcome.
#include "controller/store/journal_fields.h"
#include "controller/store/journal_records.h"

namespace proteus::store {

void fill(schema::Transition::Builder to, const drs::Transition& from) {
  to.setAction(from.action);
  to.setFrom(static_cast<std::uint8_t>(from.from));
  to.setTo(static_cast<std::uint8_t>(from.to));
  to.setTimeNs(to_unix_ns(from.time));
  fill_optional_time(to.getAgentTime(), from.agent_time);
  JOURNAL_SET_TEXT(to, Message, from.message);
  to.setCommand(from.command);
  fill_optional_time(to.getDeadline(), from.deadline);
  fill_optional_time(to.getTrigger(), from.trigger);
}

void fill(schema::ActionRecord::Builder to, const drs::ActionRecord& from) {
  fill(to.initAction(), from.action);
  to.setDecision(from.decision);
  if (!from.prerequisites.empty()) {
    auto ids = to.initPrerequisites(static_cast<unsigned>(from.prerequisites.size()));
    for (unsigned i = 0; i < ids.size(); ++i) ids.set(i, from.prerequisites[i]);
  }
  to.setState(static_cast<std::uint8_t>(from.state));
  to.setTerm(from.term);
  to.setIntendedAtNs(to_unix_ns(from.intended_at));
  to.setTriggerTimeNs(to_unix_ns(from.trigger_time));
  to.setDeadlineNs(to_unix_ns(from.deadline));
  to.setCommand(from.command);
  fill_optional_time(to.getExecutedAt(), from.executed_at);
  fill_optional_time(to.getEndedAt(), from.ended_at);
  if (from.progress) wire::fill(to.initProgress(), *from.progress);
  JOURNAL_SET_TEXT(to, Message, from.message);
  JOURNAL_SET_LIST(to, Transitions, from.transitions, fill);
}

drs::Transition read_transition(schema::Transition::Reader from) {
  drs::Transition to;
  to.action = from.getAction();
  to.from = read_enum(from.getFrom(), drs::ActionState::kExpired, "action state");
  to.to = read_enum(from.getTo(), drs::ActionState::kExpired, "action state");
  to.time = from_unix_ns(from.getTimeNs());
  to.agent_time = read_optional_time(from.getAgentTime());
  to.message = read_text(from.getMessage());
  to.command = from.getCommand();
  to.deadline = read_optional_time(from.getDeadline());
  to.trigger = read_optional_time(from.getTrigger());
  return to;
}

drs::ActionRecord read_record(schema::ActionRecord::Reader from) {
  drs::ActionRecord to;
  to.action = read_action(from.getAction());
  to.decision = from.getDecision();
  to.prerequisites = read_list(from.getPrerequisites(), [](ActionId id) { return id; });
  to.state = read_enum(from.getState(), drs::ActionState::kExpired, "action state");
  to.term = from.getTerm();
  to.intended_at = from_unix_ns(from.getIntendedAtNs());
  to.trigger_time = from_unix_ns(from.getTriggerTimeNs());
  to.deadline = from_unix_ns(from.getDeadlineNs());
  to.command = from.getCommand();
  to.executed_at = read_optional_time(from.getExecutedAt());
  to.ended_at = read_optional_time(from.getEndedAt());
  if (from.hasProgress()) to.progress = wire::read(from.getProgress());
  to.message = read_text(from.getMessage());
  to.transitions = read_list(from.getTransitions(), read_transition);
  return to;
}

}  // namespace proteus::store
