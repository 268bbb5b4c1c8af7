#include "controller/drs/action_machine.h"

#include <cstdio>
#include <cstdlib>

#include "controller/drs/migration_machine.h"
#include "controller/drs/reshape_machine.h"

namespace proteus::drs {

void ActionMachine::go(ActionState to, std::string message, Step& step, const Update* update) {
  Transition transition;
  transition.action = action().id;
  transition.from = record_.state;
  transition.to = to;
  transition.time = step.now;
  if (update != nullptr) transition.agent_time = update->time;
  transition.message = std::move(message);
  if (order_ && (to == ActionState::kReserving || to == ActionState::kSent || to == ActionState::kReverting)) {
    transition.command = order_->command().id;
    transition.deadline = order_->command().deadline;
    if (record_.state == ActionState::kIntended) transition.trigger = freed_;
  }
  if (const Status applied = apply(record_, transition); !applied) {
    // A transition that the diagram does not have would make the journal lie; better no controller than that
    // one.
    std::fprintf(stderr, "drs: %s\n", applied.error().message.c_str());
    std::abort();
  }
  step.out.transitions.push_back(std::move(transition));
}

void ActionMachine::go_with(ActionState to, std::string message, Order order, Step& step) {
  order_ = std::move(order);
  go(to, std::move(message), step);
  order_->send_first(step);
}

bool ActionMachine::hear_order(const Update& update, Step& step) {
  if (!order_ || !order_->hear(update, step.now)) return false;
  if (update.migration) record_.progress = update.migration;
  if (under_way()) {
    if (order_->begun() && is(ActionState::kSent)) go(ActionState::kAccepted, "", step, &update);
    if (update.state == CommandState::kRunning && is(ActionState::kAccepted)) {
      go(ActionState::kRunning, update.message, step, &update);
    }
    if (order_->ended() && !order_->refused_cleanly()) {
      go(ActionState::kVerifying, update.message, step, &update);
    }
  }
  return order_->ended();
}

void ActionMachine::stop_waiting(std::string message, Step& step) {
  go(ActionState::kVerifying, std::move(message), step);
  order_->ask_now(step);
}

std::unique_ptr<ActionMachine> make_machine(ActionRecord& record) {
  if (std::holds_alternative<Migrate>(record.action.operation)) return std::make_unique<MigrationMachine>(record);
  return std::make_unique<ReshapeMachine>(record);
}

}  // namespace proteus::drs
