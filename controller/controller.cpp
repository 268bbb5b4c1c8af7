#include "controller/controller.h"

#include <fmt/core.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <utility>

#include "common/log.h"
#include "common/wire/telemetry_codec.h"
#include "controller/kept_facts.h"
#include "controller/pipeline_options.h"

namespace proteus::controller {
namespace {

// Command ids of a term begin here, so that no two processes of one store ever give the same one.
constexpr int kTermShift = 32;
// Journal entries searched for the last cycle's number; a cycle writes far fewer.
constexpr std::size_t kTailEntries = 10'000;
// What may wait for a full disk; beyond it the process ends, and its successor asks the agents what became of it.
constexpr std::size_t kUnwrittenMax = 100'000;
constexpr std::size_t kActionsShown = 200;
constexpr int kPollMs = 50;
/// Words of agents before people, telemetry and decisions have their turn; each is a synced write.
constexpr int kEventsAtOnce = 8;
constexpr int kForecastPollMs = 5;
// A cycle decides by older forecasts if the newest take longer than this.
constexpr Nanoseconds kForecastWait = std::chrono::milliseconds(50);

/// A cycle's state, with what people have said since.
std::shared_ptr<const ham::ClusterState> with_maintenance(std::shared_ptr<const ham::ClusterState> state,
                                                          const std::vector<HostId>& on) {
  const auto is_on = [&on](const HostId& host) { return std::find(on.begin(), on.end(), host) != on.end(); };
  if (state == nullptr || std::all_of(state->hosts.begin(), state->hosts.end(),
                                      [&](const ham::HostState& host) { return host.maintenance == is_on(host.id); })) {
    return state;
  }
  auto said = std::make_shared<ham::ClusterState>(*state);
  for (ham::HostState& host : said->hosts) host.maintenance = is_on(host.id);
  return said;
}

}  // namespace

Result<std::unique_ptr<Controller>> Controller::create(ControllerOptions options, ham::Policy policy,
                                                       store::Store& store, const Clock& clock, Queues& queues) {
  store::Started started;
  started.version = PROTEUS_VERSION;
  started.controller = options.id;
  started.policy_toml = options.policy_toml;
  started.options_toml = pipeline_options_toml(options.pipeline);
  started.calendar_toml = options.calendar_toml;

  const Result<std::uint64_t> term = take_number(store, kTermKey, 1);
  if (!term) return term.error();
  const Result<std::uint64_t> action = take_number(store, kLastActionKey, 0);
  if (!action) return action.error();
  const auto maintenance = store.get_meta(kMaintenanceKey);
  if (!maintenance) return maintenance.error();
  const auto paused = store.get_meta(kPausedKey);
  if (!paused) return paused.error();
  Result<std::vector<drs::ActionRecord>> open = store.open_actions();
  if (!open) return open.error();

  started.term = *term;
  started.next_action_id = *action;
  started.next_command_id = (started.term << kTermShift) + 1;
  started.maintenance = split_hosts(maintenance->value_or(""));
  started.paused = paused->value_or("") == "yes";
  started.adopted = std::move(*open);
  if (!started.adopted.empty()) {
    log::warning("{} actions were under way when the previous process ended; asking their hosts",
                 started.adopted.size());
  }
  std::unique_ptr<Controller> controller(
      new Controller(std::move(options), std::move(policy), store, clock, queues, std::move(started)));
  const Result<std::vector<store::JournalEntry>> tail = store.journal_tail(kTailEntries);
  if (!tail) return tail.error();
  for (const store::JournalEntry& entry : *tail) {  // newest first
    if (const auto* cycle = std::get_if<store::Cycle>(&entry.payload)) {
      controller->cycle_number_ = cycle->number;
      break;
    }
  }
  if (Status restored = controller->restore_forecasts(); !restored) return restored.error();
  if (Status restored = controller->restore_profile(); !restored) return restored.error();
  if (Status warm = controller->warm_up(); !warm) return warm.error();
  if (Status looked = controller->look_back(); !looked) return looked.error();
  controller->pipeline_->begin(controller->started_);
  if (Status restored = controller->restore_learning(); !restored) return restored.error();
  if (Status written = controller->commit(controller->started_, {}, controller->started_at_); !written) {
    return with_context(written.error(), "journal the beginning");
  }
  for (store::JournalPayload& state : std::exchange(controller->restored_, {})) {
    if (Status written = controller->commit(std::move(state), {}, controller->started_at_); !written) {
      return with_context(written.error(), "journal what was restored");
    }
  }
  if (controller->learned_) {
    if (Status written = controller->commit(*std::exchange(controller->learned_, {}), {}, controller->started_at_);
        !written) {
      return with_context(written.error(), "journal what had been learned");
    }
  }
  controller->publish_snapshot(controller->started_at_, Nanoseconds{0});
  return controller;
}

Controller::Controller(ControllerOptions options, ham::Policy policy, store::Store& store, const Clock& clock,
                       Queues& queues, store::Started started)
    : options_(std::move(options)),
      store_(store),
      clock_(clock),
      queues_(queues),
      started_(std::move(started)),
      pipeline_(std::make_shared<Pipeline>(options_.pipeline, std::move(policy), started_)),
      started_at_(clock.now()),
      run_begun_(started_at_) {
  const auto wake = [this] { wakeup_.notify(); };
  queues_.samples.on_push(wake);
  queues_.events.on_push(wake);
  queues_.requests.on_push(wake);
  pipeline_->on_forecasts_done(wake);
}

Controller::~Controller() = default;

Status Controller::warm_up() {
  const forecast::EngineOptions& engine = options_.pipeline.view.forecast;
  Timestamp from = started_at_ - engine.step * engine.history_steps;
  if (forecasts_restored_) {
    const Result<std::map<HostId, Timestamp>> heard = store_.last_heard();
    if (!heard) return heard.error();
    from = warm_up_from(*forecasts_restored_, from, engine.step, *heard);
  }
  store::Store::Visitor first;
  first.raw = [&](const store::RawMessage& message) {
    if (message.received < from) return true;  // only there for decoding what follows
    started_.warm_from_lsn = message.lsn;
    return false;
  };
  // What is damaged there expires, once there is a controller: the forecasts begin with what can be read.
  const auto unless_damaged = [](const Status& read) -> Status {
    if (read || read.error().code != ErrorCode::kCorrupt) {
      return read ? Status() : with_context(read.error(), "read stored telemetry");
    }
    log::error("forecasts are warmed up from a part of the stored telemetry: {}", read.error().message);
    return {};
  };
  if (Status read = unless_damaged(store_.scan(from, started_at_, first)); !read) return read;
  if (started_.warm_from_lsn == 0) return {};
  started_.warm_in_steps = forecasts_restored_.has_value();
  WarmUp warm_up(*pipeline_, started_.warm_from_lsn, engine.step, started_.warm_in_steps);
  store::Store::Visitor visitor;
  visitor.raw = [&](const store::RawMessage& message) {
    warm_up.take(message.lsn, message.received, message.host, message.bytes);
    return true;
  };
  const std::uint64_t end = std::numeric_limits<std::uint64_t>::max();
  if (Status read = unless_damaged(store_.scan_lsn(started_.warm_from_lsn, end, visitor)); !read) return read;
  frames_through_lsn_ = started_.warm_through_lsn = warm_up.through_lsn();
  if (warm_up.frames_count() > 0) log::info("forecasts warmed up from {} stored frames", warm_up.frames_count());
  return {};
}

void Controller::run(const Surroundings& surroundings) {
  surroundings_ = &surroundings;
  while (!queues_.requests.closed()) {
    pollfd ready{wakeup_.fd(), POLLIN, 0};
    poll(&ready, 1, cycle_begun_ ? kForecastPollMs : kPollMs);
    wakeup_.drain();
    take_events();
    if (!cycle_begun_) {
      take_requests();
      take_samples();
      if (!cycle_due(clock_.now())) continue;
      // Without a journal nothing may be decided, nor a round of forecasting begin that no cycle in it stands for. One
      // that begins to fail from here on has this cycle written later, as one that fails at its end.
      if (journal_failing_ && !flush()) {
        gather_anew(clock_.now());
        publish_snapshot(last_cycle_, Nanoseconds{0});
        continue;
      }
      follow_renewal(clock_.now());
      pipeline_->begin_cycle();
      cycle_begun_ = clock_.now();
    }
    // The forecasts of what has just been taken in are waited for, but not for long.
    const Nanoseconds waited = clock_.now() - *cycle_begun_;
    if (pipeline_->forecasts_behind() > 0 && waited >= Nanoseconds{0} && waited < kForecastWait) continue;
    cycle_begun_.reset();
    run_cycle();
  }
  keep_profile(clock_.now(), true);
  renewal_.reset();
}

void Controller::take_samples() {
  while (std::optional<ingest::Ingested> item = queues_.samples.try_pop()) {
    pipeline_->on_sample(item->sample, item->received);
    item->held.reset();  // what is kept has a limit of its own
    if (keeping_samples_) keep(*item);
    frames_through_lsn_ = std::max(frames_through_lsn_, item->lsn);
    last_reported_[item->host] = item->received;
    reported_since_cycle_[item->host] = item->received;
    if (!first_sample_since_cycle_) first_sample_since_cycle_ = item->received;
  }
}

/// A cycle runs when every host that reports has reported, when the slower ones have been waited for, or when nobody
/// reports and the drs' timers need it. A clock that is set back must not stop it.
bool Controller::cycle_due(Timestamp now) const {
  if (now < last_cycle_) return true;
  if (first_sample_since_cycle_) {
    if (now - *first_sample_since_cycle_ >= options_.gather || now < *first_sample_since_cycle_) return true;
    const auto reporting = std::count_if(last_reported_.begin(), last_reported_.end(), [&](const auto& entry) {
      return now - entry.second <= options_.pipeline.view.staleness;
    });
    return static_cast<std::ptrdiff_t>(reported_since_cycle_.size()) >= reporting;
  }
  return now - last_cycle_ >= options_.cycle + options_.gather;
}

void Controller::gather_anew(Timestamp now) {
  last_cycle_ = now;
  first_sample_since_cycle_.reset();
  reported_since_cycle_.clear();
}

void Controller::run_cycle() {
  const Timestamp now = clock_.now();
  const auto begun = std::chrono::steady_clock::now();
  gather_anew(now);
  store::Cycle cycle;
  cycle.number = ++cycle_number_;
  cycle.seed = cycle.number;
  cycle.frames_through_lsn = frames_through_lsn_;
  cycle.forecasts_behind = pipeline_->forecasts_behind();
  PipelineOutput output = pipeline_->run_cycle(cycle, now);
  if (Status written = commit(cycle, std::move(output), now); !written) {
    log::error("cycle {}: {}; no command is sent", cycle.number, written.error().message);
  }
  keep_learning(now);
  keep_profile(now);
  const auto took = std::chrono::steady_clock::now() - begun;
  publish_snapshot(now, std::chrono::duration_cast<Nanoseconds>(took));
  begin_renewal(now);
}

Status Controller::commit(store::JournalPayload input, PipelineOutput output, Timestamp time) {
  std::uint64_t newest_action = 0;
  unwritten_.push_back({0, time, std::move(input)});
  for (store::JournalPayload& payload : output.journal) {
    if (const auto* action = std::get_if<drs::ActionRecord>(&payload)) newest_action = action->action.id;
    unwritten_.push_back({0, time, std::move(payload)});
  }
  std::move(output.commands.begin(), output.commands.end(), std::back_inserter(unsent_));
  if (newest_action != 0) unwritten_meta_[kLastActionKey] = std::to_string(newest_action);
  return flush();
}

Status Controller::flush() {
  Status written;
  while (!unwritten_meta_.empty()) {
    const auto entry = unwritten_meta_.begin();
    written = store_.put_meta(entry->first, entry->second);
    if (!written) break;
    unwritten_meta_.erase(entry);
  }
  if (written) written = store_.append(unwritten_);
  if (!written) {
    journal_failing_ = true;
    if (unwritten_.size() > kUnwrittenMax) {
      log::error("{} journal entries wait for the disk; ending, the next start resolves what is open",
                 unwritten_.size());
      std::abort();
    }
    return written;
  }
  if (std::exchange(journal_failing_, false)) log::info("the journal can be written again");
  for (const store::JournalEntry& entry : unwritten_) {
    if (const auto* decision = std::get_if<ham::Decision>(&entry.payload)) {
      log::info("decision {}: {}", decision->id, decision->summary);
    }
    if (const auto* step = std::get_if<drs::Transition>(&entry.payload); step != nullptr && step->from != step->to) {
      log::info("action {}: {} -> {}{}{}", step->action, drs::to_string(step->from), drs::to_string(step->to),
                step->message.empty() ? "" : ": ", step->message);
    }
    if (const auto* outcome = std::get_if<ham::learning::Outcome>(&entry.payload)) {
      log::info(
          "action {} turned out to be worth {:.2f}/h, {:.2f}/h had been expected; learning is at revision {} and {}",
          outcome->action, outcome->realised, outcome->note.predicted, outcome->revision,
          outcome->acting ? "acts" : "watches");
    }
  }
  if (!unwritten_.empty()) last_journal_lsn_ = unwritten_.back().lsn;
  unwritten_.clear();
  for (Command& command : unsent_) {
    const std::uint64_t id = command.id;
    if (!surroundings_->link.send(std::move(command)))
      log::warning("command {} not queued; the drs will ask again", id);
  }
  unsent_.clear();
  for (const Update& update : unacknowledged_) surroundings_->link.acknowledge(update);
  unacknowledged_.clear();
  return {};
}

void Controller::take_events() {
  for (int taken = 0; taken < kEventsAtOnce; ++taken) {
    std::optional<ingest::AgentEvent> event = queues_.events.try_pop();
    if (!event) return;
    const Timestamp now = clock_.now();
    Status written;
    if (const auto* presence = std::get_if<store::AgentPresence>(&event->what)) {
      pipeline_->on_presence(*presence);
      log::info("{} {}{}{}", presence->host.value, presence->commandable ? "takes commands" : "takes no commands",
                presence->reason.empty() ? "" : ": ", presence->reason);
      written = commit(*presence, {}, now);
    } else {
      const Update& update = std::get<Update>(event->what);
      if (!pipeline_->executor().awaits(update, now)) {
        pass_over(update);
        continue;
      }
      PipelineOutput output = pipeline_->on_update(update, now);
      unacknowledged_.push_back(update);
      written = commit(update, std::move(output), now);
    }
    if (!written) log::error("an agent's word waits to be journalled: {}", written.error().message);
  }
  wakeup_.notify();  // there may be more
}

/// A repeat, or of a command that is not known: it changes nothing, and a host can say as much of that as it likes.
void Controller::pass_over(const Update& update) {
  ++words_passed_over_count_;
  if (words_passed_over_.is_due(update.host.value)) {
    log::info("{} says of command {} that it is {}, for which nothing waits: not journalled ({} such words so far)",
              update.host.value, update.command, to_string(update.state), words_passed_over_count_);
  }
  // What it repeats may still wait for the disk; the agent says it again.
  if (!journal_failing_) surroundings_->link.acknowledge(update);
}

void Controller::take_requests() {
  while (std::optional<Request> request = queues_.requests.try_pop()) request->run(*pipeline_);
}

void Controller::publish_snapshot(Timestamp cycle_time, Nanoseconds duration) {
  auto made = std::make_shared<api::Snapshot>();
  made->controller = options_.id;
  made->version = PROTEUS_VERSION;
  made->term = started_.term;
  made->started_at = started_at_;
  made->run_begun_at = run_begun_;
  made->cycle_time = cycle_time;
  made->cycle = cycle_number_;
  made->cycle_duration = duration;
  made->paused = pipeline_->paused();
  made->policy = pipeline_->policy().name;
  made->automation = pipeline_->policy().automation;
  made->state = pipeline_->last_state();
  made->decision = pipeline_->last_decision();
  if (made->state == nullptr) {
    // Of a run that was renewed and has not decided yet, as when the journal cannot be written: what was seen last.
    const std::lock_guard lock(snapshot_mutex_);
    if (snapshot_ != nullptr) {
      made->state = snapshot_->state;
      made->decision = snapshot_->decision;
    }
  }
  made->state = with_maintenance(std::move(made->state), pipeline_->view().maintenance());
  const auto& actions = pipeline_->executor().actions();
  std::size_t ended_left = kActionsShown;
  for (auto action = actions.rbegin(); action != actions.rend(); ++action) {
    if (drs::is_final(action->second.state)) {
      if (ended_left == 0) continue;
      --ended_left;
    }
    made->actions.push_back(action->second);
  }
  for (auto action = ended_before_.rbegin(); action != ended_before_.rend() && ended_left > 0; ++action, --ended_left) {
    if (!actions.contains(action->action.id)) made->actions.push_back(*action);
  }
  std::sort(made->actions.begin(), made->actions.end(),
            [](const drs::ActionRecord& a, const drs::ActionRecord& b) { return a.action.id < b.action.id; });
  made->run_queue_latency = pipeline_->view().run_queue_latency();
  if (pipeline_->learning() != nullptr) made->learning = pipeline_->learning()->report();
  made->renewal_problem = renewal_problem_;
  made->kept_samples_bytes = kept_samples_bytes_;
  made->words_passed_over_count = words_passed_over_count_;
  made->forecasts_behind = pipeline_->forecasts_behind();
  made->forecasts_shed_count = shed_before_ + pipeline_->view().forecasts().shed_count();
  if (surroundings_ != nullptr) {
    const ingest::IngestStatus status = surroundings_->ingest_status();
    made->frames_count = status.frames;
    made->repeats_count = status.repeats;
    made->refused_count = status.refused;
    made->left_to_agents_count = status.discarded;
    if (surroundings_->words_dropped_count) made->words_dropped_count = surroundings_->words_dropped_count();
    made->refused_keys_count = surroundings_->refused_keys_count();
    if (surroundings_->surplus_connections_count) {
      made->surplus_connections_count = surroundings_->surplus_connections_count();
    }
    made->over_limit_count = status.over_limit;
    made->over_limit_last = status.over_limit_last;
    made->ingest_problem = status.store_error;
  }
  if (journal_failing_ && made->ingest_problem.empty())
    made->ingest_problem = "the journal cannot be written; nothing is decided";
  made->store = store_.figures();
  const std::lock_guard lock(snapshot_mutex_);
  snapshot_ = std::move(made);
}

std::shared_ptr<const api::Snapshot> Controller::snapshot() const {
  const std::lock_guard lock(snapshot_mutex_);
  return snapshot_;
}

}  // namespace proteus::controller
