#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/wire/telemetry_codec.h"
#include "controller/pipeline.h"
#include "controller/store/journal.h"
#include "controller/store/store.h"

namespace proteus::replay {

/// From which telemetry on each beginning of a run in a recording rests on it, by lsn; the greatest number there is: on
/// none. The file is read through for it, as far as it is whole; nullopt if that cannot be done twice, as of a pipe.
std::optional<std::vector<std::uint64_t>> beginnings_of(const std::string& path);

struct ReplayOptions {
  /// Decide by this policy instead of the recorded one. What the recorded cluster did then answers to other actions, so
  /// nothing is taken to be carried out: decisions are made as at level recommend, whatever the policy's own levels
  /// are, against the world as recorded.
  std::optional<ham::Policy> policy;
  /// For the forecasts; null: the program's own.
  std::shared_ptr<const forecast::global::Weights> networks;
  /// All that are to come: of the telemetry only what one of them rests on stays in memory. nullopt: that is not known,
  /// and the telemetry of some days stays. What is decided is the same.
  std::optional<std::vector<std::uint64_t>> beginnings;
  /// What is decided is compared with what was journalled: differences().
  bool diff = true;
  /// Memory of telemetry that no cycle takes in, and of states that no beginning does. No controller leaves as much.
  std::size_t waiting_bytes_max = std::size_t{4} << 30;
  /// Called before each cycle with its recorded time; for pacing.
  std::function<void(Timestamp)> before_cycle;
  /// Each entry that the pipeline puts out, in order, with lsn 0.
  std::function<void(const store::JournalEntry&)> output;
  /// Each cycle's decision, put out or not.
  std::function<void(const ham::Decision&)> decided;
};

/// What a decision wants done, without why: operations, helpers and power.
ham::Decision wish_of(const ham::Decision& decision);

/// Where what is decided now and what was journalled part. By another policy: where the two want something else. Either
/// side puts out what is new and a sign of life a minute, in seconds of its own, so that what was journalled is
/// compared with the decision of the same cycle, put out or not.
struct Difference {
  Timestamp time;
  std::string recorded;  ///< JSON of the journalled entry; empty: there is none
  std::string replayed;  ///< JSON of the entry decided now; empty: there is none
};

/// Runs the controller's own pipeline over what a controller took in, on the recorded clock. Feed it in lsn order.
/// Deterministic. Thread: owned by one.
class Replayer {
 public:
  explicit Replayer(ReplayOptions options);

  /// Errors: kCorrupt, also for more than any controller leaves without an input.
  Status on_raw(const store::RawMessage& message);
  Status on_journal(const store::JournalEntry& entry);
  /// Compares what is left. Call once, at the end.
  void finish() { compare(); }

  std::uint64_t cycles() const { return cycles_; }
  std::uint64_t frames() const { return frames_; }
  std::uint64_t decisions() const { return decisions_; }
  std::uint64_t actions() const { return actions_; }
  /// By UUID, as the hosts last listed them.
  const std::map<std::string, std::string>& vm_names() const { return vm_names_; }
  /// The first 100 of differences_count().
  const std::vector<Difference>& differences() const { return differences_; }
  std::uint64_t differences_count() const { return differences_count_; }
  /// By another policy: a recorded run was at level observe. It journalled nothing of what it wanted, so that no
  /// difference is counted in it.
  bool met_observe() const { return met_observe_; }
  /// Telemetry in memory: messages as they came, and frames decoded for the next cycle.
  std::size_t messages_kept() const { return kept_.size(); }
  std::size_t frames_pending() const { return pending_.size(); }

 private:
  struct Pending {
    std::uint64_t lsn = 0;
    Timestamp received;
    Sample sample;
    std::size_t bytes() const {
      return sizeof(Pending) + sample.frame.values.size() * sizeof(std::int64_t) + sample.frame.present.size();
    }
  };
  struct Kept {
    std::uint64_t lsn = 0;
    Timestamp received;
    HostId host;
    std::string bytes;
    bool catalog = false;
  };
  Status begin(const store::Started& started, Timestamp time);
  Status take_state(const store::JournalEntry& entry);
  void keep(const store::RawMessage& message, bool catalog);
  void look_ahead();
  std::vector<Kept>::const_iterator first_kept(std::uint64_t lsn) const;
  void note_names(const std::shared_ptr<const Catalog>& catalog);
  template <typename Visit>
  void visit_kept(std::uint64_t lsn, Visit visit) const;
  Status add_pending(std::uint64_t lsn, Timestamp received, Sample sample);
  Status add_ahead(const store::JournalEntry& entry);
  Status warm_up();
  Status refill(std::uint64_t through_lsn);
  void run_cycle(const store::Cycle& cycle, Timestamp time);
  void put_out(controller::PipelineOutput output, Timestamp time);
  Status on_output(const store::JournalEntry& entry);
  void compare();
  void compare_wish(const store::JournalEntry& recorded);
  void compare_silence();
  void add_difference(const store::JournalEntry* recorded, const store::JournalEntry* replayed);

  ReplayOptions options_;
  wire::TelemetryReader reader_;
  std::unique_ptr<controller::Pipeline> pipeline_;
  std::vector<Pending> pending_;  // frames not yet taken in
  std::size_t pending_bytes_ = 0;
  std::vector<Kept> kept_;  // messages that a later run may warm up from
  std::size_t kept_after_trim_ = 0;
  std::optional<std::uint64_t> needed_from_lsn_;  // by beginnings to come; nullopt: not known
  std::size_t beginnings_over_ = 0;
  std::optional<Nanoseconds> warm_span_;    // how far back; of the run at hand
  store::Started started_;                  // likewise, as its pipeline is told
  Nanoseconds step_{};                      // likewise, of the forecasts
  Timestamp begun_{};                       // likewise
  std::uint32_t restored_awaited_ = 0;      // states to come before it is warm
  std::vector<store::JournalEntry> ahead_;  // states and signals that a renewal to come may rest on
  std::size_t ahead_bytes_ = 0;
  std::vector<store::JournalEntry> recorded_;  // outputs journalled since the last input, lsn 0
  std::size_t recorded_bytes_ = 0;
  std::vector<store::JournalEntry> replayed_;  // outputs decided since
  bool recorded_observes_ = false;             // the run at hand was at level observe
  bool met_observe_ = false;                   // likewise, or one before
  bool recorded_tells_all_ = false;            // it journalled whenever its decisions' label changed
  std::optional<std::string> recorded_label_;  // that it journalled last; of a run that tells all
  bool unanswered_ = false;  // another label than the cycle before had, and nothing has been journalled since
  std::vector<Difference> differences_;
  std::uint64_t differences_count_ = 0;
  std::map<HostId, std::shared_ptr<const Catalog>> catalogs_;  // whose names are noted
  std::map<std::string, std::string> vm_names_;
  std::uint64_t cycles_ = 0;
  std::uint64_t frames_ = 0;
  std::uint64_t decisions_ = 0;
  std::uint64_t actions_ = 0;
};

}  // namespace proteus::replay
