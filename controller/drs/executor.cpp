#include "controller/drs/executor.h"

#include <fmt/core.h>

#include <algorithm>

#include "controller/drs/action_machine.h"
#include "controller/drs/reshape_value.h"
#include "controller/drs/step.h"

namespace proteus::drs {

using enum ActionState;

namespace {

bool confirms(const Update& update, const Command& command) {
  return update.command == command.id && update.host == command.host && update.state == CommandState::kSucceeded;
}

}  // namespace

Executor::Executor(ExecutorOptions options, Term term, std::uint64_t next_action_id, std::uint64_t next_command_id)
    : options_(std::move(options)), term_(term), next_action_id_(next_action_id), next_command_id_(next_command_id) {}
Executor::Executor(Executor&&) noexcept = default;
Executor& Executor::operator=(Executor&&) noexcept = default;
Executor::~Executor() = default;

Step Executor::step(Timestamp now, Output& out) {
  return Step{now, options_, term_, next_command_id_, out};
}

void Executor::adopt(std::vector<ActionRecord> open_actions) {
  for (ActionRecord& open : open_actions) {
    const ActionId id = open.action.id;
    if (is_final(open.state)) continue;
    open.term = term_;
    // What it waits for and is not open any more was verified: otherwise it would have expired with it.
    std::erase_if(open.prerequisites, [&](ActionId before) {
      return std::none_of(open_actions.begin(), open_actions.end(), [&](const ActionRecord& other) {
        return other.action.id == before && !is_final(other.state);
      });
    });
    if (open.state == kIntended) open.deadline = Timestamp{};  // never begun, and the plan's moment has passed
    ActionRecord& record = actions_[id] = open;
    machines_[id] = make_machine(record);
    machines_[id]->adopt();
  }
}

Output Executor::take(std::uint64_t decision, Timestamp trigger_time, std::vector<ham::Action> actions, Timestamp now) {
  Output out;
  Step here = step(now, out);
  const ActionId first = next_action_id_;
  for (ham::Action& action : actions) {
    action.id = next_action_id_++;
    ActionRecord record;
    record.action = std::move(action);
    record.decision = decision;
    record.term = term_;
    record.intended_at = now;
    record.trigger_time = trigger_time;
    record.deadline = now + options_.approval_lifetime;

    const ham::Action& taken = record.action;
    std::string obstacle;
    for (const std::uint32_t position : taken.after) {
      if (first + position < taken.id) {
        record.prerequisites.push_back(first + position);
      } else {
        obstacle = "it names an action that does not come before it";
      }
    }
    for (const auto& [id, other] : actions_) {
      if (other.action.vm != taken.vm || is_final(other.state)) continue;
      if (id >= first) {
        if (std::find(record.prerequisites.begin(), record.prerequisites.end(), id) == record.prerequisites.end()) {
          record.prerequisites.push_back(id);
        }
      } else {
        obstacle = fmt::format("the VM has action {} under way", id);
      }
    }
    const bool moves = std::holds_alternative<Migrate>(taken.operation);
    if (!moves && !value_of(taken.operation)) obstacle = "it is neither a reshape nor a migration";
    if (taken.automation < ham::Automation::kApprove) obstacle = "the VM's level of automation does not allow it";

    out.new_actions.push_back(record);
    const ActionId id = taken.id;
    const bool needs_approval = taken.automation == ham::Automation::kApprove;
    ActionRecord& kept = actions_[id] = std::move(record);
    machines_[id] = make_machine(kept);
    if (!obstacle.empty()) {
      machines_[id]->go(kExpired, "not taken up: " + obstacle, here);
    } else if (needs_approval) {
      machines_[id]->go(kAwaitingApproval, "", here);
    }
  }
  settle(here);
  return out;
}

bool Executor::awaits(const Update& update, Timestamp now) const {
  if (const auto machine = machines_.find(update.action); machine != machines_.end()) {
    return machine->second->awaits(update, now);
  }
  return std::any_of(unreleased_.begin(), unreleased_.end(),
                     [&](const Unreleased& room) { return confirms(update, room.release); });
}

Output Executor::on_update(const Update& update, Timestamp now) {
  Output out;
  Step here = step(now, out);
  if (const auto machine = machines_.find(update.action); machine != machines_.end()) {
    machine->second->on_update(update, here);
    settle(here);
  } else {
    std::erase_if(unreleased_, [&](const Unreleased& room) { return confirms(update, room.release); });
  }
  return out;
}

Output Executor::on_tick(Timestamp now, const std::function<bool(const HostId&)>& host_reachable) {
  Output out;
  Step here = step(now, out);
  here.host_reachable = &host_reachable;
  for (const auto& [id, machine] : machines_) {
    const ActionRecord& record = actions_.at(id);
    const bool waits = record.state == kIntended || record.state == kAwaitingApproval;
    if (!waits) {
      machine->on_tick(here);
    } else if (now >= record.deadline) {
      machine->go(kExpired,
                  record.state == kAwaitingApproval ? "nobody approved it in time" : "its turn did not come in time",
                  here);
    }
  }
  settle(here);
  repeat_releases(here);
  return out;
}

Result<ActionRecord*> Executor::find_awaiting(ActionId id) {
  const auto found = actions_.find(id);
  if (found == actions_.end()) return Error{ErrorCode::kNotFound, fmt::format("there is no action {}", id)};
  if (found->second.state != kAwaitingApproval) {
    return Error{ErrorCode::kFailedPrecondition,
                 fmt::format("action {} is {}, not awaiting approval", id, to_string(found->second.state))};
  }
  return &found->second;
}

Result<Output> Executor::approve(ActionId id, Timestamp now) {
  Result<ActionRecord*> found = find_awaiting(id);
  if (!found) return found.error();
  Output out;
  Step here = step(now, out);
  machines_.at(id)->go(kIntended, "approved", here);
  settle(here);
  return out;
}

Result<Output> Executor::reject(ActionId id, Timestamp now, const std::string& by) {
  Result<ActionRecord*> found = find_awaiting(id);
  if (!found) return found.error();
  Output out;
  Step here = step(now, out);
  machines_.at(id)->go(kRejected, "rejected by " + by, here);
  settle(here);
  return out;
}

Output Executor::stop_all(Timestamp now) {
  Output out;
  Step here = step(now, out);
  for (const auto& [id, machine] : machines_) {
    const ActionState state = actions_.at(id).state;
    if (state == kIntended || state == kAwaitingApproval) {
      machine->go(kExpired, "stopped by the operator", here);
    } else {
      machine->stop(here);
    }
  }
  settle(here);
  return out;
}

std::vector<ham::InFlight> Executor::in_flight() const {
  std::vector<ham::InFlight> all;
  for (const auto& [id, record] : actions_) {
    if (is_final(record.state)) continue;
    ham::InFlight flight;
    flight.id = id;
    flight.vm = record.action.vm;
    flight.source = record.action.host;
    if (const auto* migrate = std::get_if<Migrate>(&record.action.operation)) flight.target = migrate->target;
    flight.awaiting_approval = record.state == kAwaitingApproval;
    all.push_back(std::move(flight));
  }
  return all;
}

bool Executor::quiet() const {
  return unreleased_.empty() && std::all_of(machines_.begin(), machines_.end(), [this](const auto& machine) {
           return actions_.at(machine.first).state == kAwaitingApproval;
         });
}

/// Begins what may begin, drops what cannot any more, and retires what has ended. In order of id, which is
/// plan order: a prerequisite is settled before what waits for it.
void Executor::settle(Step& here) {
  for (const auto& [id, machine] : machines_) settle_waiting(actions_.at(id), here);
  retire_ended(here);
}

void Executor::settle_waiting(ActionRecord& record, Step& here) {
  if (record.state != kIntended && record.state != kAwaitingApproval) return;
  ActionMachine& machine = *machines_.at(record.action.id);
  bool ready = record.state == kIntended && here.now < record.deadline;
  std::optional<Timestamp> freed;
  for (const Transition& own : record.transitions) {
    if (own.to == kIntended) freed = own.time;  // approved
  }
  for (const ActionId before : record.prerequisites) {
    const auto found = actions_.find(before);
    if (found == actions_.end()) continue;  // ended long ago, and verified: else this one would have ended with it
    const ActionState state = found->second.state;
    if (is_final(state) && state != kVerified) {
      return machine.go(kExpired, fmt::format("action {}, which it waits for, is {}", before, to_string(state)), here);
    }
    if (state != kVerified) {
      ready = false;
    } else {
      const Transition& last = found->second.transitions.back();
      freed = std::max(freed.value_or(Timestamp{}), last.agent_time.value_or(last.time));
    }
  }
  if (ready) machine.begin(freed, here);
}

void Executor::retire_ended(Step& here) {
  for (auto it = machines_.begin(); it != machines_.end();) {
    const auto& [id, machine] = *it;
    const ActionRecord& record = actions_.at(id);
    if (!is_final(record.state)) {
      ++it;
      continue;
    }
    if (const std::optional<HostId> host = machine->unreleased()) {
      Unreleased room{here.make(record.action, *host, Release{id}, here.now + std::chrono::minutes(1)), here.now,
                      record.deadline};
      here.send(room.release);
      unreleased_.push_back(std::move(room));
    }
    ended_.push_back(id);
    it = machines_.erase(it);
  }
  while (ended_.size() > options_.ended_actions_max) {
    actions_.erase(ended_.front());
    ended_.pop_front();
  }
}

void Executor::repeat_releases(Step& here) {
  std::erase_if(unreleased_, [&](const Unreleased& room) { return here.now >= room.lapses; });
  for (Unreleased& room : unreleased_) {
    if (here.now - room.sent < options_.accept_timeout || !here.reachable(room.release.host)) continue;
    // A new id: the target may have refused the former one, and releasing twice is releasing once.
    const std::uint64_t id = next_command_id_++;
    room.release.id = id;
    room.release.issued = here.now;
    room.release.deadline = here.now + std::chrono::minutes(1);
    room.sent = here.now;
    here.send(room.release);
  }
}

}  // namespace proteus::drs
