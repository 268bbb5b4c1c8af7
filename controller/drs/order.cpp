#include "controller/drs/order.h"

namespace proteus::drs {
namespace {

/// An agent that says again what it has said, or how far it has come, is heard this often: each word is journalled.
constexpr Nanoseconds kWordInterval = std::chrono::milliseconds(250);

}  // namespace

Order Order::adopted(Command command) {
  Order order(std::move(command));
  order.only_ask_ = true;
  order.copies_ = 1;  // perhaps; so a refusal is never clean
  return order;
}

void Order::send_first(Step& step) {
  step.send(command_);
  copies_ = 1;
  last_word_ = step.now;
}

bool Order::awaits(const Update& update, Timestamp now) const {
  if (update.command != command_.id || update.host != command_.host || end_) return false;
  if (!heard_at_ || !heard_.contains(update.state)) return true;
  return now < *heard_at_ || now - *heard_at_ >= kWordInterval;  // a clock may be set back
}

bool Order::hear(const Update& update, Timestamp now) {
  if (update.command != command_.id || update.host != command_.host || end_) return false;
  last_word_ = heard_at_ = now;
  heard_.insert(update.state);
  if (is_final(update.state)) {
    if (update.state != CommandState::kRefused) begun_ = true;
    end_ = update;
    return true;
  }
  begun_ = true;
  return true;
}

void Order::on_tick(Step& step) {
  if (end_) return;
  if (!step.reachable(command_.host)) {
    last_word_.reset();
    return;
  }
  if (last_word_ && step.now - *last_word_ < step.options.accept_timeout) return;
  repeat(step);
}

void Order::ask_now(Step& step) {
  only_ask_ = true;
  if (!end_) repeat(step);
}

void Order::repeat(Step& step) {
  Command copy = command_;
  copy.controller = step.options.controller;
  copy.term = step.term;
  if (only_ask_ || begun_ || step.now >= command_.deadline) copy.deadline = kAskOnly;
  step.send(copy);
  ++copies_;
  last_word_ = step.now;
}

}  // namespace proteus::drs
