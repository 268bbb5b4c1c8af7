#include "controller/store/rocks_db.h"

#include <fmt/core.h>
#include <rocksdb/cache.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <shared_mutex>
#include <vector>

#include "common/log.h"
#include "controller/store/series_keys.h"
#include "controller/store/store_keys.h"

namespace proteus::store {
namespace {

constexpr std::array<const char*, kFamilyCount> kFamilyNames = {"raw",     "frame", "catalog", "journal", "time",
                                                                "default", "page",  "rollup",  "series",  "model"};

// Memory: at most kMemtableBytesAll of unflushed writes and kCacheBytes of blocks, indexes and filters.
constexpr std::size_t kRawMemtableBytes = 16u << 20;
constexpr std::size_t kOtherMemtableBytes = 4u << 20;
constexpr std::size_t kMemtableBytesAll = 48u << 20;
constexpr std::size_t kCacheBytes = 32u << 20;
// Bounds what must be read again after a crash, and what rarely written families hold back.
constexpr std::uint64_t kWalBytesMax = 64u << 20;
constexpr int kOpenFilesMax = 256;
// A stopped database is opened again only with room for what it then writes out, all that its log holds; until then it
// still answers reads.
constexpr std::uint64_t kReopenBytes = kMemtableBytesAll + (16u << 20);
// What expiry writes is smaller; the memtables that it may make full are what the reserve is for.
constexpr std::uint64_t kOwnWriteBytes = 8u << 20;
// A directory that another process writes changes under a reader's open(); it is then read again.
constexpr int kReadOnlyAttempts = 5;

rocksdb::Slice slice(std::string_view s) {
  return {s.data(), s.size()};
}
std::string_view view_of(const rocksdb::Slice& s) {
  return {s.data(), s.size()};
}

Error ours(const rocksdb::Status& status) {
  const std::string text = status.ToString();
  if (status.IsCorruption()) return {ErrorCode::kCorrupt, text};
  if (status.IsNotFound()) return {ErrorCode::kNotFound, text};
  if (status.IsNoSpace()) return {ErrorCode::kUnavailable, "disk full: " + text};
  if (status.IsIOError() && text.find("Permission denied") != std::string::npos) {
    return {ErrorCode::kPermissionDenied, text};
  }
  if (status.IsIOError() || status.IsBusy() || status.IsTryAgain() || status.IsIncomplete() || status.IsTimedOut() ||
      status.IsAborted() || status.IsShutdownInProgress()) {
    return {ErrorCode::kUnavailable, text};
  }
  return {ErrorCode::kInternal, text};
}

// Shared with the filters, which run on RocksDB's own threads.
class ExpiryState {
 public:
  void set(RocksDb::Expiry expiry) {
    auto next = std::make_shared<const RocksDb::Expiry>(std::move(expiry));
    std::lock_guard lock(mutex_);
    expiry_ = std::move(next);
  }
  std::shared_ptr<const RocksDb::Expiry> get() const {
    std::lock_guard lock(mutex_);
    return expiry_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const RocksDb::Expiry> expiry_ = std::make_shared<const RocksDb::Expiry>();  // guarded
};

class ExpiryFilter final : public rocksdb::CompactionFilter {
 public:
  ExpiryFilter(Family family, std::shared_ptr<const RocksDb::Expiry> expiry)
      : family_(family), expiry_(std::move(expiry)) {}
  const char* Name() const override { return "proteus.expiry"; }

