#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/command.h"
#include "controller/drs/action_record.h"

namespace proteus::drs {

struct ExecutorOptions {
  std::string controller;                                  ///< id sent in commands
  Nanoseconds accept_timeout = std::chrono::seconds(5);    ///< sent, but no word: the same id is repeated
  Nanoseconds reserve_timeout = std::chrono::seconds(15);  ///< a target that has not promised room by then is given up
  Nanoseconds reshape_deadline = std::chrono::seconds(10);
  Nanoseconds migrate_deadline = std::chrono::minutes(10);
  Nanoseconds approval_lifetime = std::chrono::minutes(15);
  Nanoseconds inspect_interval = std::chrono::seconds(2);  ///< between questions about an unresolved action
  std::size_t ended_actions_max = 1000;                    ///< kept in actions() after they ended
};

/// What the executor wants done, in this order: journal every transition durably, then send the commands.
struct Output {
  std::vector<ActionRecord> new_actions;  ///< to be journalled as intent, whole; their transitions follow below
  std::vector<Transition> transitions;
  std::vector<Command> commands;
  bool empty() const { return new_actions.empty() && transitions.empty() && commands.empty(); }
};

class ActionMachine;
struct Step;

/// The Dynamic Resource Shifter: one state machine per action. Pure and deterministic: values in, values out,
/// time passed in; it neither sends nor stores. An action that cannot be verified ends as failed, with what
/// is known of the VM's whereabouts; it never assumes. A migration counts as verified only when the target
/// says that the VM runs there and the source says that it does not. While a host that must be asked cannot
/// be reached, its action stays open. Thread: owned by one.
class Executor {
 public:
  /// Ids must be above any that the store has seen, in commands too.
  Executor(ExecutorOptions options, Term term, std::uint64_t next_action_id, std::uint64_t next_command_id);
  Executor(Executor&&) noexcept;
  Executor& operator=(Executor&&) noexcept;
  ~Executor();

  /// Open actions of a former executor, before anything else. They are resolved by asking, from the next on_tick on,
  /// and nothing is sent that could start work. After a restart they come from the journal, and the term is a new
  /// one. Within a process the term may stay: an agent remembers the ids that it has refused, and whatever the former
  /// executor has sent is in front of the question on the same way.
  /// - intended, reserving: no Set* or Migrate has left (its transition would be journalled), so they expire,
  /// and the
  ///   room that may have been reserved is released.
  /// - awaiting approval: go on waiting.
  /// - sent and later: whether the command ever left is not known. Its id is repeated in the new term with a
  /// deadline
  ///   that has passed (kAskOnly). An agent that knows the id answers with what became of it, and a migration
  ///   that still runs is followed. One that does not know it refuses it for good, and having seen the new
  ///   term refuses what the former controller may still have on its way. Then the hosts are asked where the
  ///   VM is, and that decides.
  void adopt(std::vector<ActionRecord> open_actions);

  /// Takes up the actions of a decision, in order; levels observe and recommend are not passed in. At level
  /// approve an action waits for approve(). An action whose VM has an open action of another decision is
  /// journalled and expires at once, with that reason; so do those that depend on it. Within the decision an
  /// action begins when all that it names in `after`, and all earlier ones of its VM, are verified; the rest
  /// run side by side.
  Output take(std::uint64_t decision, Timestamp trigger_time, std::vector<ham::Action> actions, Timestamp now);

  /// Whether an agent's word can matter: it is about a command that its host was given, whose action is open or whose
  /// room is not released, and it is not what has just been said. Others change nothing, so they need no journalling.
  bool awaits(const Update& update, Timestamp now) const;
  /// Updates may come late, twice, in any order and in old terms.
  Output on_update(const Update& update, Timestamp now);
  /// Deadlines, unanswered commands, hosts that came back; call it every second or so. `host_reachable` says
  /// whether a host's agent follows us now.
  Output on_tick(Timestamp now, const std::function<bool(const HostId&)>& host_reachable);

  /// Errors: kNotFound, kFailedPrecondition (not awaiting approval).
  Result<Output> approve(ActionId id, Timestamp now);
  Result<Output> reject(ActionId id, Timestamp now, const std::string& by);
  /// Kill switch: what has not been sent expires, running migrations are aborted, and what was sent but not
  /// accepted is called back: the agent refuses it from now on, unless it has begun it. Reshapes that an
  /// agent accepted finish.
  Output stop_all(Timestamp now);

  /// Open actions and the last ended ones, by id.
  const std::map<ActionId, ActionRecord>& actions() const { return actions_; }
  std::vector<ham::InFlight> in_flight() const;
  /// No action is open but those that await approval, and no host is to give room back: another executor that adopts
  /// the open ones, and goes on with these ids, goes on as this one would.
  bool quiet() const;
  std::uint64_t next_action_id() const { return next_action_id_; }
  std::uint64_t next_command_id() const { return next_command_id_; }

 private:
  /// Room at a host that did not confirm its release before the action ended.
  struct Unreleased {
    Command release;
    Timestamp sent;
    Timestamp lapses;
  };

  Step step(Timestamp now, Output& out);
  void settle(Step& step);
  void settle_waiting(ActionRecord& record, Step& step);
  void retire_ended(Step& step);
  void repeat_releases(Step& step);
  Result<ActionRecord*> find_awaiting(ActionId id);

  ExecutorOptions options_;
  Term term_;
  std::uint64_t next_action_id_;
  std::uint64_t next_command_id_;
  std::map<ActionId, ActionRecord> actions_;
  std::map<ActionId, std::unique_ptr<ActionMachine>> machines_;  ///< of the open ones
  std::deque<ActionId> ended_;                                   ///< oldest first
  std::vector<Unreleased> unreleased_;
};

}  // namespace proteus::drs
