#pragma once

#include <memory>
#include <optional>
#include <string>

#include "controller/drs/action_record.h"
#include "controller/drs/order.h"
#include "controller/drs/step.h"

namespace proteus::drs {

/// The life of one action, as drawn in action_record.h. This base knows what all kinds share: waiting, the
/// way from sent to verifying as the agent's words come in, and silence. The kinds know what to send and how
/// to find the truth. Thread: owned by its executor.
class ActionMachine {
 public:
  virtual ~ActionMachine() = default;
  ActionMachine(const ActionMachine&) = delete;
  ActionMachine& operator=(const ActionMachine&) = delete;

  /// Its turn has come: from intended to the first command. `freed` is when what it waited for was there.
  void begin(std::optional<Timestamp> freed, Step& step) {
    freed_ = freed;
    send_first(step);
  }
  /// The record came from the journal.
  virtual void adopt() = 0;
  /// Whether on_update() would make anything of it, and has not made the same of it just now.
  virtual bool awaits(const Update& update, Timestamp now) const = 0;
  virtual void on_update(const Update& update, Step& step) = 0;
  virtual void on_tick(Step& step) = 0;
  /// The operator's kill switch.
  virtual void stop(Step& step) = 0;
  /// Room that is still to be released when the action has ended.
  virtual std::optional<HostId> unreleased() const { return std::nullopt; }

  /// Transition with `message` (may be empty); `update` is what caused it, if an agent did.
  void go(ActionState to, std::string message, Step& step, const Update* update = nullptr);

 protected:
  virtual void send_first(Step& step) = 0;
  explicit ActionMachine(ActionRecord& record) : record_(record) {}

  const ham::Action& action() const { return record_.action; }
  /// Transition with which `order` leaves, and its first copy.
  void go_with(ActionState to, std::string message, Order order, Step& step);
  /// Takes the update as the order's agent's word and moves from sent towards verifying. True if the order
  /// has just ended, and the truth is to be found out now.
  bool hear_order(const Update& update, Step& step);
  /// Past the deadline, or called back: no more copies that could start work, and on to verifying.
  void stop_waiting(std::string message, Step& step);
  bool is(ActionState state) const { return record_.state == state; }
  bool under_way() const { return is(ActionState::kSent) || is(ActionState::kAccepted) || is(ActionState::kRunning); }

  ActionRecord& record_;
  std::optional<Order> order_;  ///< latest Reserve, Set* or Migrate
  std::optional<Timestamp> freed_;
};

/// Precondition: the operation is Set* or Migrate. The record outlives the machine.
std::unique_ptr<ActionMachine> make_machine(ActionRecord& record);

}  // namespace proteus::drs
