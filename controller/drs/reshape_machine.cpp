#include "controller/drs/reshape_machine.h"

#include <fmt/core.h>

#include "controller/drs/reshape_value.h"

namespace proteus::drs {

using enum ActionState;

Command ReshapeMachine::set(Operation operation, std::optional<std::int64_t> present, Step& step) const {
  Command command = step.make(action(), action().host, std::move(operation), step.now + step.options.reshape_deadline);
  command.require_running = true;
  command.require_value = present;
  return command;
}

void ReshapeMachine::send_first(Step& step) {
  go_with(kSent, "", Order(set(action().operation, action().present_value, step)), step);
}

void ReshapeMachine::adopt() {
  if (record_.command == 0) return;  // intended or awaiting approval: nothing has left
  Command command;
  command.id = record_.command;
  command.action = action().id;
  command.host = action().host;
  command.vm = action().vm;
  command.operation =
      is(kReverting) ? with_value(action().operation, action().present_value.value_or(0)) : action().operation;
  order_ = Order::adopted(std::move(command));
}

bool ReshapeMachine::awaits(const Update& update, Timestamp now) const {
  if (order_ && order_->awaits(update, now)) return true;
  return (is(kVerifying) || is(kReverting)) && inspection_.awaits(update);
}

void ReshapeMachine::on_update(const Update& update, Step& step) {
  if (hear_order(update, step)) {
    if (is(kSent)) {
      go(kFailed, fmt::format("{} refused it: {}", action().host.value, update.message), step, &update);
    } else {
      inspection_.start(action(), step);
    }
    return;
  }
  if ((is(kVerifying) || is(kReverting)) && inspection_.hear(update, step)) judge(update, step);
}

void ReshapeMachine::on_tick(Step& step) {
  if (!order_) return;
  if (under_way() && step.now >= record_.deadline) {
    stop_waiting(fmt::format("{} has not finished it by the deadline; finding out", action().host.value), step);
  }
  order_->on_tick(step);
  if (order_->ended()) inspection_.on_tick(action(), step);
}

void ReshapeMachine::stop(Step& step) {
  if (is(kSent)) stop_waiting("called back by the operator", step);
}

void ReshapeMachine::judge(const Update& update, Step& step) {
  const DomainObservation seen = inspection_.at(action().host);
  const std::string& host = action().host.value;
  const bool settled = previous_ == seen;
  previous_ = seen;
  if (!seen.defined_active) {
    if (settled) go(kFailed, fmt::format("domain vanished: it is not active on {} any more", host), step, &update);
    return;
  }
  if (is(kReverting)) return judge_revert(seen, update, step);

  const Operation& wanted = action().operation;
  const std::int64_t value = observed_value(wanted, seen);
  const std::string found = describe_value(wanted, value);
  const CommandState word = order_->end().state;
  if (fulfils(wanted, seen)) {
    const bool late = word != CommandState::kSucceeded;
    return go(kVerified,
              late ? fmt::format("{}, although {} last said: {}", found, host, order_->end().message) : found, step,
              &update);
  }
  if (word == CommandState::kSucceeded) {
    // A balloon may still be moving.
    if (step.now < record_.deadline) return;
    return go(kFailed, fmt::format("{} said it was done, but shows {}; left as it is", host, found), step, &update);
  }
  if (!settled) return;
  const bool unchanged = !action().present_value || same_value(wanted, value, *action().present_value);
  const std::string& why = order_->end().message;
  if (unchanged) return go(kFailed, fmt::format("not changed, {}: {}", found, why), step, &update);

  previous_.reset();
  std::string message =
      fmt::format("half done ({}): setting {} again: {}", found, describe_value(wanted, *action().present_value), why);
  go_with(kReverting, std::move(message), Order(set(with_value(wanted, *action().present_value), value, step)), step);
}

void ReshapeMachine::judge_revert(const DomainObservation& seen, const Update& update, Step& step) {
  const std::int64_t value = observed_value(action().operation, seen);
  const std::string found = describe_value(action().operation, value);
  if (same_value(action().operation, value, *action().present_value)) {
    return go(kReverted, fmt::format("as before: {}", found), step, &update);
  }
  const bool may_still_come = order_->end().state == CommandState::kSucceeded && step.now < record_.deadline;
  const bool settled = previous_ == seen;
  if (may_still_come || !settled) return;
  go(kFailed,
     fmt::format("could not be set back: {} shows {}, not {}: {}", action().host.value, found,
                 describe_value(action().operation, *action().present_value), order_->end().message),
     step, &update);
}

}  // namespace proteus::drs
