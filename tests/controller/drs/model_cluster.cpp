#include "model_cluster.h"

#include "controller/drs/reshape_value.h"

namespace proteus::drs {

const Copy* ModelHypervisors::find(const HostId& host, const VmId& vm) const {
  const auto on = hosts.find(host);
  if (on == hosts.end()) return nullptr;
  const auto copy = on->second.find(vm);
  return copy == on->second.end() ? nullptr : &copy->second;
}

Copy* ModelHypervisors::find(const HostId& host, const VmId& vm) {
  return const_cast<Copy*>(std::as_const(*this).find(host, vm));
}

bool ModelHypervisors::migrate(const HostId& source, const VmId& vm, const HostId& target, ActionId action, Dice& dice,
                               Timestamp now, std::function<void(bool)> done) {
  if (jobs.contains(vm) || find(source, vm) == nullptr || find(target, vm) != nullptr) return false;
  Job job;
  job.vm = vm;
  job.source = source;
  job.target = target;
  job.action = action;
  job.prepare = now + dice.milliseconds(0, 900);
  job.end = job.prepare + (dice.chance(0.2) ? dice.milliseconds(10000, 90000) : dice.milliseconds(300, 8000));
  job.next = job.end;
  job.fails = dice.chance(0.2);
  job.done = std::move(done);
  jobs.emplace(vm, std::move(job));
  return true;
}

void ModelHypervisors::abort(const VmId& vm, Timestamp now) {
  const auto job = jobs.find(vm);
  if (job == jobs.end() || job->second.phase != Job::Phase::kTransfer) return;
  job->second.fails = true;
  job->second.next = now;
}

void ModelHypervisors::destroy(const VmId& vm) {
  destroyed[vm] = true;
  for (auto& [host, copies] : hosts) copies.erase(vm);
  if (const auto job = jobs.find(vm); job != jobs.end()) {
    const auto done = job->second.done;
    jobs.erase(job);
    done(false);
  }
}

void ModelHypervisors::advance(Timestamp now) {
  for (auto it = jobs.begin(); it != jobs.end();) {
    Job& job = it->second;
    bool over = false;
    if (job.phase == Job::Phase::kTransfer && now >= job.prepare && find(job.target, job.vm) == nullptr) {
      Copy incoming = *find(job.source, job.vm);
      incoming.running = false;
      hosts[job.target][job.vm] = incoming;
    }
    if (now >= job.next) {
      switch (job.phase) {
        case Job::Phase::kTransfer:
          if (job.fails) {
            job.phase = Job::Phase::kCleanTarget;
            job.done(false);
            job.next = now + std::chrono::milliseconds(job.action % 2 == 0 ? 0 : 1500);
          } else {
            find(job.source, job.vm)->running = false;
            job.phase = Job::Phase::kSwitch;
            job.next = now + std::chrono::milliseconds(200);
          }
          break;
        case Job::Phase::kSwitch:
          // What was set at the source until now has moved with the VM.
          hosts[job.target][job.vm] = *find(job.source, job.vm);
          hosts[job.target][job.vm].running = true;
          job.phase = Job::Phase::kCleanSource;
          job.next = now + std::chrono::milliseconds(300);
          break;
        case Job::Phase::kCleanSource:
          hosts[job.source].erase(job.vm);
          job.done(true);
          over = true;
          break;
        case Job::Phase::kCleanTarget:
          hosts[job.target].erase(job.vm);
          over = true;
          break;
      }
    }
    it = over ? jobs.erase(it) : std::next(it);
  }
}

int ModelHypervisors::running_count(const VmId& vm) const {
  int count = 0;
  for (const auto& [host, copies] : hosts) {
    const Copy* copy = find(host, vm);
    if (copy != nullptr && copy->running) ++count;
  }
  return count;
}

int ModelHypervisors::active_count(const VmId& vm) const {
  int count = 0;
  for (const auto& [host, copies] : hosts) {
    if (find(host, vm) != nullptr) ++count;
  }
  return count;
}

void ModelAgent::say(const Command& command, CommandState state, std::string message, Timestamp now, bool observe) {
  Update update;
  update.command = command.id;
  update.action = command.action;
  update.term = term_;
  update.host = host_;
  update.vm = command.vm;
  update.state = state;
  update.time = now;
  update.message = std::move(message);
  if (std::holds_alternative<Migrate>(command.operation)) update.migration = MigrationProgress{};
  if (observe) {
    DomainObservation seen;
    if (const Copy* copy = hypervisors_.find(host_, command.vm)) {
      seen = copy->values;
      seen.defined_active = true;
      seen.running = copy->running;
    }
    update.observed = seen;
  }
  known_[command.id] = update;
  outbox.push_back(update);
}

std::string ModelAgent::obstacle(const Command& command, Timestamp now) const {
  if (command.host != host_) return "another host's command";
  if (command.term < term_) return "old term";
  if (command.deadline <= now) return "deadline has passed";
  if (!keeps_ids_ && command.issued < started_at_) return "issued before this agent started";
  const Copy* copy = hypervisors_.find(host_, command.vm);
  if (command.require_running && *command.require_running != (copy != nullptr)) {
    return copy == nullptr ? "domain is not active here" : "domain is active here";
  }
  if (command.require_value &&
      !same_value(command.operation, *command.require_value, observed_value(command.operation, copy->values))) {
    return "the value is another than required";
  }
  return "";
}

void ModelAgent::on_command(const Command& command, Timestamp now) {
  if (const auto known = known_.find(command.id); known != known_.end()) {
    term_ = std::max(term_, command.term);
    known->second.term = term_;
    outbox.push_back(known->second);
    return;
  }
  const std::string why_not = obstacle(command, now);
  term_ = std::max(term_, command.term);
  if (!why_not.empty()) return say(command, CommandState::kRefused, why_not, now);
  execute(command, now);
}

void ModelAgent::execute(const Command& command, Timestamp now) {
  if (std::holds_alternative<Inspect>(command.operation)) {
    say(command, CommandState::kAccepted, "", now);
    if (dice_.chance(0.03)) return say(command, CommandState::kFailed, "hypervisor does not answer", now);
    return say(command, CommandState::kSucceeded, "", now, true);
  }
  if (std::holds_alternative<Reserve>(command.operation)) {
    if (dice_.chance(0.1)) return say(command, CommandState::kRefused, "no room", now);
    if (!started_.insert(command.id).second) ++started_twice;
    reservations_[command.action] = command.deadline;
    say(command, CommandState::kAccepted, "", now);
    return say(command, CommandState::kSucceeded, "", now);
  }
  if (const auto* release = std::get_if<Release>(&command.operation)) {
    reservations_.erase(release->reservation);
    return say(command, CommandState::kSucceeded, "", now);
  }
  if (std::holds_alternative<Abort>(command.operation)) {
    // A restarted agent does not know the action any more, but it can stop the domain's job.
    hypervisors_.abort(command.vm, now);
    return say(command, CommandState::kSucceeded, "", now);
  }

  if (!started_.insert(command.id).second) ++started_twice;
  const bool job = hypervisors_.jobs.contains(command.vm);
  bool reshaping = false;
  for (const auto& [id, work] : reshapes_) reshaping = reshaping || work.command.vm == command.vm;
  if (job || reshaping) overlaps.push_back(command.vm.value);

  say(command, CommandState::kAccepted, "", now);
  Work work{command, now + dice_.milliseconds(0, 1500), std::nullopt};
  if (const auto* migrate = std::get_if<Migrate>(&command.operation)) {
    const bool begun = hypervisors_.migrate(host_, command.vm, migrate->target, command.action, dice_, now,
                                            [this, command, life = life_](bool moved) {
                                              const auto mine = migrations_.find(command.id);
                                              if (life == life_ && mine != migrations_.end())
                                                mine->second.moved = moved;
                                            });
    if (!begun) return say(command, CommandState::kFailed, "hypervisor refuses to migrate", now);
    migrations_[command.id] = work;
  } else {
    reshapes_[command.id] = work;
  }
}

void ModelAgent::set(const Command& command, std::int64_t value) {
  Copy* copy = hypervisors_.find(host_, command.vm);
  if (copy == nullptr) return;
  DomainObservation& values = copy->values;
  if (const auto* quota = std::get_if<SetCpuQuota>(&command.operation)) {
    values.cpu_quota_us = value;
    values.cpu_period_us = quota->period_us;
  }
  if (std::holds_alternative<SetCpuShares>(command.operation)) values.cpu_shares = value;
  if (std::holds_alternative<SetVcpus>(command.operation)) values.vcpus = static_cast<std::int32_t>(value);
  if (std::holds_alternative<SetMemory>(command.operation)) values.memory_bytes = value;
}

void ModelAgent::finish_reshape(const Command& command, Timestamp now) {
  const Copy* copy = hypervisors_.find(host_, command.vm);
  if (copy == nullptr) return say(command, CommandState::kFailed, "domain vanished", now, true);
  const std::int64_t wanted = *value_of(command.operation);
  if (dice_.chance(0.1)) {
    if (dice_.chance(0.5)) set(command, (wanted + observed_value(command.operation, copy->values)) / 2);
    return say(command, CommandState::kFailed, "guest did not follow", now, true);
  }
  set(command, wanted);
  say(command, CommandState::kSucceeded, "", now, true);
}

void ModelAgent::advance(Timestamp now) {
  std::erase_if(reservations_, [&](const auto& held) { return held.second <= now; });
  for (auto it = reshapes_.begin(); it != reshapes_.end();) {
    if (it->second.due > now) {
      ++it;
      continue;
    }
    const Command command = it->second.command;
    it = reshapes_.erase(it);
    finish_reshape(command, now);
  }
  for (auto it = migrations_.begin(); it != migrations_.end();) {
    Work& work = it->second;
    if (work.moved) {
      const CommandState end = *work.moved ? CommandState::kSucceeded : CommandState::kFailed;
      say(work.command, end, *work.moved ? "" : "migration failed", now);
      it = migrations_.erase(it);
      continue;
    }
    if (now >= work.command.deadline) hypervisors_.abort(work.command.vm, now);
    if (now >= work.due) {
      work.due = now + std::chrono::seconds(1);
      say(work.command, CommandState::kRunning, "", now);
    }
    ++it;
  }
}

void ModelAgent::restart(Timestamp now) {
  ++life_;
  started_at_ = now;
  term_ = 0;
  outbox.clear();
  // The hypervisor finishes what it was told, or does half of it, or has not heard of it yet.
  for (const auto& [id, work] : reshapes_) {
    const Copy* copy = hypervisors_.find(host_, work.command.vm);
    if (copy == nullptr || dice_.chance(0.4)) continue;
    const std::int64_t wanted = *value_of(work.command.operation);
    set(work.command, dice_.chance(0.5) ? wanted : (wanted + observed_value(work.command.operation, copy->values)) / 2);
  }
  if (keeps_ids_) {
    for (auto& [id, update] : known_) {
      if (!is_final(update.state)) {
        update.state = CommandState::kFailed;
        update.message = "agent restarted";
      }
      term_ = std::max(term_, update.term);
    }
  } else {
    known_.clear();
    reservations_.clear();
  }
  reshapes_.clear();
  migrations_.clear();
}

}  // namespace proteus::drs
