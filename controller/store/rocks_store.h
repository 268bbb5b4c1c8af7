#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controller/store/page_writer.h"
#include "controller/store/rocks_db.h"
#include "controller/store/series_reader.h"
#include "controller/store/store.h"
#include "controller/store/store_keys.h"

namespace proteus::store {

/// The Store over RocksDB. Invariants: an lsn is used at most once, also across crashes (the next one is written with
/// every append); what is indexed (frame, catalog, time, meta) is written in the same batch as what it points to.
class RocksStore final : public Store {
 public:
  static Result<std::unique_ptr<RocksStore>> open(StoreOptions options);
  ~RocksStore() override;

  /// A frame that a refused append wrote all the same (the disk took it, and failed to say so) is not written again.
  Status append(std::vector<RawMessage>& messages) override;
  /// Nor is such an entry: it keeps the number that it was written with.
  Status append(std::vector<JournalEntry>& entries) override;
  Result<std::optional<std::uint64_t>> last_sequence(const HostId& host, std::uint64_t boot_id) const override;
  Result<std::map<HostId, Timestamp>> last_heard() const override;
  Status scan(Timestamp from, Timestamp to, const Visitor& visitor) const override;
  Status scan_lsn(std::uint64_t from_lsn, std::uint64_t to_lsn, const Visitor& visitor) const override;
  Status visit_journal_tail(std::size_t limit, const JournalVisitor& visit) const override;
  Result<std::optional<JournalEntry>> journal_entry(std::uint64_t lsn) const override;
  Result<std::optional<JournalEntry>> last_started(Timestamp at) const override;
  Result<std::optional<JournalEntry>> first_started() const override;
  Result<std::vector<drs::ActionRecord>> open_actions() const override;
  Result<std::optional<std::string>> get_meta(const std::string& key) const override;
  Status put_meta(const std::string& key, const std::string& value) override;
  Status put_models(const std::vector<std::pair<std::string, std::string>>& models) override;
  Status visit_models(const std::string& prefix, const ModelVisitor& visit) const override;
  Status erase_models(const std::vector<std::string>& keys) override;
  Status expire(Timestamp now) override;
  Figures figures() const override;
  const SeriesReader* series() const override;

  /// Waits for nothing: makes pages of all telemetry appended so far, on the caller's thread. Errors: kUnavailable.
  Status write_pages() { return pages_->catch_up(); }
  const PageWriter& pages() const { return *pages_; }
  /// What the files of families take after all that is superfluous has been compacted away. Errors: kUnavailable.
  struct CompactedBytes {
    std::uint64_t pages = 0;  ///< with the entities that their series belong to
    std::uint64_t rollups = 0;
  };
  Result<CompactedBytes> compacted_bytes();

 private:
  struct Floors {
    std::uint64_t raw_lsn = 0;
    std::uint64_t journal_lsn = 0;
  };

  RocksStore(StoreOptions options, std::unique_ptr<RocksDb> db, keys::State state);
  Floors floors() const;
  Result<std::optional<RawMessage>> catalog_at(const std::string& key) const;
  Result<bool> catalog_stays(const keys::Boot& boot, const std::string& key) const;
  Result<std::optional<std::uint64_t>> lsn_of(const keys::Boot& boot, std::uint64_t sequence) const;
  /// Notes in the batch, if `time` is of another second than what was appended before, that a run begins at `lsn`.
  void begin_run(RocksDb::Batch& batch, std::optional<std::int64_t>& second, Timestamp time, std::uint64_t lsn);
  /// Whether a refused append wrote this entry all the same; then it gets its lsn, and is refused no more.
  /// Errors: kUnavailable, kCorrupt.
  Result<bool> take_written(JournalEntry& entry);
  Result<std::set<std::uint64_t>> kept_journal_lsns() const;
  RocksDb::Expiry expiry_of(const Floors& floors, std::set<std::uint64_t> kept, Timestamp now) const;
  struct DeadIndex;
  /// Errors: kUnavailable, kCorrupt.
  Result<DeadIndex> dead_index(const Floors& floors, Timestamp boots_before, bool catalogs_too,
                               const std::set<std::uint64_t>& kept) const;
  Status erase(DeadIndex dead, const Floors& floors, RocksDb::Batch& batch) const;
  Status compact_raw(const std::string& end);
  Status compact_journal(const std::string& end);

  const StoreOptions options_;
  const std::unique_ptr<RocksDb> db_;

  std::unique_ptr<PageWriter> pages_;     // set once, in open()
  std::unique_ptr<SeriesReader> series_;  // likewise

  std::mutex expire_mutex_;  // one expire at a time; taken before append_mutex_; guards the next three
  Timestamp catalogs_walked_at_{};
  bool raw_is_damaged_ = false;      // of what has been read
  bool journal_is_damaged_ = false;  // likewise

  mutable std::mutex append_mutex_;  // one append at a time; guards below
  keys::State state_;
  std::optional<std::int64_t> run_second_;     // of the newest run; none since open
  bool refused_ = false;                       // the last append of telemetry was
  std::set<std::string> catalogs_told_again_;  // since they were walked last: of now, though their copies are old
  /// Of journal entries that were: their hashes, and the lsn of each, should it be there.
  std::multimap<std::size_t, std::uint64_t> refused_entries_;
};

}  // namespace proteus::store
