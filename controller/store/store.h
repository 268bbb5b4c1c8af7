#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"
#include "common/telemetry.h"
#include "controller/store/journal.h"

namespace proteus::store {

struct StoreOptions {
  std::string directory;
  Nanoseconds raw_retention = std::chrono::hours(48);
  Nanoseconds journal_retention = std::chrono::hours(24 * 90);
  Nanoseconds page_retention = std::chrono::hours(24 * 30);       ///< every sample, compressed
  Nanoseconds minute_retention = std::chrono::hours(24 * 180);    ///< roll-ups by the minute
  Nanoseconds hour_retention = std::chrono::hours(24 * 365 * 3);  ///< roll-ups by the hour
  /// What is known of the entities that a host has ever listed is in memory, so that series can be found; of one host
  /// no more than this: then those that it has not listed for the longest time are forgotten before their time. Some
  /// 800,000 entities.
  std::size_t host_entities_bytes_max = 256u << 20;
  std::uint64_t reserve_bytes = 128u << 20;  ///< with less room than this on the disk, appends are refused
  bool create = true;
  bool read_only = false;
};

class SeriesReader;

/// A telemetry message exactly as it came off the wire, with where it stands in the controller's history.
struct RawMessage {
  std::uint64_t lsn = 0;
  Timestamp received;  ///< controller's clock
  HostId host;
  std::uint64_t boot_id = 0;
  std::uint64_t sequence = 0;         ///< 0 for a catalog
  std::uint32_t catalog_version = 0;  ///< a catalog's own; the one that explains a frame
  std::uint64_t base_sequence = 0;    ///< frame that this one is a difference against; 0 for a keyframe and a catalog
  std::string bytes;                  ///< schema::Upstream
};

/// RocksDB, embedded. Column families (keys and values are drawn in store_keys.h): raw, frame, catalog, journal, time,
/// meta, model, page, rollup, series. Every append takes the next lsn, so that one number orders telemetry and journal
/// alike; numbers grow, and may leave gaps where an append failed. Thread: any (RocksDB's own); appends are ordered by
/// an internal mutex.
class Store {
 public:
  /// Errors: kUnavailable if another process holds the directory, kCorrupt, kPermissionDenied.
  static Result<std::unique_ptr<Store>> open(StoreOptions options);
  virtual ~Store() = default;

  /// Durable when it returns: one synced write for the batch. Assigns lsn in place. Repeats must be filtered before.
  /// Errors: kUnavailable (disk full): nothing was taken.
  virtual Status append(std::vector<RawMessage>& messages) = 0;
  virtual Status append(std::vector<JournalEntry>& entries) = 0;

  /// Highest durable frame per boot of a host; nullopt if none. For repeats after a restart. Errors: kUnavailable,
  /// kCorrupt.
  virtual Result<std::optional<std::uint64_t>> last_sequence(const HostId& host, std::uint64_t boot_id) const = 0;

  /// When the newest stored frame of each host was received; hosts whose frames have all expired are not there.
  /// Errors: kUnavailable, kCorrupt.
  virtual Result<std::map<HostId, Timestamp>> last_heard() const = 0;

  /// Everything with received/time in [from, to), merged in lsn order, beginning with the catalogs and base frames that
  /// the first frames need (they are older than `from`, and only there for decoding). Return false from a callback to
  /// stop. Errors: kCorrupt.
  struct Visitor {
    std::function<bool(const RawMessage&)> raw;
    std::function<bool(const JournalEntry&)> journal;
  };
  virtual Status scan(Timestamp from, Timestamp to, const Visitor& visitor) const = 0;
  /// The same for lsn in [from_lsn, to_lsn).
  virtual Status scan_lsn(std::uint64_t from_lsn, std::uint64_t to_lsn, const Visitor& visitor) const = 0;
  /// Journal only, newest first, at most `limit`; without the states that runs rest on, which are large. False from
  /// `visit` ends it. Errors: kCorrupt.
  using JournalVisitor = std::function<bool(JournalEntry&&)>;
  virtual Status visit_journal_tail(std::size_t limit, const JournalVisitor& visit) const = 0;
  /// All of them at once; entries may be large.
  Result<std::vector<JournalEntry>> journal_tail(std::size_t limit) const;
  /// nullopt if there is none of this number, or none any more. Errors: kCorrupt.
  virtual Result<std::optional<JournalEntry>> journal_entry(std::uint64_t lsn) const = 0;
  /// The newest Started entry with time <= at; nullopt if there is none.
  virtual Result<std::optional<JournalEntry>> last_started(Timestamp at) const = 0;
  /// The oldest one that is left.
  virtual Result<std::optional<JournalEntry>> first_started() const = 0;
  /// Open actions as the journal leaves them: intents whose last transition is not final, with all their transitions.
  virtual Result<std::vector<drs::ActionRecord>> open_actions() const = 0;

  virtual Result<std::optional<std::string>> get_meta(const std::string& key) const = 0;
  virtual Status put_meta(const std::string& key, const std::string& value) = 0;  ///< synced

  /// State of learned models, by key; the newest value only, no history. Synced.
  virtual Status put_models(const std::vector<std::pair<std::string, std::string>>& models) = 0;
  using ModelVisitor = std::function<bool(const std::string& key, std::string value)>;
  /// Every model whose key begins with `prefix`, in the order of keys, until the visitor returns false.
  /// Errors: kCorrupt.
  virtual Status visit_models(const std::string& prefix, const ModelVisitor& visit) const = 0;
  virtual Status erase_models(const std::vector<std::string>& keys) = 0;

  /// Deletes what is past its retention, except open actions and the last Started. The states that runs rest on
  /// (is_state) go with the telemetry of their time, long before the rest of the journal. Call it every few minutes: it
  /// reads what has become old since. It stops at the first in lsn order that is young; what
  /// is stamped an hour ahead of `now` and more is as old as what was stored after it. `now` must be right: the age of
  /// everything is told by it. While pages are far behind what was received, telemetry that is in none stays, and hosts
  /// that fell silent have theirs made at a later call.
  /// Errors: kUnavailable, kCorrupt.
  virtual Status expire(Timestamp now) = 0;

  struct Figures {
    std::uint64_t raw_messages = 0;
    std::uint64_t raw_bytes = 0;
    std::uint64_t journal_entries = 0;  ///< without the states that runs rest on
    std::uint64_t disk_bytes = 0;
    std::uint64_t series_unread = 0;             ///< messages that pages are behind by
    std::string series_problem;                  ///< why pages are not written now; empty: they are
    std::uint64_t entities_forgotten_early = 0;  ///< by this process: a host had listed too many
    std::uint64_t frames_not_placed = 0;  ///< by this process: no series can be found of them, for the same reason
    std::uint64_t frames_undecoded = 0;   ///< likewise, as what explains them is missing, or they are damaged
  };
  virtual Figures figures() const = 0;

  /// What was measured, by series; nullptr if this store keeps none.
  virtual const SeriesReader* series() const { return nullptr; }
};

}  // namespace proteus::store