  bool Filter(int, const rocksdb::Slice& key, const rocksdb::Slice& value, std::string*, bool*) const override {
    switch (family_) {
      case Family::kRaw: return below(keys::parse_lsn_key(view_of(key)), expiry_->raw_floor_lsn);
      case Family::kJournal: {
        const auto lsn = keys::parse_lsn_key(view_of(key));
        if (below(lsn, expiry_->raw_floor_lsn)) {
          const auto entry = keys::parse_journal_value(view_of(value));
          if (entry && keys::is_state_kind(entry->kind)) return true;
        }
        return below(lsn, expiry_->journal_floor_lsn) && !expiry_->kept.contains(*lsn);
      }
      case Family::kFrame: {
        const auto place = keys::parse_frame_value(view_of(value));
        return place && place->lsn < expiry_->raw_floor_lsn;
      }
      case Family::kTime:
        return below(keys::parse_time_lsn(view_of(key)), std::min(expiry_->raw_floor_lsn, expiry_->journal_floor_lsn));
      case Family::kPage: {
        const auto place = keys::parse_page_place(view_of(key));
        return place && !expiry_->pages.holds(place->time_us);
      }
      case Family::kRollup: {
        const auto place = keys::parse_rollup_place(view_of(key));
        if (!place) return false;
        return !(place->level == keys::Level::kMinute ? expiry_->minutes : expiry_->hours).holds(place->time_us);
      }
      case Family::kCatalog:
      case Family::kSeries:
      case Family::kMeta:
      case Family::kModel: return false;
    }
    return false;
  }

 private:
  // What does not parse is left for a reader to complain about.
  static bool below(const Result<std::uint64_t>& lsn, std::uint64_t floor) { return lsn && *lsn < floor; }

  Family family_;
  std::shared_ptr<const RocksDb::Expiry> expiry_;
};

class ExpiryFilterFactory final : public rocksdb::CompactionFilterFactory {
 public:
  ExpiryFilterFactory(Family family, std::shared_ptr<ExpiryState> state) : family_(family), state_(std::move(state)) {}
  const char* Name() const override { return "proteus.expiry"; }
  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context&) override {
    return std::make_unique<ExpiryFilter>(family_, state_->get());
  }

 private:
  Family family_;
  std::shared_ptr<ExpiryState> state_;
};

/// RocksDB's own words go where ours go. Its log file would end the process on an assertion once the disk is full.
class LogBridge final : public rocksdb::Logger {
 public:
  LogBridge() : rocksdb::Logger(rocksdb::WARN_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    char text[1024];
    std::vsnprintf(text, sizeof text, format, arguments);
    log::warning("rocksdb: {}", text);
  }
  void LogHeader(const char*, va_list) override {}  // its options, at length
};

rocksdb::DBOptions db_options(const RocksDb::Options& options) {
  rocksdb::DBOptions db;
  db.create_if_missing = options.create && !options.read_only;
  db.create_missing_column_families = !options.read_only;
  db.max_background_jobs = 2;
  db.db_write_buffer_size = kMemtableBytesAll;
  db.max_total_wal_size = kWalBytesMax;
  // A reader beside a writer opens every file at once, before the writer can remove one.
  db.max_open_files = options.read_only ? -1 : kOpenFilesMax;
  db.max_manifest_file_size = 16u << 20;
  db.info_log = std::make_shared<LogBridge>();
  return db;
}

rocksdb::ColumnFamilyOptions family_options(Family family, const RocksDb::Options& options,
                                            const std::shared_ptr<rocksdb::Cache>& cache,
                                            const std::shared_ptr<ExpiryState>& expiry) {
  rocksdb::ColumnFamilyOptions cf;
  cf.write_buffer_size = family == Family::kRaw ? kRawMemtableBytes : kOtherMemtableBytes;
  cf.compression = rocksdb::kLZ4Compression;  // what is young is compacted again soon
  cf.bottommost_compression = rocksdb::kZSTD;
  cf.level_compaction_dynamic_level_bytes = true;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.cache_index_and_filter_blocks = true;
  table.block_size = 32u << 10;
  table.format_version = 5;
  table.checksum = rocksdb::kXXH3;
  if (family == Family::kFrame || family == Family::kMeta) {
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  }
  cf.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  if (family == Family::kPage || family == Family::kRollup) {  // compressed as they are
    cf.compression = cf.bottommost_compression = rocksdb::kNoCompression;
  }
  if (family != Family::kCatalog && family != Family::kSeries && family != Family::kMeta && family != Family::kModel) {
    cf.compaction_filter_factory = std::make_shared<ExpiryFilterFactory>(family, expiry);
    if (options.periodic_compaction_s > 0) cf.periodic_compaction_seconds = options.periodic_compaction_s;
  }
  return cf;
}

/// Of a write: whatever it was, it may work later, unless what is on the disk is damaged.
Error refusal(const rocksdb::Status& status) {
  Error error = ours(status);
  if (error.code != ErrorCode::kCorrupt) error.code = ErrorCode::kUnavailable;
  return error;
}

const Error kStopped{ErrorCode::kUnavailable, "the store could not be opened again after a full disk"};

Error open_error(const RocksDb::Options& options, const rocksdb::Status& status) {
  const std::string text = status.ToString();
  if (status.IsIOError() && text.find("lock") != std::string::npos && text.find("LOCK") != std::string::npos &&
      text.find("Permission denied") == std::string::npos && !status.IsNoSpace()) {
    return {ErrorCode::kUnavailable,
            fmt::format("store {} is held by another controller; stop that one first", options.directory)};
  }
  if (status.IsInvalidArgument() && text.find("does not exist") != std::string::npos) {
    return {ErrorCode::kNotFound, fmt::format("there is no store in {}", options.directory)};
  }
  if (status.IsInvalidArgument())
    return {ErrorCode::kUnsupported, fmt::format("open store {}: {}", options.directory, text)};
  return with_context(ours(status), "open store " + options.directory);
}

}  // namespace

struct RocksDb::Impl {
  Options options;
  std::shared_ptr<ExpiryState> expiry = std::make_shared<ExpiryState>();
  std::shared_ptr<rocksdb::Cache> cache = rocksdb::NewLRUCache(kCacheBytes);

