#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace proteus::publish {

/// One file of a spool, NUMBER.spool (16 hexadecimal digits, growing), beside `lock` in a folder that is called by the
/// XXH64 of the controller's public key. Integers are little-endian.
///
///   offset 0   8 bytes   "PRTSPL01"
///   then, any number of records:
///     u32  length of the bytes
///     u64  XXH64 of the bytes, seed 0
///     …    bytes: one schemas/telemetry.capnp Upstream
///
/// The first record is a catalog and the second a keyframe, so that a segment is read without any other. A record is
/// written with one call; a crash leaves at most a last record that is cut off or fails its hash, and reading stops
/// there. In front of others, one that fails its hash is left out, with all up to the next keyframe whose catalog is
/// there. Thread: owned by one.
class SpoolSegment {
 public:
  struct Record {
    std::uint64_t offset = 0;  ///< of the bytes
    std::uint32_t length = 0;
    bool is_catalog = false;
    bool is_keyframe = false;
    std::uint64_t boot_id = 0;
    std::uint64_t sequence = 0;      ///< 0 for a catalog
    std::size_t catalog_record = 0;  ///< index of the catalog that explains a frame
    std::uint32_t catalog_version = 0;
  };

  static constexpr std::size_t kHeadBytes = 8;  ///< of a file that holds nothing yet

  /// Errors: kUnavailable (disk full), kPermissionDenied, kInternal (other trouble of the disk).
  static Result<std::unique_ptr<SpoolSegment>> create(const std::string& path);
  struct Damage {
    std::uint64_t cut_bytes = 0;  ///< at the end: nothing whole was behind them
    std::size_t lost_frames = 0;  ///< about, and at least one if any were; the one that a crash cuts off is not counted
  };
  /// Reads the records of a file that a former process left. Errors: kCorrupt (not a spool file), kUnavailable,
  /// kPermissionDenied.
  static Result<std::unique_ptr<SpoolSegment>> open(const std::string& path, Damage& damage);
  ~SpoolSegment();
  SpoolSegment(const SpoolSegment&) = delete;
  SpoolSegment& operator=(const SpoolSegment&) = delete;

  /// Appends these messages, all or none. Errors: as create().
  Status append(const std::vector<std::string>& messages);
  /// Errors: kCorrupt if the disk gives back something else than what was written; kUnavailable if it gives back
  /// nothing: it may be whole.
  Result<std::string> read(const Record& record) const;
  void flush();  ///< to the disk
  void remove();

  const std::vector<Record>& records() const { return records_; }
  std::uint64_t bytes() const { return bytes_; }
  const std::string& path() const { return path_; }

 private:
  SpoolSegment(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  /// False if the bytes are no message that a segment may hold at this place.
  bool index(std::uint64_t offset, std::string_view message);
  Status read_records(std::uint64_t file_bytes, Damage& damage);
  bool ends_gap(std::string_view message) const;
  bool is_zero(std::uint64_t file_bytes) const;

  const std::string path_;
  const int descriptor_;
  std::uint64_t bytes_ = 0;  // length of the good part of the file
  std::vector<Record> records_;
};

}  // namespace proteus::publish
