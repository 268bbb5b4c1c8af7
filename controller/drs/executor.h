#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "common/command.h"
#include "controller/drs/action_record.h"

namespace proteus::drs {

struct ExecutorOptions {
  std::string controller;                                  ///< id sent in commands
  Nanoseconds accept_timeout = std::chrono::seconds(5);    ///< sent, but no word: inspect
  Nanoseconds reshape_deadline = std::chrono::seconds(10);
  Nanoseconds migrate_deadline = std::chrono::minutes(10);
  Nanoseconds approval_lifetime = std::chrono::minutes(15);
  Nanoseconds inspect_interval = std::chrono::seconds(2);  ///< between questions about an unresolved action
};

/// What the executor wants done, in this order: journal every transition durably, then send the commands.
struct Output {
  std::vector<ActionRecord> new_actions;   ///< to be journalled as intent, whole
  std::vector<Transition> transitions;
  std::vector<Command> commands;
  bool empty() const { return new_actions.empty() && transitions.empty() && commands.empty(); }
};

/// The Dynamic Resource Shifter: one state machine per action. Pure and deterministic: values in, values out, time passed
/// in; it neither sends nor stores. An action that cannot be verified ends as failed, with what is known of the VM's
/// whereabouts; it never assumes. A migration counts as verified only when the target says that the VM runs there and
/// the source says that it does not.
/// Thread: owned by one.
class Executor {
 public:
  Executor(ExecutorOptions options, Term term, std::uint64_t next_action_id, std::uint64_t next_command_id);

  /// After a restart: open actions from the journal. They are resolved by asking both hosts, not by sending again.
  void adopt(std::vector<ActionRecord> open_actions);

  /// Takes up the actions of a decision, in order; levels observe and recommend are not passed in. At level approve an
  /// action waits for approve().
  Output take(std::uint64_t decision, Timestamp trigger_time, std::vector<ham::Action> actions, Timestamp now);

  Output on_update(const Update& update, Timestamp now);
  /// Deadlines, unanswered commands, hosts that came back. `host_reachable` says whether a host's agent follows us now.
  Output on_tick(Timestamp now, const std::function<bool(const HostId&)>& host_reachable);

  /// Errors: kNotFound, kFailedPrecondition (not awaiting approval).
  Result<Output> approve(ActionId id, Timestamp now);
  Result<Output> reject(ActionId id, Timestamp now, const std::string& by);
  /// Kill switch: everything not yet accepted by an agent is expired; running migrations are aborted.
  Output stop_all(Timestamp now);

  /// Open actions and the last 1,000 ended ones, by id.
  const std::map<ActionId, ActionRecord>& actions() const { return actions_; }
  std::vector<ham::InFlight> in_flight() const;

 private:
  struct Commands;  // outstanding commands by id
  ExecutorOptions options_;
  Term term_;
  std::uint64_t next_action_id_;
  std::uint64_t next_command_id_;
  std::map<ActionId, ActionRecord> actions_;
};

}  // namespace proteus::drs
