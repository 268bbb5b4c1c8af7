#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "agent/publish/spool.h"
#include "common/telemetry.h"
#include "common/wire/log_interval.h"

namespace proteus::publish {

using SteadyTime = std::chrono::steady_clock::time_point;

struct BacklogOptions {
  /// What is unacknowledged for longer goes to disk. Acknowledged in time, as is normal, a frame never sees the disk;
  /// an agent that is killed loses at most this much.
  std::chrono::milliseconds spool_after{2000};
  /// Held in memory while the disk takes nothing; then the oldest in memory goes, and what is on disk stays. Only of a
  /// disk that is full the oldest segment goes before: one, until the disk takes something again.
  std::size_t memory_frames_max = 600;
  std::size_t memory_bytes_max = 64u << 20;
};

/// The frames that one controller has not acknowledged, oldest first: what the spool holds, then what is in memory.
/// A cursor says how far they were sent.
/// Invariant: within a boot, sequences grow from front to back.
/// Thread: owned by one.
class Backlog {
 public:
  Backlog(BacklogOptions options, std::unique_ptr<Spool> spool);

  void push(std::shared_ptr<const Sample> sample, SteadyTime now);
  /// Moves to disk what is old enough.
  void spool_aged(SteadyTime now);
  /// Moves everything to disk, for the next process. What the disk does not take is lost, and counted.
  void spool_all();

  /// The oldest frame that was neither sent nor acknowledged; null if there is none, or the disk does not give it back
  /// for now. If it has not for half a minute, or what it gives is damaged, the frame is dropped, with those that
  /// cannot be read without it: one keyframe's at most in a call.
  std::shared_ptr<const Sample> next();
  void advance();  ///< what next() gave was sent
  void rewind();   ///< nothing was sent
  /// Everything of this boot up to this sequence is durable at the controller. Returns: whether that was news.
  bool acknowledge(std::uint64_t boot_id, std::uint64_t sequence);

  /// The oldest frame; nullopt: there is none.
  std::optional<Spool::Key> front() const { return size() > 0 ? std::optional(key(0)) : std::nullopt; }
  std::size_t size() const { return spool_->size() + recent_.size(); }
  std::size_t sent() const { return sent_; }  ///< frames before the cursor
  std::uint64_t dropped_count() const { return dropped_count_; }
  std::uint64_t spool_bytes() const { return spool_->bytes(); }

 private:
  struct Held {
    std::shared_ptr<const Sample> sample;
    SteadyTime since;
  };

  Spool::Key key(std::size_t index) const;
  bool is_memory_full() const;
  void drop_front_of_memory();
  void pop_front_of_memory();
  bool is_done(const Spool::Key& key) const;
  void pop_done();
  bool move_front_to_disk();
  bool make_room_on_disk();
  void give_up_unreadable(const Error& error);
  void removed_from_front(std::size_t count);

  const BacklogOptions options_;
  const std::unique_ptr<Spool> spool_;
  std::deque<Held> recent_;
  std::size_t recent_bytes_ = 0;
  std::size_t sent_ = 0;
  std::shared_ptr<const Sample> next_;                            // frame at sent_, once it was read
  std::map<std::uint64_t, std::uint64_t> acknowledged_;           // sequence by boot, while anything is held
  std::set<std::pair<std::uint64_t, std::uint64_t>> unreadable_;  // boot and sequence, while they are held
  std::uint64_t dropped_count_ = 0;
  bool disk_failed_ = false;                 // it did not take the last frame
  bool disk_is_full_ = false;                // and that is why
  bool gave_up_segment_ = false;             // to make room, since it last took a frame
  SteadyTime now_{};                         // as it was told last
  std::optional<SteadyTime> failing_since_;  // that the disk does not give back the frame at sent_
  wire::LogInterval losses_{std::chrono::seconds(30)};
};

}  // namespace proteus::publish
