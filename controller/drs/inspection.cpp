#include "controller/drs/inspection.h"

#include <algorithm>

namespace proteus::drs {

void Inspection::start(const ham::Action& action, Step& step) {
  asked_.clear();
  answers_.clear();
  next_at_.reset();
  started_at_ = step.now;
  for (const HostId& host : hosts_) {
    // A question that starts nothing may arrive late without harm; a minute covers a skewed clock.
    const Command question = step.make(action, host, Inspect{}, step.now + std::chrono::minutes(1));
    asked_.emplace(question.id, host);
    step.send(question);
  }
}

bool Inspection::awaits(const Update& update) const {
  const auto found = asked_.find(update.command);
  return found != asked_.end() && found->second == update.host && is_final(update.state);
}

bool Inspection::hear(const Update& update, const Step& step) {
  if (!awaits(update)) return false;
  const auto found = asked_.find(update.command);
  const HostId host = found->second;
  asked_.erase(found);
  const bool late = step.now - *started_at_ >= step.options.accept_timeout;
  if (late || update.state != CommandState::kSucceeded || !update.observed) {
    // Too old to stand beside the others' answers, or this host cannot say now: the whole round is void.
    asked_.clear();
    started_at_.reset();
    next_at_ = step.now + step.options.inspect_interval;
    return false;
  }
  answers_[host] = *update.observed;
  if (!asked_.empty()) return false;
  started_at_.reset();
  next_at_ = step.now + step.options.inspect_interval;
  return true;
}

void Inspection::on_tick(const ham::Action& action, Step& step) {
  const bool unanswered = started_at_ && step.now - *started_at_ >= step.options.accept_timeout;
  const bool due = next_at_ && step.now >= *next_at_;
  if (!unanswered && !due) return;
  const bool all_reachable =
      std::all_of(hosts_.begin(), hosts_.end(), [&](const HostId& host) { return step.reachable(host); });
  if (all_reachable) start(action, step);
}

}  // namespace proteus::drs
