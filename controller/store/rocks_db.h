#pragma once

#include <cstdint>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"

namespace proteus::store {

/// Column families; see store_keys.h and series_keys.h.
enum class Family : std::uint8_t { kRaw, kFrame, kCatalog, kJournal, kTime, kMeta, kPage, kRollup, kSeries, kModel };
constexpr int kFamilyCount = 10;

/// RocksDB with our errors, options and expiry. No rocksdb type leaves rocks_db.cpp. Checksums are verified on each
/// read. Thread: any, except that a Batch or Cursor belongs to one.
class RocksDb {
 public:
  struct Options {
    std::string directory;
    bool create = true;
    bool read_only = false;           ///< as of now; takes no lock, so it also works beside the process that writes
    std::uint64_t reserve_bytes = 0;  ///< room that writes leave on the disk, for RocksDB's own work
    std::uint64_t periodic_compaction_s = 0;  ///< expired values leave the disk after this at the latest
  };
  /// Errors: kUnavailable (held by another process, disk full), kNotFound, kPermissionDenied, kCorrupt.
  static Result<std::unique_ptr<RocksDb>> open(const Options& options);
  ~RocksDb();
  RocksDb(const RocksDb&) = delete;
  RocksDb& operator=(const RocksDb&) = delete;

  /// Changes that are written together or not at all. A later one of the same key wins.
  class Batch {
   public:
    void put(Family family, std::string_view key, std::string value) {
      bytes_ += key.size() + value.size();
      changes_.push_back({family, std::string(key), std::move(value)});
    }
    /// Adds the changes of another, behind these.
    void append(Batch other) {
      bytes_ += other.bytes_;
      changes_.insert(changes_.end(), std::make_move_iterator(other.changes_.begin()),
                      std::make_move_iterator(other.changes_.end()));
    }
    void erase(Family family, std::string_view key) { changes_.push_back({family, std::string(key), std::nullopt}); }
    /// Of what it puts.
    std::size_t bytes() const { return bytes_; }

   private:
    friend class RocksDb;
    struct Change {
      Family family;
      std::string key;
      std::optional<std::string> value;  // nullopt: erase
    };
    std::vector<Change> changes_;
    std::size_t bytes_ = 0;
  };
  /// kNow: durable when it returns. kLater: durable with the next write that is, at the latest; never before an earlier
  /// one.
  enum class Sync : std::uint8_t { kNow, kLater };
  /// kUseReserve: of the room that others leave; for what little has to be written to make some.
  enum class Room : std::uint8_t { kLeaveReserve, kUseReserve };
  /// A database that an earlier error has stopped (full disk) is opened again first, so that
  /// writing goes on by itself once there is room; that takes a moment without cursors and views, and walks under way
  /// end with kUnavailable for it. The caller must hold neither. Errors: kUnavailable; nothing was written.
  Status write(const Batch& batch, Sync sync = Sync::kNow, Room room = Room::kLeaveReserve);
  /// The first half of that: opens the database again if an error has stopped it. What the failed write wrote may be
  /// there then. Errors: kUnavailable.
  Status go_on(Room room = Room::kLeaveReserve);

  /// The database as it is at one moment, for reads that must agree with each other.
  class View {
   public:
    explicit View(const RocksDb& db);
    ~View();
    View(const View&) = delete;
    View& operator=(const View&) = delete;

   private:
    friend class RocksDb;
    struct Impl;
    std::unique_ptr<Impl> impl_;
  };

  /// nullopt if there is no such key. view: may be null. Errors: kCorrupt.
  Result<std::optional<std::string>> get(Family family, std::string_view key, const View* view = nullptr) const;

  /// Walks keys in order. When valid() turns false, status() tells the end from an error.
  class Cursor {
   public:
    ~Cursor();
    Cursor(Cursor&&) noexcept;
    void seek(std::string_view key);               ///< first key >= `key`
    void seek_at_or_before(std::string_view key);  ///< last key <= `key`
    void seek_last();
    bool valid() const;
    void next();
    void previous();
    std::string_view key() const;    ///< until the cursor moves
    std::string_view value() const;  ///< until the cursor moves
    Status status() const;

   private:
    friend class RocksDb;
    struct Impl;
    explicit Cursor(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
  };
  /// once: the walk is long and what it reads is not kept in memory.
  Cursor cursor(Family family, const View* view = nullptr, bool once = false) const;

  /// What compaction may drop from now on: raw, frame below raw_floor_lsn; journal below journal_floor_lsn except
  /// `kept`; time below both; pages and roll-ups, by level, that begin in front of their floors or so far ahead of now
  /// that a wrong clock must have stamped them. Microseconds since the Unix epoch.
  struct Expiry {
    std::uint64_t raw_floor_lsn = 0;
    std::uint64_t journal_floor_lsn = 0;
    std::set<std::uint64_t> kept;
    struct Range {
      std::int64_t from_us = std::numeric_limits<std::int64_t>::min();
      std::int64_t to_us = std::numeric_limits<std::int64_t>::max();
      bool holds(std::int64_t time_us) const { return time_us >= from_us && time_us < to_us; }
    };
    Range pages;
    Range minutes;
    Range hours;
  };
  void set_expiry(Expiry expiry);
  /// As set last. Of what has expired some may be gone and some still there: readers leave all of it out.
  std::shared_ptr<const Expiry> expiry() const;
  /// Takes expired values in front of `end` off the disk now. whole_files: nothing in front of `end` is kept, so files
  /// that lie entirely there go without being read.
  Status compact_before(Family family, std::string_view end, bool whole_files);
  /// The latter alone: what is damaged goes so, and would end a compaction, and every write after it.
  Status drop_files_before(Family family, std::string_view end);

  std::uint64_t disk_bytes() const;
  std::uint64_t file_bytes(Family family) const;  ///< in its files; what is only in the log is not counted

 private:
  struct Impl;
  explicit RocksDb(std::unique_ptr<Impl> impl);
  Status check_room(Room room) const;
  std::unique_ptr<Impl> impl_;
};

}  // namespace proteus::store
