#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/cluster_view.h"
#include "controller/drs/executor.h"
#include "controller/ham/decision.h"
#include "controller/ham/policy.h"
#include "controller/store/journal.h"

namespace proteus::controller {

struct PipelineOptions {
  ViewOptions view;
  drs::ExecutorOptions executor;
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

  void on_sample(const Sample& sample, Timestamp received);
  void on_presence(const store::AgentPresence& presence);
  PipelineOutput on_update(const Update& update, Timestamp now);
  /// Errors: kNotFound, kFailedPrecondition.
  Result<PipelineOutput> on_operator(const store::OperatorInput& input, Timestamp now);
  /// One decision cycle.
  PipelineOutput run_cycle(const store::Cycle& cycle, Timestamp now);

  /// Of the last cycle; null before the first.
  std::shared_ptr<const ham::ClusterState> last_state() const { return last_state_; }
  std::shared_ptr<const ham::Decision> last_decision() const { return last_decision_; }
  const ClusterView& view() const { return view_; }
  const drs::Executor& executor() const { return executor_; }
  const ham::Policy& policy() const { return policy_; }
  bool paused() const { return paused_; }

 private:
  PipelineOutput publish(drs::Output output);
  bool worth_journalling(const ham::Decision& decision, bool acted);

  ham::Policy policy_;
  ClusterView view_;
  drs::Executor executor_;
  std::map<HostId, bool> commandable_;
  bool paused_;
  std::string last_journalled_label_;
  Timestamp last_journalled_at_{};
  std::shared_ptr<const ham::ClusterState> last_state_;
  std::shared_ptr<const ham::Decision> last_decision_;
};

}  // namespace proteus::controller
