#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "common/result.h"
#include "controller/pipeline.h"
#include "controller/profile/saved_state.h"
#include "controller/store/store.h"
#include "controller/warm_up.h"

namespace proteus::controller {

/// The pipeline of a run's renewal, made beside the one that decides: from what that one's forecasts and profile hold,
/// and from stored telemetry. A replay makes the same one from the journal and the telemetry that the store still has.
///
///   begun ──▶ the states are journalled and restored ──▶ telemetry is read again ──▶ it follows what is stored
///                                                                                      │ ▲
///   it has what follows kept (keep_from) ◀────────── near ─────────────────────────────┘ └── until it is taken
///         └──▶ try_take() gives it ──▶ retire() ──▶ ended
///
/// Invariant: what try_take() gives has taken in exactly the telemetry from warm_from_lsn to warm_through_lsn, which is
/// not behind keep_from(). Thread: the public methods are the deciding pipeline's; the work is done by one of its own.
class Renewal {
 public:
  struct Input {
    PipelineOptions options;
    std::shared_ptr<Pipeline> current;        ///< all signals that it was given have been handed to its forecasts
    profile::SavedProfile profile;            ///< of `current`
    Timestamp begun{};                        ///< controller's clock; the states are as of then
    Nanoseconds span_max{};                   ///< telemetry received earlier than so long before is not read
    std::uint64_t rounds_begun = 0;           ///< of `current`, until then
    std::uint64_t taken_through_lsn = 0;      ///< by `current`; > 0
    std::function<void()> on_forecasts_done;  ///< as Pipeline's
  };
  /// Begins.
  Renewal(Input input, store::Store& store);
  /// Waits until the work has stopped; what was made and not taken goes.
  ~Renewal();
  Renewal(const Renewal&) = delete;
  Renewal& operator=(const Renewal&) = delete;

  /// Telemetry up to there has been taken in by the deciding pipeline, and may be by this one.
  void set_taken_through(std::uint64_t lsn) { taken_through_lsn_ = lsn; }
  /// It is about to have caught up: samples are to be kept from now on.
  bool near() const { return near_; }
  /// Samples that come after that lsn are kept.
  void set_keep_from(std::uint64_t lsn) { keep_from_lsn_ = lsn; }
  /// Kept samples up to there are not needed.
  std::uint64_t through_lsn() const { return through_lsn_; }

  /// Nothing but a good moment is missing.
  bool ready() const { return is_ready_; }

  struct Made {
    std::unique_ptr<Pipeline> pipeline;  ///< begin() is still to be called
    std::uint64_t warm_from_lsn = 0;     ///< 0: there was no telemetry
    std::uint64_t warm_through_lsn = 0;
    std::uint32_t restored_entries = 0;
    Nanoseconds took{};  ///< to make it, by the machine's clock
  };
  /// nullopt: not ready, or at work this very moment.
  std::optional<Made> try_take();
  /// Hands over the former pipeline, which is destroyed elsewhere. After try_take().
  void retire(std::shared_ptr<Pipeline> former);
  /// What has been made is not wanted. Does not wait.
  void stop();
  /// Nothing more will come of it: why, or "" once the former pipeline is gone.
  std::optional<std::string> ended() const;

 private:
  void run();
  Status make();
  Status restore();
  Status add(store::JournalPayload state);
  Result<Timestamp> warm_from() const;
  Status read_through(std::uint64_t lsn);
  bool wait(Nanoseconds at_most);

  store::Store& store_;

  // The renewing thread's.
  Input input_;
  std::uint64_t warm_from_lsn_ = 0;
  std::uint32_t restored_entries_ = 0;

  std::atomic<std::uint64_t> taken_through_lsn_;
  std::atomic<std::uint64_t> through_lsn_ = 0;
  std::atomic<std::uint64_t> keep_from_lsn_ = UINT64_MAX;  // not kept yet
  std::atomic<bool> near_ = false;
  std::atomic<bool> is_ready_ = false;
  std::atomic<bool> stopping_ = false;

  std::mutex made_mutex_;  // held while the pipeline is being worked on; guards the next three
  std::unique_ptr<Pipeline> pipeline_;
  std::optional<WarmUp> warm_up_;
  std::optional<Nanoseconds> ready_;  // how long it took

  mutable std::mutex mutex_;  // guards below
  std::condition_variable woken_;
  bool taken_ = false;
  std::shared_ptr<Pipeline> former_;
  std::optional<std::string> ended_;

  std::thread thread_;
};

}  // namespace proteus::controller
