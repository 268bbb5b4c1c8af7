#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "agent/publish/spool_segment.h"
#include "common/ids.h"
#include "common/result.h"
#include "common/telemetry.h"
#include "common/wire/telemetry_codec.h"

namespace proteus::publish {

struct SpoolOptions {
  std::string directory;  ///< made if it is missing; of this spool alone
  std::uint64_t bytes_max = 256ULL << 20;
  HostId host;  ///< what former processes left of another host is deleted
};

/// A queue of frames on disk, for one controller. Bounded: when it is full, its oldest eighth goes.
/// It outlives the process: a killed agent loses nothing that was appended; a crash of the machine may lose what the
/// kernel had not written yet, which is seconds (no synced write per frame: the machine's guests went down with it).
/// Frames are removed from the front; a file goes when all its frames are removed, so that after a crash some frames
/// are seen again. Thread: owned by one.
class Spool {
 public:
  struct Key {
    std::uint64_t boot_id = 0;
    std::uint64_t sequence = 0;
    bool operator==(const Key&) const = default;
  };

  /// Errors: kUnavailable if another process uses the directory; kPermissionDenied.
  static Result<std::unique_ptr<Spool>> open(SpoolOptions options);
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  /// How many frames open() deleted or left out: of another host, damaged or of no use without one that is (counted
  /// again as long as their file is there), or more than bytes_max. A file of which nothing can be read counts as one,
  /// also if it is left as it is since the disk does not give it back.
  std::size_t dropped_at_open() const { return dropped_at_open_; }

  /// Returns: how many frames went from the front to make room. Errors: kUnavailable (disk full), kPermissionDenied,
  /// kInternal (other trouble of the disk): nothing was added or removed.
  Result<std::size_t> append(const Sample& sample);
  std::size_t size() const { return frames_.size(); }
  Key key(std::size_t index) const { return {record(index).boot_id, record(index).sequence}; }
  /// Frame `index`, counted from the oldest. Cheap in order, up to 60 frames are decoded elsewhere.
  /// Errors: kUnavailable: the disk does not give it back, it may be whole. Any other: it is lost.
  Result<Sample> read(std::size_t index);
  /// The first frame after `index` that can be read without that of `index`; size() if there is none.
  std::size_t next_keyframe(std::size_t index) const;
  void pop_front();
  /// Drops the oldest segment. Returns: how many frames went.
  std::size_t drop_oldest_segment();
  std::uint64_t bytes() const { return bytes_; }
  void flush();

 private:
  struct Place {
    std::uint64_t segment = 0;
    std::size_t record = 0;
  };
  struct Segment {
    std::uint64_t number = 0;
    std::unique_ptr<SpoolSegment> file;
  };

  Spool(SpoolOptions options, int lock) : options_(std::move(options)), lock_(lock) {}
  Status recover();
  Status begin_segment();
  void remove_front_segment();
  const Segment& segment(std::uint64_t number) const { return segments_[number - segments_.front().number]; }
  const SpoolSegment::Record& record(std::size_t index) const {
    return segment(frames_[index].segment).file->records()[frames_[index].record];
  }
  Status load(const Place& place, std::optional<Sample>& sample);

  const SpoolOptions options_;
  const int lock_;                // descriptor of the lock file
  std::deque<Segment> segments_;  // oldest first, numbers without gaps
  std::deque<Place> frames_;      // oldest first
  std::uint64_t next_number_ = 1;
  std::uint64_t bytes_ = 0;
  std::size_t dropped_at_open_ = 0;
  bool writing_ = false;  // the last segment is of this process and takes more
  wire::FrameEncoder encoder_;

  // Where reading stands: the decoder has seen everything of this segment from a keyframe up to this record.
  std::optional<Place> read_place_;
  std::size_t read_catalog_record_ = 0;
  wire::FrameDecoder decoder_;
};

}  // namespace proteus::publish
