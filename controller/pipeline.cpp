#include "controller/pipeline.h"

#include <algorithm>
#include <set>
#include <utility>

namespace proteus::controller {
namespace {

// A decision that changes nothing and says nothing new is journalled this often, as a sign of life.
constexpr Nanoseconds kQuietJournalInterval = std::chrono::minutes(1);
// Forecasting that lags by so many cycles gets no more to do until it has caught up.
constexpr std::uint32_t kForecastsBehindMax = 120;

}  // namespace

Pipeline::Pipeline(PipelineOptions options, ham::Policy policy, const store::Started& started)
    : policy_(std::move(policy)),
      executor_options_(options.executor),
      view_(options.view),
      executor_(options.executor, started.term, started.next_action_id, started.next_command_id),
      paused_(started.paused) {
  if (options.learning) learning_.emplace().explore(options.explore);
  take_up(started);
}

void Pipeline::take_up(const store::Started& started) {
  paused_ = started.paused;
  for (const HostId& host : started.maintenance) view_.set_maintenance(host, true);
  executor_.adopt(started.adopted);
}

void Pipeline::begin(const store::Started& started) {
  executor_ = drs::Executor(executor_options_, started.term, started.next_action_id, started.next_command_id);
  take_up(started);
  view_.restore_ended(started.ended);
  view_.restore_missing(started.missing);
  emptying_ = started.emptying;
  for (const HostId& host : started.commandable) on_presence({host, true, ""});
}

std::vector<HostId> Pipeline::commandable() const {
  std::vector<HostId> hosts;
  for (const auto& [host, takes] : commandable_) {
    if (takes) hosts.push_back(host);
  }
  return hosts;
}

void Pipeline::on_sample(const Sample& sample, Timestamp received) {
  view_.on_sample(sample, received);
}

void Pipeline::on_presence(const store::AgentPresence& presence) {
  commandable_[presence.host] = presence.commandable;
  view_.on_presence(presence.host, presence.commandable);
}

PipelineOutput Pipeline::publish(drs::Output output) {
  PipelineOutput out;
  for (const drs::ActionRecord& record : output.new_actions) {
    if (learning_ && last_state_) learning_->began(record.action, record.decision, *last_state_);
  }
  for (drs::ActionRecord& action : output.new_actions) out.journal.emplace_back(std::move(action));
  for (drs::Transition& transition : output.transitions) {
    const auto found = executor_.actions().find(transition.action);
    if (found != executor_.actions().end()) learn_of(found->second, transition);
    if (drs::is_final(transition.to)) {
      // What never reached an agent has not disturbed the VM, so it starts no cooldown.
      if (found != executor_.actions().end() && found->second.executed_at) {
        view_.on_action_end(found->second.action, transition.time, transition.to == drs::ActionState::kVerified);
      }
    }
    out.journal.emplace_back(std::move(transition));
  }
  for (const Command& command : output.commands) out.journal.emplace_back(command);
  out.commands = std::move(output.commands);
  return out;
}

void Pipeline::learn_of(const drs::ActionRecord& record, const drs::Transition& transition) {
  if (!learning_ || transition.from == transition.to) return;
  if (transition.to == drs::ActionState::kSent) learning_->sent(record.action, record.decision, transition.time);
  if (drs::is_final(transition.to)) {
    learning_->ended(record.action.id, transition.to == drs::ActionState::kVerified, transition.time, record.progress);
  }
}

Status Pipeline::on_learned(const store::LearningState& state) {
  if (!learning_) return {};
  if (Status restored = learning_->restore(state.bytes); !restored) return restored;
  // What ended while nobody looked will never be told.
  std::set<ActionId> open;
  for (const auto& [id, record] : executor_.actions()) {
    if (!drs::is_final(record.state)) open.insert(id);
  }
  learning_->keep_open(open);
  return {};
}

Status Pipeline::on_profile(const store::ProfileState& state, Timestamp now) {
  Result<profile::SavedProfile> saved = profile::decode(state.records);
  if (!saved) return saved.error();
  view_.restore_profile(std::move(*saved), now);
  return {};
}

PipelineOutput Pipeline::on_update(const Update& update, Timestamp now) {
  return publish(executor_.on_update(update, now));
}

Result<PipelineOutput> Pipeline::on_operator(const store::OperatorInput& input, Timestamp now) {
  using Kind = store::OperatorInput::Kind;
  switch (input.kind) {
    case Kind::kApprove: {
      Result<drs::Output> output = executor_.approve(input.action, now);
      if (!output) return output.error();
      return publish(std::move(*output));
    }
    case Kind::kReject: {
      Result<drs::Output> output = executor_.reject(input.action, now, input.by);
      if (!output) return output.error();
      return publish(std::move(*output));
    }
    case Kind::kMaintenanceOn:
    case Kind::kMaintenanceOff:
      view_.set_maintenance(input.host, input.kind == Kind::kMaintenanceOn);
      return PipelineOutput{};
    case Kind::kPause: paused_ = true; return publish(executor_.stop_all(now));
    case Kind::kResume: paused_ = false; return PipelineOutput{};
  }
  return Error{ErrorCode::kInvalidArgument, "unknown operator input"};
}

bool Pipeline::worth_journalling(const ham::Decision& decision, bool acted) {
  // Level observe scores and says nothing: neither what it would do, nor that it does nothing.
  const auto& actions = decision.chosen.actions;
  const bool told = actions.empty() ? policy_.automation > ham::Automation::kObserve
                                    : std::any_of(actions.begin(), actions.end(), [](const ham::Action& action) {
                                        return action.automation > ham::Automation::kObserve;
                                      });
  const bool held = std::any_of(decision.learning.held.begin(), decision.learning.held.end(),
                                [](const ham::Held& action) { return action.examined; });
  const bool news = acted || held ||
                    (told && (decision.chosen.label != last_journalled_label_ ||
                              decision.time - last_journalled_at_ >= kQuietJournalInterval));
  if (!news) return false;
  last_journalled_label_ = decision.chosen.label;
  last_journalled_at_ = decision.time;
  return true;
}

Status Pipeline::on_signal(const forecast::SignalPush& push) {
  if (Status room = view_.forecasts().admit(push); !room) return room;
  signals_.push_back(push);
  return {};
}

void Pipeline::on_restored(const store::ForecastState& state, Timestamp now) {
  forecast::EnginePool& forecasts = view_.forecasts();
  for (const forecast::SignalPush& push : state.signals) {
    if (forecasts.admit(push)) forecasts.push(push);
  }
  for (const forecast::SeriesState& series : state.series) {
    forecasts.restore(series);
    view_.expect(series.key.vm, now);
  }
  forecasts.begin_round();
  forecasts.catch_up();
}

void Pipeline::begin_cycle() {
  if (std::exchange(cycle_begun_, true)) return;
  // Behind the samples, wherever between them they came: replay takes in the samples of a cycle together.
  for (const forecast::SignalPush& push : signals_) view_.forecasts().push(push);
  signals_.clear();
  view_.forecasts().begin_round();
}

std::uint32_t Pipeline::forecasts_behind() const {
  const forecast::EnginePool& forecasts = view_.forecasts();
  return static_cast<std::uint32_t>(forecasts.rounds_begun() - forecasts.rounds_done());
}

PipelineOutput Pipeline::run_cycle(const store::Cycle& cycle, Timestamp now) {
  begin_cycle();
  cycle_begun_ = false;
  forecast::EnginePool& forecasts = view_.forecasts();
  forecasts.take(forecasts.rounds_begun() - std::min<std::uint64_t>(cycle.forecasts_behind, forecasts.rounds_begun()));
  forecasts.shed(cycle.forecasts_behind >= kForecastsBehindMax);
  const auto reachable = [this](const HostId& host) {
    const auto found = commandable_.find(host);
    return found != commandable_.end() && found->second;
  };
  PipelineOutput out = publish(executor_.on_tick(now, reachable));

  std::vector<ham::InFlight> in_flight = executor_.in_flight();
  for (const ham::InFlight& flight : in_flight) {
    if (!flight.target || flight.awaiting_approval) continue;
    view_.on_migrating(flight.source, now);
    view_.on_migrating(*flight.target, now);
  }
  std::shared_ptr<ham::ClusterState> state = view_.state(now);
  state->in_flight = std::move(in_flight);
  state->paused = paused_;
  state->migration_time_max = executor_options_.migrate_deadline;
  for (ham::HostState& host : state->hosts) {
    host.emptying = std::find(emptying_.begin(), emptying_.end(), host.id) != emptying_.end();
  }
  last_state_ = state;
  if (learning_) {
    for (ham::learning::Outcome& outcome : learning_->observe(*state, policy_)) {
      out.journal.emplace_back(std::move(outcome));
    }
  }
  auto decision = std::make_shared<ham::Decision>(ham::decide(*state, policy_, cycle.seed, learning(), &memory_));
  decision->id = cycle.number;
  if (learning_) learning_->on_decision(*decision);

  std::vector<ham::Action> permitted;
  for (const ham::Action& action : decision->chosen.actions) {
    if (action.automation >= ham::Automation::kApprove) permitted.push_back(action);
  }
  const bool acted = !permitted.empty();
  if (worth_journalling(*decision, acted)) out.journal.emplace_back(*decision);
  if (acted) {
    // The oldest of the frames that speak of the actions' hosts: what the decision knew of them is no newer.
    Timestamp trigger = now;
    for (const ham::Action& action : permitted) trigger = std::min(trigger, view_.last_frame_time(action.host));
    PipelineOutput taken = publish(executor_.take(cycle.number, trigger, std::move(permitted), now));
    std::move(taken.journal.begin(), taken.journal.end(), std::back_inserter(out.journal));
    std::move(taken.commands.begin(), taken.commands.end(), std::back_inserter(out.commands));
  }
  emptying_ = decision->emptying;
  last_decision_ = std::move(decision);
  return out;
}

}  // namespace proteus::controller