  // Shared by whoever uses the database, for as long as an iterator or snapshot lives; alone: while it is opened again.
  mutable std::shared_mutex gate;
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  std::atomic<bool> stopped = false;      // a write failed
  std::atomic<bool> gate_wanted = false;  // by who would open it again: whoever walks lets go

  rocksdb::ColumnFamilyHandle* family(Family f) const { return families[static_cast<std::size_t>(f)]; }

  rocksdb::Status open() {
    std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
    for (int i = 0; i < kFamilyCount; ++i) {
      descriptors.emplace_back(kFamilyNames[static_cast<std::size_t>(i)],
                               family_options(static_cast<Family>(i), options, cache, expiry));
    }
    rocksdb::DB* opened = nullptr;
    rocksdb::Status status;
    if (options.read_only) {
      for (int attempt = 0; attempt < kReadOnlyAttempts; ++attempt) {
        status = rocksdb::DB::OpenForReadOnly(db_options(options), options.directory, descriptors, &families, &opened);
        if (status.ok() || status.IsInvalidArgument()) break;
      }
    } else {
      status = rocksdb::DB::Open(db_options(options), options.directory, descriptors, &families, &opened);
    }
    if (status.ok()) db.reset(opened);
    return status;
  }
  void close() {
    if (!db) return;
    for (auto* handle : families) db->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
    families.clear();
    db->Close().PermitUncheckedError();
    db.reset();
  }
  ~Impl() { close(); }
};

struct RocksDb::View::Impl {
  const RocksDb& db;
  std::shared_lock<std::shared_mutex> lock;
  const rocksdb::Snapshot* snapshot = nullptr;
};

struct RocksDb::Cursor::Impl {
  const std::atomic<bool>& gate_wanted;
  std::shared_lock<std::shared_mutex> lock;
  std::unique_ptr<rocksdb::Iterator> iterator = nullptr;  // null: there was no database to read
  bool let_go = false;
};

RocksDb::RocksDb(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RocksDb::~RocksDb() = default;

Result<std::unique_ptr<RocksDb>> RocksDb::open(const Options& options) {
  std::error_code error;
  if (options.create && !options.read_only) {
    std::filesystem::create_directories(options.directory, error);
    if (error) {
      const bool denied = error == std::errc::permission_denied;
      return Error{denied ? ErrorCode::kPermissionDenied : ErrorCode::kUnavailable,
                   fmt::format("create store {}: {}", options.directory, error.message())};
    }
  } else if (!std::filesystem::exists(options.directory + "/CURRENT", error)) {
    return Error{error == std::errc::permission_denied ? ErrorCode::kPermissionDenied : ErrorCode::kNotFound,
                 fmt::format("there is no store in {}", options.directory)};
  }
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  if (const rocksdb::Status status = impl->open(); !status.ok()) return open_error(options, status);
  return std::unique_ptr<RocksDb>(new RocksDb(std::move(impl)));
}

Status RocksDb::check_room(Room room) const {
  const std::uint64_t kept = room == Room::kLeaveReserve ? impl_->options.reserve_bytes
                                                         : std::min(impl_->options.reserve_bytes, kOwnWriteBytes);
  const std::uint64_t needed = impl_->stopped ? std::max(kept, kReopenBytes) : kept;
  std::error_code error;
  const auto space = std::filesystem::space(impl_->options.directory, error);
  if (error || space.available >= needed) return {};
  return Error{ErrorCode::kUnavailable,
               fmt::format("disk full: {} MiB are free, {} MiB are kept for the store's own work",
                           space.available >> 20, needed >> 20)};
}

Status RocksDb::write(const Batch& batch, Sync sync, Room room) {
  const std::string where = "write to store " + impl_->options.directory;
  if (impl_->options.read_only) return Error{ErrorCode::kFailedPrecondition, where + ": it is open for reading only"};
  if (const Status fits = check_room(room); !fits) {
    impl_->gate_wanted = false;  // it cannot be opened again for this, and goes on answering
    return with_context(fits.error(), where);
  }
  const auto attempt = [&]() -> rocksdb::Status {
    const std::shared_lock lock(impl_->gate);
    if (!impl_->db) return rocksdb::Status::Aborted("not open");
    rocksdb::WriteBatch changes;
    for (const Batch::Change& change : batch.changes_) {
      rocksdb::ColumnFamilyHandle* family = impl_->family(change.family);
      // These fail only beyond a size limit, which is not set.
      if (change.value) {
        changes.Put(family, slice(change.key), slice(*change.value)).PermitUncheckedError();
      } else {
        changes.Delete(family, slice(change.key)).PermitUncheckedError();
      }
    }
    rocksdb::WriteOptions durable;
    durable.sync = sync == Sync::kNow;
    return impl_->db->Write(durable, &changes);
  };
  // RocksDB does not always call a full disk that: a file it could not write may be missing to it later on.
  const auto stop = [&](const rocksdb::Status& status) {
    impl_->stopped = true;
    const Error error = refusal(status);
    const Status fits = check_room(room);
    if (status.IsNoSpace() || fits) return with_context(error, where);
    return with_context({error.code, fits.error().message + ": " + error.message}, where);
  };
  if (const Status goes = go_on(room); !goes) return with_context(goes.error(), where);
  const rocksdb::Status status = attempt();
  return status.ok() ? Status() : stop(status);
}

Status RocksDb::go_on(Room room) {
  if (!impl_->stopped) return {};
  if (const Status fits = check_room(room); !fits) {
    impl_->gate_wanted = false;
    return fits;
  }
  // Not DB::Resume(), which refuses while RocksDB polls for space by itself and may go on with a log file that has
  // failed: opened again, the log is read as after a crash, and its torn end left behind.
  const std::unique_lock lock(impl_->gate, std::try_to_lock);
  if (!lock) {
    impl_->gate_wanted = true;
    return Error{ErrorCode::kUnavailable, "it is stopped, and still being read"};
  }
  impl_->gate_wanted = false;
  impl_->close();
  if (const rocksdb::Status status = impl_->open(); !status.ok()) return refusal(status);
  impl_->stopped = false;
  return {};
}

RocksDb::View::View(const RocksDb& db)
    : impl_(new Impl{db, std::shared_lock(db.impl_->gate), db.impl_->db ? db.impl_->db->GetSnapshot() : nullptr}) {}
RocksDb::View::~View() {
  if (impl_->snapshot) impl_->db.impl_->db->ReleaseSnapshot(impl_->snapshot);
}

Result<std::optional<std::string>> RocksDb::get(Family family, std::string_view key, const View* view) const {
  const std::shared_lock lock(impl_->gate);
  if (!impl_->db) return kStopped;
  rocksdb::ReadOptions read;
  if (view) read.snapshot = view->impl_->snapshot;
  std::string value;
  const rocksdb::Status status = impl_->db->Get(read, impl_->family(family), slice(key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  if (!status.ok()) return with_context(ours(status), "read store " + impl_->options.directory);
  return std::optional<std::string>(std::move(value));
}

RocksDb::Cursor RocksDb::cursor(Family family, const View* view, bool once) const {
  std::unique_ptr<Cursor::Impl> impl(new Cursor::Impl{impl_->gate_wanted, std::shared_lock(impl_->gate)});
  if (impl_->db) {
    rocksdb::ReadOptions read;
    if (view) read.snapshot = view->impl_->snapshot;
    read.fill_cache = !once;
    impl->iterator.reset(impl_->db->NewIterator(read, impl_->family(family)));
  }
  return Cursor(std::move(impl));
}

RocksDb::Cursor::Cursor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RocksDb::Cursor::Cursor(Cursor&&) noexcept = default;
RocksDb::Cursor::~Cursor() = default;
void RocksDb::Cursor::seek(std::string_view key) {
  if (impl_->iterator) impl_->iterator->Seek(slice(key));
}
void RocksDb::Cursor::seek_at_or_before(std::string_view key) {
  if (impl_->iterator) impl_->iterator->SeekForPrev(slice(key));
}
void RocksDb::Cursor::seek_last() {
  if (impl_->iterator) impl_->iterator->SeekToLast();
}
bool RocksDb::Cursor::valid() const {
  if (impl_->gate_wanted) impl_->let_go = true;
  return impl_->iterator && !impl_->let_go && impl_->iterator->Valid();
}
void RocksDb::Cursor::next() {
  impl_->iterator->Next();
}
void RocksDb::Cursor::previous() {
  impl_->iterator->Prev();
}
std::string_view RocksDb::Cursor::key() const {
  return view_of(impl_->iterator->key());
}
std::string_view RocksDb::Cursor::value() const {
  return view_of(impl_->iterator->value());
}
Status RocksDb::Cursor::status() const {
  if (!impl_->iterator) return kStopped;
  if (impl_->let_go) return Error{ErrorCode::kUnavailable, "the store is being opened again after a full disk"};
  const rocksdb::Status status = impl_->iterator->status();
  if (status.ok()) return {};
  return with_context(ours(status), "read store");
}

void RocksDb::set_expiry(Expiry expiry) {
  impl_->expiry->set(std::move(expiry));
}

std::shared_ptr<const RocksDb::Expiry> RocksDb::expiry() const {
  return impl_->expiry->get();
}

Status RocksDb::drop_files_before(Family family, std::string_view end) {
  const std::shared_lock lock(impl_->gate);
  if (!impl_->db) return kStopped;
  const rocksdb::Slice last = slice(end);
  // Not DeleteRange, which in this version can misread in rare cases. These keys are written once and never again, so
  // that no older value can come to light from a file below.
  const auto status = rocksdb::DeleteFilesInRange(impl_->db.get(), impl_->family(family), nullptr, &last, false);
  if (!status.ok()) return with_context(ours(status), "expire");
  return {};
}

Status RocksDb::compact_before(Family family, std::string_view end, bool whole_files) {
  if (whole_files) {
    if (const Status dropped = drop_files_before(family, end); !dropped) return dropped;
  }
  const std::shared_lock lock(impl_->gate);
  if (!impl_->db) return kStopped;
  rocksdb::ColumnFamilyHandle* handle = impl_->family(family);
  const rocksdb::Slice last = slice(end);
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  const auto status = impl_->db->CompactRange(options, handle, nullptr, &last);
  if (!status.ok()) return with_context(ours(status), "expire");
  return {};
}

std::uint64_t RocksDb::file_bytes(Family family) const {
  const std::shared_lock lock(impl_->gate);
  std::uint64_t bytes = 0;
  if (impl_->db) impl_->db->GetIntProperty(impl_->family(family), rocksdb::DB::Properties::kLiveSstFilesSize, &bytes);
  return bytes;
}

std::uint64_t RocksDb::disk_bytes() const {
  std::uint64_t total = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator it(impl_->options.directory, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code gone;  // RocksDB removes files while we look
    const auto size = it->file_size(gone);
    if (!gone) total += size;
  }
  return total;
}

}  // namespace proteus::store
