#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controller/cluster_view.h"
#include "controller/drs/executor.h"
#include "controller/ham/decision.h"
#include "controller/ham/learning/agent.h"
#include "controller/ham/policy.h"
#include "controller/ham/score/memory.h"
#include "controller/store/journal.h"

namespace proteus::controller {

struct PipelineOptions {
  std::string recorded_networks;  ///< id of the networks that a recording was made with; empty: not a recording
  ViewOptions view;
  drs::ExecutorOptions executor;
  bool learning = true;  ///< what actions turn out to be worth is learned, and acts where it is proven better
  bool explore = false;  ///< learning draws among choices that the score holds equal
};

/// What one input caused: entries to be journalled durably, in order, and only then commands to be sent.
struct PipelineOutput {
  std::vector<store::JournalPayload> journal;
  std::vector<Command> commands;
};

/// Telemetry and the world's words in, decisions and commands out: ClusterView → ham::decide → drs::Executor.
/// Deterministic: it has no clock, no socket and no store, so the controller and `replay` run the same
/// object; the same inputs give the same outputs, byte for byte. Thread: owned by one.
class Pipeline {
 public:
  /// started: the journal entry that describes this run's beginning; its adopted actions are taken up.
  Pipeline(PipelineOptions options, ham::Policy policy, const store::Started& started);

  /// The run begins, with all that `started` says of the run before; once what was restored and read again has been
  /// taken in, before anything else. Needed if that run left more than actions, or if this object was made before
  /// `started` was known.
  void begin(const store::Started& started);

  void on_sample(const Sample& sample, Timestamp received);
  void on_presence(const store::AgentPresence& presence);
  PipelineOutput on_update(const Update& update, Timestamp now);
  /// Values of an external signal. They count from the next cycle on. Errors: kFailedPrecondition if there is no room.
  Status on_signal(const forecast::SignalPush& push);
  /// A series as an earlier run left it; before the first sample.
  void on_restored(const store::ForecastState& state, Timestamp now);
  /// What an earlier run has learned of hosts; before the first sample. Errors: kCorrupt, kUnsupported; then nothing of
  /// it counts.
  Status on_profile(const store::ProfileState& state, Timestamp now);
  /// What an earlier run has learned of actions; before the first cycle. Nothing happens if learning is off. Errors:
  /// kCorrupt, kUnsupported; then it begins from nothing.
  Status on_learned(const store::LearningState& state);
  /// Hands what has been taken in to the forecasting threads. Done by run_cycle(), if it has not been done since the
  /// last; nothing is to be taken in between the two.
  void begin_cycle();
  /// Between samples that are read again: a round of forecasting begins.
  void begin_round() { view_.forecasts().begin_round(); }
  /// Rounds of forecasting that have not been worked off.
  std::uint32_t forecasts_behind() const;
  /// Called by a forecasting thread after each round; set it before the first.
  void on_forecasts_done(std::function<void()> notify) { view_.forecasts().on_round_done(std::move(notify)); }
  /// Waits for the forecasting threads, if they are far behind: for taking in faster than in real time.
  void catch_up() { view_.forecasts().catch_up(); }
  /// Errors: kNotFound, kFailedPrecondition.
  Result<PipelineOutput> on_operator(const store::OperatorInput& input, Timestamp now);
  /// One decision cycle, with the forecasts of all rounds but the newest cycle.forecasts_behind; waits for those.
  PipelineOutput run_cycle(const store::Cycle& cycle, Timestamp now);

  /// Of the last cycle; null before the first.
  std::shared_ptr<const ham::ClusterState> last_state() const { return last_state_; }
  std::shared_ptr<const ham::Decision> last_decision() const { return last_decision_; }
  const ClusterView& view() const { return view_; }
  const drs::Executor& executor() const { return executor_; }
  const ham::Policy& policy() const { return policy_; }
  bool paused() const { return paused_; }
  /// Hosts that the last decision is emptying.
  const std::vector<HostId>& emptying() const { return emptying_; }
  /// Hosts whose agents take commands, sorted.
  std::vector<HostId> commandable() const;
  /// Counts on where the former pipeline of the same process stops. No decision depends on it.
  void count_on_from(const Pipeline& before) { view_.take_run_queue_latency(before.view_); }
  /// null: learning is off.
  const ham::learning::Agent* learning() const { return learning_ ? &*learning_ : nullptr; }

 private:
  PipelineOutput publish(drs::Output output);
  void learn_of(const drs::ActionRecord& record, const drs::Transition& transition);
  bool worth_journalling(const ham::Decision& decision, bool acted);

  void take_up(const store::Started& started);

  ham::Policy policy_;
  drs::ExecutorOptions executor_options_;
  ClusterView view_;
  drs::Executor executor_;
  std::optional<ham::learning::Agent> learning_;
  ham::Memory memory_;
  std::map<HostId, bool> commandable_;
  std::vector<forecast::SignalPush> signals_;  // taken in, not handed over yet
  bool cycle_begun_ = false;
  bool paused_;
  std::string last_journalled_label_;
  Timestamp last_journalled_at_{};
  std::shared_ptr<const ham::ClusterState> last_state_;
  std::shared_ptr<const ham::Decision> last_decision_;
  std::vector<HostId> emptying_;  // hosts that the last decision is emptying
};

}  // namespace proteus::controller
