#include "controller/drs/migration_machine.h"

#include <fmt/core.h>

namespace proteus::drs {

using enum ActionState;

namespace {

/// The host's last word on a command of ours; command: 0 if there is none.
bool is_answer(const Update& update, std::uint64_t command, const HostId& host) {
  return command != 0 && update.command == command && update.host == host && is_final(update.state);
}

}  // namespace

MigrationMachine::MigrationMachine(ActionRecord& record)
    : ActionMachine(record), inspection_({record.action.host, std::get<Migrate>(record.action.operation).target}) {}

void MigrationMachine::send_first(Step& step) {
  Command reserve = step.make(action(), target(), action().reserve, step.now + step.options.migrate_deadline);
  reserve.require_running = false;
  room_taken_ = true;
  go_with(kReserving, "", Order(std::move(reserve)), step);
}

void MigrationMachine::adopt() {
  if (record_.command == 0) return;  // intended or awaiting approval: nothing has left
  room_taken_ = true;
  if (is(kReserving)) {
    adopted_while_reserving_ = true;
    return;
  }
  Command command;
  command.id = record_.command;
  command.action = action().id;
  command.host = source();
  command.vm = action().vm;
  command.operation = action().operation;
  order_ = Order::adopted(std::move(command));
}

bool MigrationMachine::awaits(const Update& update, Timestamp now) const {
  if (is_answer(update, release_, target())) return update.state == CommandState::kSucceeded || !release_failed_;
  if (is_answer(update, abort_, source())) return true;
  if (verdict_) return false;
  if (order_ && order_->awaits(update, now)) return true;
  return is(kVerifying) && inspection_.awaits(update);
}

void MigrationMachine::on_update(const Update& update, Step& step) {
  if (is_answer(update, abort_, source())) {
    abort_ = 0;  // what has become of the move is for others to say
    return;
  }
  if (is_answer(update, release_, target())) {
    release_failed_ = update.state != CommandState::kSucceeded;
    if (release_failed_) return;  // asked again on a tick
    room_taken_ = false;
    if (verdict_) go(verdict_->state, verdict_->message, step);
    return;
  }
  if (verdict_) return;
  if (is(kReserving)) return hear_reservation(update, step);
  if (hear_order(update, step)) {
    if (is(kSent)) {
      conclude(kFailed, fmt::format("{} refused it: {}", source().value, update.message), step);
    } else {
      inspection_.start(action(), step);
    }
    return;
  }
  if (is(kVerifying) && inspection_.hear(update, step)) judge(step);
}

void MigrationMachine::hear_reservation(const Update& update, Step& step) {
  if (!order_ || !order_->hear(update, step.now) || !order_->ended()) return;
  if (update.state != CommandState::kSucceeded) {
    return conclude(kFailed, fmt::format("{} gives no room: {}", target().value, update.message), step);
  }
  Command migrate = step.make(action(), source(), action().operation, record_.deadline);
  migrate.require_running = true;
  go_with(kSent, fmt::format("{} has reserved the room", target().value), Order(std::move(migrate)), step);
}

void MigrationMachine::on_tick(Step& step) {
  if (verdict_) {
    // A target that is silent now gives the room back at the deadline of its Reserve anyway; the executor
    // goes on asking.
    if (step.now - verdict_->since >= 2 * step.options.accept_timeout) {
      go(verdict_->state, verdict_->message, step);
    } else if (step.now - *release_sent_ >= step.options.accept_timeout && step.reachable(target())) {
      send_release(step);
    }
    return;
  }
  if (is(kReserving)) {
    if (adopted_while_reserving_) {
      return conclude(kExpired, "the controller restarted before the move was ordered", step);
    }
    if (step.now - record_.transitions.back().time >= step.options.reserve_timeout) {
      return conclude(kExpired, fmt::format("{} did not answer whether it has room", target().value), step);
    }
    return order_->on_tick(step);
  }
  if (!order_) return;
  if (step.now >= record_.deadline) abort_wanted_ = true;
  if (under_way() && step.now >= record_.deadline) stop_waiting("not done by the deadline: aborting", step);
  abort_while_running(step);
  order_->on_tick(step);
  if (order_->ended()) inspection_.on_tick(action(), step);
}

void MigrationMachine::stop(Step& step) {
  if (verdict_) return;
  if (is(kReserving)) return conclude(kExpired, "stopped by the operator before the move was ordered", step);
  if (!order_) return;
  abort_wanted_ = true;
  if (is(kSent)) stop_waiting("called back by the operator", step);
  abort_while_running(step);
}

void MigrationMachine::abort_while_running(Step& step) {
  const bool may_run = !order_->ended() || seen_ == Whereabouts::kBoth;
  if (!abort_wanted_ || !may_run || !step.reachable(source())) return;
  if (abort_sent_ && step.now - *abort_sent_ < step.options.accept_timeout) return;
  // A new id each time: an Abort that came before its migration began has done nothing.
  const Command abort = step.make(action(), source(), Abort{action().id}, step.now + std::chrono::minutes(1));
  abort_ = abort.id;
  abort_sent_ = step.now;
  step.send(abort);
}

void MigrationMachine::judge(Step& step) {
  const DomainObservation& at_source = inspection_.at(source());
  const DomainObservation& at_target = inspection_.at(target());
  Whereabouts now = Whereabouts::kNowhere;
  if (at_source.defined_active) {
    now = at_target.defined_active ? Whereabouts::kBoth : Whereabouts::kSource;
  } else if (at_target.defined_active) {
    now = at_target.running ? Whereabouts::kTarget : Whereabouts::kTargetPaused;
  }
  rounds_alike_ = seen_ == now ? rounds_alike_ + 1 : 1;
  seen_ = now;

  const Update& end = order_->end();
  const std::string word = end.message.empty() ? to_string(end.state) : end.message;
  switch (now) {
    case Whereabouts::kTarget: {
      std::string message = fmt::format("runs on {}", target().value);
      if (record_.progress && record_.progress->downtime_ms > 0) {
        message += fmt::format(", downtime {} ms", record_.progress->downtime_ms);
      }
      if (end.state != CommandState::kSucceeded) {
        message += fmt::format(", although {} last said: {}", source().value, word);
      }
      return conclude(kVerified, std::move(message), step);
    }
    case Whereabouts::kSource: {
      if (rounds_alike_ < 2) return;
      const char* how = at_source.running ? "runs" : "is paused";
      return conclude(kFailed, fmt::format("not moved, still {} on {}: {}", how, source().value, word), step);
    }
    case Whereabouts::kTargetPaused:
      if (rounds_alike_ < 3) return;
      return conclude(kFailed, fmt::format("is on {} only, and paused there: {}", target().value, word), step);
    case Whereabouts::kNowhere:
      // The two answers are not of the same instant: a VM that switches in between shows up nowhere once.
      if (rounds_alike_ < 2) return;
      return conclude(kFailed,
                      fmt::format("domain vanished: active neither on {} nor on {}", source().value, target().value),
                      step);
    case Whereabouts::kBoth:
      if (rounds_alike_ < 3 || alarmed_) return;
      alarmed_ = true;
      return go(
          kVerifying,
          fmt::format("ALARM: active on both {} ({}) and {} ({}) although the move has ended: {}; asking until it "
                      "is one",
                      source().value, at_source.running ? "running" : "paused", target().value,
                      at_target.running ? "running" : "paused", word),
          step);
  }
}

void MigrationMachine::conclude(ActionState state, std::string message, Step& step) {
  verdict_ = Verdict{state, std::move(message), step.now};
  send_release(step);
}

void MigrationMachine::send_release(Step& step) {
  const Command release = step.make(action(), target(), Release{action().id}, step.now + std::chrono::minutes(1));
  release_ = release.id;
  release_failed_ = false;
  release_sent_ = step.now;
  step.send(release);
}

std::optional<HostId> MigrationMachine::unreleased() const {
  if (!room_taken_) return std::nullopt;
  return target();
}

}  // namespace proteus::drs
