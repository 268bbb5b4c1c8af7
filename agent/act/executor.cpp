#include "agent/act/executor.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "common/log.h"

namespace proteus::act {
namespace {

/// Both hold one small update each; what falls out is answered for by its deadline, or by the outcome log.
constexpr std::size_t kRefusalsKept = 1000;
constexpr std::size_t kUnacknowledgedKept = 4096;

bool is_migration(const Command& command) {
  return std::holds_alternative<Migrate>(command.operation);
}
bool is_inspection(const Command& command) {
  return std::holds_alternative<Inspect>(command.operation);
}

/// Done on the command thread itself, because it touches nothing but the executor's own books.
bool is_bookkeeping(const Command& command) {
  return std::holds_alternative<Reserve>(command.operation) || std::holds_alternative<Release>(command.operation) ||
         std::holds_alternative<Abort>(command.operation);
}

}  // namespace

Result<std::unique_ptr<Executor>> Executor::create(ExecutorOptions options, Lanes lanes,
                                                   std::function<Result<std::int64_t>()> memory_available_bytes,
                                                   Send send, Moment now) {
  const auto followed = load_followed(options.state_directory);
  if (!followed) return followed.error();
  auto log = OutcomeLog::open(options.state_directory, {});
  if (!log) return log.error();
  const Nanoseconds lease = options.lease;
  std::unique_ptr<Executor> executor(new Executor(std::move(options), lanes, std::move(memory_available_bytes),
                                                  std::move(send), Leader(*followed, lease, now.steady),
                                                  std::move(*log)));
  executor->resume(now);
  return executor;
}

void Executor::resume(Moment now) {
  std::vector<const OutcomeLog::Entry*> entries;
  for (const auto& [id, entry] : log_->entries()) entries.push_back(&entry);
  std::sort(entries.begin(), entries.end(), [](const auto* a, const auto* b) { return a->order < b->order; });

  std::vector<Command> interrupted_bookkeeping;
  std::vector<Command> interrupted_reserves;
  for (const auto* entry : entries) {
    const Command& command = entry->command;
    if (entry->final_update) {
      if (entry->final_update->state == CommandState::kSucceeded) {
        if (const auto* room = std::get_if<Reserve>(&command.operation)) {
          reservations_.restore(command.action, *room, command.deadline, entry->final_update->time);
        } else if (const auto* release = std::get_if<Release>(&command.operation)) {
          reservations_.release(release->reservation);
        }
      }
      if (!entry->acknowledged) unacknowledged_[command.id] = {*entry->final_update, Timestamp{}};
    } else if (std::holds_alternative<Reserve>(command.operation)) {
      interrupted_reserves.push_back(command);
    } else if (is_bookkeeping(command)) {
      interrupted_bookkeeping.push_back(command);
    } else {
      log::info("act: command {} of action {} was left unfinished by an earlier run; looking at what became of it",
                command.id, command.action);
      Open open{Job{command, true}, command.term, std::nullopt, {}};
      open_.emplace(command.id, std::move(open));
      turns_[command.vm].push_back(command.id);
    }
  }
  reservations_.expire(now.wall);
  std::vector<VmId> vms;
  for (const auto& [vm, turns] : turns_) vms.push_back(vm);
  for (const VmId& vm : vms) dispatch(vm, now);
  for (const Command& command : interrupted_bookkeeping) run_here(command, now);
  for (const Command& command : interrupted_reserves) {
    end(word(command, CommandState::kRefused, "the agent was restarted before it granted the room", now), now);
  }
}

Update Executor::word(const Command& command, CommandState state, std::string message, Moment now) const {
  Update made;
  made.command = command.id;
  made.action = command.action;
  made.term = command.term;
  made.host = options_.host;
  made.vm = command.vm;
  made.state = state;
  made.time = now.wall;
  made.message = std::move(message);
  return made;
}

Status Executor::follow(std::size_t peer, const std::string& controller, Term term, Moment now) {
  const Leader::Followed before = leader_.followed();
  Leader heard = leader_;
  if (auto status = heard.hear(controller, term, now.steady); !status) return status;
  if (!(heard.followed() == before)) {
    // Remembered before anything is done in the new term, or a restart could be led back to an older one.
    if (auto status = store_followed(options_.state_directory, heard.followed()); !status) return status;
    log::info("act: following controller '{}' in term {} (before: '{}', term {})", controller, term, before.controller,
              before.term);
  }
  leader_ = std::move(heard);
  const bool new_peer = leader_peer_ != peer;
  leader_peer_ = peer;
  if (new_peer) on_reconnected(peer);
  return {};
}

Status Executor::on_welcome(std::size_t peer, const std::string& controller, Term term, Moment now) {
  return follow(peer, controller, term, now);
}

void Executor::on_command(std::size_t peer, const Command& command, Moment now) {
  const auto refuse = [&](const std::string& message) {
    log::info("act: command {} of '{}' in term {} refused: {}", command.id, command.controller, command.term, message);
    const Update update = word(command, CommandState::kRefused, message, now);
    // A second copy of a command that was refused must not be taken for a new one.
    refused_[command.id] = update;
    if (refused_.size() > kRefusalsKept) refused_.erase(refused_.begin());
    tell(update, now);
  };
  // Until the fence is passed nothing of the command is believed, remembered or repeated.
  const auto turn_away = [&](const std::string& message) {
    log::warning("act: command {} of '{}' in term {} turned away: {}", command.id, command.controller, command.term,
                 message);
    send_(peer, word(command, CommandState::kRefused, message, now));
  };
  if (command.host != options_.host) {
    turn_away(fmt::format("it is for host '{}', this is '{}'", command.host.value, options_.host.value));
    return;
  }
  if (auto status = follow(peer, command.controller, command.term, now); !status) {
    turn_away(status.error().message);
    return;
  }
  if (answer_repeat(command, now)) return;
  if (now.wall >= command.deadline) {
    refuse(fmt::format("it arrived {:.1f} s after its deadline", to_seconds(now.wall - command.deadline)));
    return;
  }
  if (auto status = check_limits(options_.limits, command); !status) {
    refuse(status.error().message);
    return;
  }
  if (auto status = check_room(command); !status) {
    refuse(status.error().message);
    return;
  }
  begin(command, now);
}

bool Executor::answer_repeat(const Command& command, Moment now) {
  if (const auto open = open_.find(command.id); open != open_.end()) {
    open->second.term = std::max(open->second.term, command.term);
    if (open->second.latest) {
      Update update = *open->second.latest;
      update.term = open->second.term;
      tell(update, now);
    }
    return true;  // not yet with a worker: its first word is still to come
  }
  if (const auto refused = refused_.find(command.id); refused != refused_.end()) {
    Update update = refused->second;
    update.term = std::max(update.term, command.term);
    tell(update, now);
    return true;
  }
  const auto* entry = log_->find(command.id);
  if (entry == nullptr) return false;
  Update update = *entry->final_update;  // begun and not open is final
  update.term = std::max(update.term, command.term);
  tell(update, now);
  return true;
}

Status Executor::check_room(const Command& command) const {
  if (is_bookkeeping(command) || is_inspection(command)) return {};
  const auto turns = turns_.find(command.vm);
  if (turns != turns_.end() && turns->second.size() >= options_.waiting_per_vm_max) {
    return Error{ErrorCode::kUnavailable,
                 fmt::format("{} commands already wait for this domain", turns->second.size())};
  }
  if (is_migration(command)) {
    const auto count = std::count_if(open_.begin(), open_.end(),
                                     [](const auto& open) { return is_migration(open.second.job.command); });
    if (count >= options_.limits.concurrent_migrations_max) {
      return Error{ErrorCode::kUnavailable, fmt::format("{} migrations leave this host already; its "
                                                        "concurrent_migrations_max is {}",
                                                        count, options_.limits.concurrent_migrations_max)};
    }
  }
  return {};
}

void Executor::begin(const Command& command, Moment now) {
  if (is_inspection(command)) {
    // Changes nothing, so it needs no memory beyond this run.
    Open open{Job{command}, command.term, std::nullopt, {}};
    if (!lanes_.inspect.push(open.job)) {
      tell(word(command, CommandState::kRefused, "too many inspections wait on this host", now), now);
      return;
    }
    open_.emplace(command.id, std::move(open));
    return;
  }
  if (auto status = log_->begin(command, now.wall); !status) {
    tell(word(command, CommandState::kRefused, "this host cannot remember what it begins: " + status.error().message,
              now),
         now);
    return;
  }
  if (std::holds_alternative<Reserve>(command.operation) && command.require_running) {
    // Its condition needs the hypervisor; the room is granted when the worker has found it to hold.
    const Job job{command};
    open_.emplace(command.id, Open{job, command.term, std::nullopt, {}});
    if (!lanes_.inspect.push(job)) {
      end(word(command, CommandState::kRefused, "too many inspections wait on this host", now), now);
    }
    return;
  }
  if (is_bookkeeping(command)) {
    run_here(command, now);
    return;
  }
  open_.emplace(command.id, Open{Job{command}, command.term, std::nullopt, {}});
  auto& turns = turns_[command.vm];
  turns.push_back(command.id);
  if (turns.size() == 1) dispatch(command.vm, now);
}

void Executor::dispatch(const VmId& vm, Moment now) {
  const auto turns = turns_.find(vm);
  if (turns == turns_.end()) return;
  if (turns->second.empty()) {
    turns_.erase(turns);
    return;
  }
  const Job job = open_.at(turns->second.front()).job;
  if ((is_migration(job.command) ? lanes_.migrate : lanes_.reshape).push(job)) return;
  // Ending it hands the turn to the next.
  end(word(job.command, job.adopted ? CommandState::kFailed : CommandState::kRefused,
           job.adopted ? "left unfinished by an earlier run of the agent, which has too much to do to find out more"
                       : "this host has too much to do already",
           now),
      now);
}

void Executor::run_here(const Command& command, Moment now) {
  if (std::holds_alternative<Reserve>(command.operation)) {
    end(reserve(command, now), now);
  } else if (const auto* release = std::get_if<Release>(&command.operation)) {
    reservations_.release(release->reservation);
    tell(word(command, CommandState::kAccepted, "", now), now);
    end(word(command, CommandState::kSucceeded, "", now), now);
  } else {
    settle_abort(command, now);
  }
}

Update Executor::reserve(const Command& command, Moment now) {
  if (now.wall >= command.deadline) return word(command, CommandState::kRefused, "its deadline has passed", now);
  const auto available = memory_available_bytes_();
  if (!available) return word(command, CommandState::kRefused, available.error().message, now);
  const auto& room = std::get<Reserve>(command.operation);
  if (auto status = reservations_.reserve(command.action, room, *available, command.deadline, now.wall); !status) {
    return word(command, CommandState::kRefused, status.error().message, now);
  }
  tell(word(command, CommandState::kAccepted, "", now), now);
  return word(command, CommandState::kSucceeded, "", now);
}

void Executor::settle_abort(const Command& command, Moment now) {
  const ActionId action = std::get<Abort>(command.operation).action;
  for (auto& [id, open] : open_) {
    if (!is_migration(open.job.command) || open.job.command.action != action) continue;
    open.job.abort_requested->store(true);
    open.aborts.push_back(command.id);
    Update accepted = word(command, CommandState::kAccepted, "", now);
    open_[command.id] = Open{Job{command}, command.term, accepted, {}};
    tell(accepted, now);
    return;
  }
  const OutcomeLog::Entry* last = nullptr;
  for (const auto& [id, entry] : log_->entries()) {
    if (is_migration(entry.command) && entry.command.action == action && (!last || entry.order > last->order)) {
      last = &entry;
    }
  }
  if (last == nullptr) {
    end(word(command, CommandState::kRefused, fmt::format("no migration of action {} was begun here", action), now),
        now);
    return;
  }
  tell(word(command, CommandState::kAccepted, "", now), now);
  const bool moved = last->final_update->state == CommandState::kSucceeded;
  end(word(command, moved ? CommandState::kFailed : CommandState::kSucceeded,
           moved ? "the migration had succeeded before it could be aborted" : "the migration had already ended", now),
      now);
}

void Executor::on_job_update(Update update, Moment now) {
  const auto open = open_.find(update.command);
  if (open == open_.end()) return;
  update.term = open->second.term;
  if (update.state == CommandState::kAccepted && std::holds_alternative<Reserve>(open->second.job.command.operation)) {
    Command command = open->second.job.command;
    command.term = update.term;
    Update granted = reserve(command, now);
    granted.observed = update.observed;
    end(std::move(granted), now);
    return;
  }
  if (is_final(update.state)) {
    end(std::move(update), now);
    return;
  }
  open->second.latest = update;
  tell(update, now);
}

/// The end of a command: remembered, told, and the next of the same VM begun.
void Executor::end(Update update, Moment now) {
  if (log_->find(update.command) != nullptr) {
    if (auto status = log_->finish(update, now.wall); !status) {
      log::error("act: the outcome of command {} is not on disk: {}", update.command, status.error().message);
    }
  }
  log::info("act: command {} of action {} {}{}{}", update.command, update.action, to_string(update.state),
            update.message.empty() ? "" : ": ", update.message);
  std::vector<std::uint64_t> aborts;
  if (const auto open = open_.find(update.command); open != open_.end()) {
    aborts = std::move(open->second.aborts);
    open_.erase(open);
  }
  tell(update, now);
  for (const std::uint64_t id : aborts) {
    const auto abort = open_.find(id);
    if (abort == open_.end()) continue;
    const bool moved = update.state == CommandState::kSucceeded;
    Update word_on_abort = word(abort->second.job.command, moved ? CommandState::kFailed : CommandState::kSucceeded,
                                moved ? "the migration succeeded before it could be aborted" : "", now);
    word_on_abort.term = abort->second.term;
    end(std::move(word_on_abort), now);
  }
  const auto turns = turns_.find(update.vm);
  if (turns != turns_.end() && !turns->second.empty() && turns->second.front() == update.command) {
    turns->second.pop_front();
    dispatch(update.vm, now);
  }
}

void Executor::tell(const Update& update, Moment now) {
  // What nobody could hear yet is due at the next tick.
  unacknowledged_[update.command] = {update, leader_peer_ ? now.steady : Timestamp{}};
  if (unacknowledged_.size() > kUnacknowledgedKept) unacknowledged_.erase(unacknowledged_.begin());
  if (leader_peer_) send_(*leader_peer_, update);
}

void Executor::on_acknowledged(std::uint64_t command, CommandState state, Moment now) {
  const auto found = unacknowledged_.find(command);
  if (found != unacknowledged_.end() && found->second.update.state == state) unacknowledged_.erase(found);
  if (is_final(state)) {
    if (auto status = log_->acknowledge(command, now.wall); !status) {
      log::warning("act: an acknowledgement is not on disk: {}", status.error().message);
    }
  }
}

void Executor::on_reconnected(std::size_t peer) {
  if (leader_peer_ != peer) return;
  for (auto& [id, waiting] : unacknowledged_) waiting.sent = Timestamp{};
}

void Executor::on_tick(Moment now) {
  reservations_.expire(now.wall);
  if (!leader_peer_) return;
  for (auto& [id, waiting] : unacknowledged_) {
    if (now.steady - waiting.sent < options_.resend_interval) continue;
    waiting.sent = now.steady;
    send_(*leader_peer_, waiting.update);
  }
}

}  // namespace proteus::act
