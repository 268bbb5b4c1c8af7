#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <variant>

#include "common/clock.h"
#include "common/queue.h"
#include "common/wire/log_interval.h"
#include "common/wire/wakeup.h"
#include "controller/api/backend.h"
#include "controller/ingest/agent_link.h"
#include "controller/ingest/ingest.h"
#include "controller/pipeline.h"
#include "controller/renewal.h"
#include "controller/store/store.h"

namespace proteus::controller {

/// A question of the API's, answered on the pipeline's thread between two inputs.
struct Request {
  std::function<void(Pipeline&)> run;
};

/// The arrows into the pipeline. Capacities are several seconds of a large cluster's traffic.
struct Queues {
  Queue<ingest::Ingested> samples{65'536, WhenFull::kRefuse};   // ingest -> pipeline; refused ones wait at ingest
  Queue<ingest::AgentEvent> events{16'384, WhenFull::kRefuse};  // command -> pipeline; refused ones wait at command
  Queue<Request> requests{256, WhenFull::kRefuse};              // api -> pipeline; refused: status 503
};

struct ControllerOptions {
  std::string id;
  std::string policy_toml;    ///< as read, for the journal
  std::string calendar_toml;  ///< likewise; empty: none
  PipelineOptions pipeline;
  Nanoseconds cycle = std::chrono::seconds(1);          ///< at most this between two cycles
  Nanoseconds gather = std::chrono::milliseconds(250);  ///< a cycle waits this long for the slower hosts' frames
  Nanoseconds forecast_save_interval =
      std::chrono::minutes(15);  ///< in which each shard of the forecasts is stored once
  std::string learned = {};      ///< what to begin with if the store holds nothing: ham::learning::Agent::save()
  /// How long the store keeps telemetry: a run older than a quarter of that is renewed, so that there is always a
  /// beginning of which all is kept. Less than six steps of the forecasts: runs are not renewed.
  Nanoseconds raw_retention{};
  /// Memory of the samples that are kept while the next run catches up; a renewal that needs more is given up, and
  /// tried again later.
  std::size_t kept_samples_bytes_max = std::size_t{2} << 30;
};

/// Feeds the pipeline from the queues and the clock, journals what it takes in and puts out, and sends its commands.
/// Invariant: an input and its consequences are one synced write; no command leaves before that write is durable.
/// An agent's word that no action waits for is no input: it is acknowledged and counted.
/// If the journal cannot be written, nothing is sent and nothing is decided until it can.
/// A replay can only begin where a run does, with the telemetry that the run read again then. So that there is such a
/// beginning however long the process is up, its run is renewed now and then: the next run's pipeline is made beside
/// the one that decides (renewal.h), and takes over between two cycles.
/// Thread: run() is the pipeline's thread; Backend's methods from any.
class Controller final : public api::Backend {
 public:
  /// Reads what the previous process left, takes the next term, journals the beginning.
  /// Errors: the store's.
  static Result<std::unique_ptr<Controller>> create(ControllerOptions options, ham::Policy policy, store::Store& store,
                                                    const Clock& clock, Queues& queues);
  ~Controller() override;

  Term term() const { return started_.term; }
  /// Where commands go, and the figures of other threads for the snapshot.
  struct Surroundings {
    ingest::CommandLink& link;
    std::function<ingest::IngestStatus()> ingest_status;
    std::function<std::uint64_t()> refused_keys_count;
    std::function<std::uint64_t()> surplus_connections_count = {};
    std::function<std::uint64_t()> words_dropped_count = {};
  };
  /// Until the queue of requests is closed.
  void run(const Surroundings& surroundings);
  /// Stores what of the forecasts' state is due, all of it if `all`, and what has been learned since the last time.
  /// What has been learned of hosts is as old as the forecasts' oldest, but complete once run() has returned. Call it
  /// every minute or so, from one thread other than the pipeline's. Errors: the store's.
  Status save_forecasts(Timestamp now, bool all = false);

  std::shared_ptr<const api::Snapshot> snapshot() const override;
  Status submit(const store::OperatorInput& input) override;
  Status push(const forecast::SignalPush& push, const std::string& vm_name_or_uuid, const std::string& by) override;
  Result<api::SeriesOutlook> outlook(const std::string& vm_name_or_uuid, forecast::Resource resource) override;
  Result<std::vector<api::AccuracyReport>> accuracy(const std::string& vm_name_or_uuid) override;
  Nanoseconds forecast_step() const override { return options_.pipeline.view.forecast.step; }
  const store::Store& store() const override { return store_; }

 private:
  Controller(ControllerOptions options, ham::Policy policy, store::Store& store, const Clock& clock, Queues& queues,
             store::Started started);

  Status warm_up();
  /// What ended not long ago, and which hosts were being emptied, as the journal says.
  Status look_back();
  Status restore_forecasts();
  Status restore_profile();
  Status restore_learning();
  /// Stores what keep_learning() and keep_profile() have left.
  Status save_kept();
  /// What is to be stored next, if it differs from what was.
  void keep_learning(Timestamp now);
  /// What is to be stored next, if it is time for that.
  void keep_profile(Timestamp now, bool all = false);
  /// The VM that a person names, and its name. Errors: kNotFound.
  static Result<std::pair<VmId, std::string>> resolve(Pipeline& pipeline, const std::string& vm_name_or_uuid);
  void take_events();
  void pass_over(const Update& update);
  void take_requests();
  void take_samples();
  bool cycle_due(Timestamp now) const;
  /// The cycle that is due, or what stands for it, is of `now`: what comes is gathered for the next.
  void gather_anew(Timestamp now);
  void run_cycle();
  /// Begins a renewal, if it is time for one. After a cycle, when all signals have been handed over.
  void begin_renewal(Timestamp now);
  /// Gives the renewal what it waits for, and takes what it has made if this is a good moment. Between two cycles.
  void follow_renewal(Timestamp now);
  bool calm(Timestamp now) const;
  void take_over(Renewal::Made made, Timestamp now);
  void end_renewal();
  void keep(const ingest::Ingested& item);
  /// The pipeline for a thread other than its own: its forecasts are any thread's.
  std::shared_ptr<const Pipeline> any_pipeline() const;
  /// The input and what it caused, in one synced write, then the commands. What cannot be written waits, in order, and
  /// its commands with it.
  Status commit(store::JournalPayload input, PipelineOutput output, Timestamp time);
  Status flush();
  void publish_snapshot(Timestamp cycle_time, Nanoseconds duration);

  /// Runs `question` on the pipeline's thread and waits for its answer.
  template <typename T>
  Result<T> ask(std::function<Result<T>(Pipeline&)> question);

  const ControllerOptions options_;
  store::Store& store_;
  const Clock& clock_;
  Queues& queues_;
  wire::Wakeup wakeup_;

  // The pipeline's thread only.
  const Surroundings* surroundings_ = nullptr;  // null before run(): nothing is sent yet
  store::Started started_;
  std::shared_ptr<Pipeline> pipeline_;  // changed under pipeline_mutex_
  Timestamp started_at_;
  Timestamp run_begun_;  // by the process, or the last renewal
  std::unique_ptr<Renewal> renewal_;
  Timestamp renewal_begun_{};
  std::uint64_t renewal_from_lsn_ = 0;               // first that the journal gave after that
  std::optional<Timestamp> renewal_ready_;           // since when it waits for a good moment
  std::vector<store::SignalInput> renewal_signals_;  // taken in since
  bool renewal_over_ = false;                        // nothing more is wanted of it; its thread is about to end
  bool keeping_samples_ = false;
  bool kept_samples_full_ = false;  // there were more than are kept: none are left
  std::size_t kept_samples_bytes_ = 0;
  std::deque<ingest::Ingested> kept_samples_;   // taken in, and perhaps not by the renewal
  std::optional<Timestamp> renewal_failed_;     // the last, and when
  int renewals_failed_count_ = 0;               // in a row
  std::string renewal_problem_;                 // of the last, if it has failed
  std::deque<drs::ActionRecord> ended_before_;  // by runs of this process, the newest last; for people
  std::uint64_t shed_before_ = 0;               // likewise counted
  std::uint64_t last_journal_lsn_ = 0;
  std::uint64_t cycle_number_ = 0;
  std::uint64_t frames_through_lsn_ = 0;
  Timestamp last_cycle_{};
  std::optional<Timestamp> first_sample_since_cycle_;
  std::map<HostId, Timestamp> reported_since_cycle_;
  std::map<HostId, Timestamp> last_reported_;
  std::optional<Timestamp> cycle_begun_;  // forecasts of what was taken in are being made; nothing else is taken in
  std::optional<Timestamp> forecasts_restored_;  // as they were then; empty: not, or not known
  std::vector<store::JournalPayload> restored_;  // until it is journalled
  std::optional<store::LearningState> learned_;  // likewise
  std::uint64_t learning_changes_ = 0;           // that unsaved_learning_ held last
  Timestamp learning_kept_at_{};
  std::optional<Timestamp> profile_kept_at_;
  std::uint64_t words_passed_over_count_ = 0;
  wire::LogInterval words_passed_over_{std::chrono::minutes(1)};
  std::int64_t push_second_ = 0;
  int pushes_in_second_ = 0;
  bool journal_failing_ = false;
  std::vector<store::JournalEntry> unwritten_;
  std::vector<Command> unsent_;                        // belong to unwritten_
  std::vector<Update> unacknowledged_;                 // likewise
  std::map<std::string, std::string> unwritten_meta_;  // likewise; written first

  // The saving thread's.
  std::optional<Timestamp> last_save_;
  std::size_t next_shard_ = 0;

  mutable std::mutex pipeline_mutex_;

  std::mutex kept_mutex_;
  std::optional<std::string> unsaved_learning_;           // guarded by kept_mutex_
  std::optional<profile::SavedProfile> unsaved_profile_;  // likewise

  mutable std::mutex snapshot_mutex_;
  std::shared_ptr<const api::Snapshot> snapshot_;  // guarded by snapshot_mutex_
};

}  // namespace proteus::controller
