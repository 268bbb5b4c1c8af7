#include "controller/store/rocks_store.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "common/log.h"
#include "controller/store/store_scan.h"

namespace proteus::store {
namespace {

constexpr std::uint64_t kLsnMax = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kPeriodicCompactionSMin = 3600;

/// Highest key of a family of lsn keys, 0 if it is empty.
Result<std::uint64_t> highest_lsn(const RocksDb& db, Family family) {
  RocksDb::Cursor cursor = db.cursor(family);
  cursor.seek_last();
  if (cursor.valid()) return keys::parse_lsn_key(cursor.key());
  if (const Status status = cursor.status(); !status) return status.error();
  return std::uint64_t{0};
}

/// Of an entry that has no lsn yet.
std::size_t hash_of(const JournalEntry& entry) {
  return std::hash<std::string>()(keys::journal_value(entry));
}

}  // namespace

Result<std::unique_ptr<Store>> Store::open(StoreOptions options) {
  auto store = RocksStore::open(std::move(options));
  if (!store) return store.error();
  return std::unique_ptr<Store>(std::move(*store));
}

Result<std::vector<JournalEntry>> Store::journal_tail(std::size_t limit) const {
  std::vector<JournalEntry> entries;
  const Status read = visit_journal_tail(limit, [&](JournalEntry&& entry) {
    entries.push_back(std::move(entry));
    return true;
  });
  if (!read) return read.error();
  return entries;
}

Result<std::unique_ptr<RocksStore>> RocksStore::open(StoreOptions options) {
  const auto shortest = std::min(options.raw_retention, options.journal_retention);
  const auto quarter_s = std::chrono::duration_cast<std::chrono::seconds>(shortest / 4).count();
  auto db =
      RocksDb::open({.directory = options.directory,
                     .create = options.create,
                     .read_only = options.read_only,
                     .reserve_bytes = options.reserve_bytes,
                     .periodic_compaction_s = std::max(static_cast<std::uint64_t>(std::max<std::int64_t>(quarter_s, 0)),
                                                       kPeriodicCompactionSMin)});
  if (!db) return db.error();
  keys::State state;
  const auto stored = (*db)->get(Family::kMeta, keys::kStateKey);
  if (!stored) return stored.error();
  if (*stored) {
    const auto parsed = keys::parse_state(**stored);
    if (!parsed) return with_context(parsed.error(), "open store " + options.directory);
    state = *parsed;
  }
  // The state is written with every append, so it is ahead of every key; should it ever not be, the keys win.
  for (const Family family : {Family::kRaw, Family::kJournal}) {
    const auto highest = highest_lsn(**db, family);
    if (!highest) return with_context(highest.error(), "open store " + options.directory);
    state.next_lsn = std::max(state.next_lsn, *highest + 1);
  }
  RocksDb::Expiry expiry;
  expiry.raw_floor_lsn = state.raw_floor_lsn;
  const auto kept = (*db)->get(Family::kMeta, keys::kKeptKey);
  if (!kept) return kept.error();
  if (*kept) {
    // In another form it is as if it were not there: expire() writes it anew.
    if (const auto parsed = keys::parse_kept(**kept)) {
      // What lies too far ahead only a clock that is believed can tell.
      expiry.pages.from_us = parsed->pages_from_us;
      expiry.minutes.from_us = parsed->minutes_from_us;
      expiry.hours.from_us = parsed->hours_from_us;
    }
  }
  (*db)->set_expiry(std::move(expiry));
  std::unique_ptr<RocksStore> store(new RocksStore(std::move(options), std::move(*db), state));
  auto pages = PageWriter::open(*store->db_, store->options_.read_only, store->options_.host_entities_bytes_max);
  if (!pages) return with_context(pages.error(), "open store " + store->options_.directory);
  store->pages_ = std::move(*pages);
  store->series_ = std::make_unique<SeriesReader>(*store->db_, *store->pages_);
  store->pages_->notify(state.next_lsn - 1);
  store->pages_->start([raw = store.get()](std::uint64_t from_lsn, const auto& visit) {
    return raw->scan_lsn(from_lsn, kLsnMax, {.raw = visit, .journal = nullptr});
  });
  if (store->options_.read_only) {
    if (const Status read = store->pages_->catch_up(); !read) return read.error();
  }
  return store;
}

RocksStore::~RocksStore() {
  pages_.reset();  // its thread reads what is below
}

const SeriesReader* RocksStore::series() const {
  return series_.get();
}

RocksStore::RocksStore(StoreOptions options, std::unique_ptr<RocksDb> db, keys::State state)
    : options_(std::move(options)), db_(std::move(db)), state_(state) {}

void RocksStore::begin_run(RocksDb::Batch& batch, std::optional<std::int64_t>& second, Timestamp time,
                           std::uint64_t lsn) {
  const std::int64_t now = keys::second_of(time);
  if (second == now) return;
  second = now;
  batch.put(Family::kTime, keys::time_key(now, lsn), "");
}

Status RocksStore::append(std::vector<RawMessage>& messages) {
  if (messages.empty()) return {};
  std::lock_guard lock(append_mutex_);
  RocksDb::Batch batch;
  keys::State next = state_;
  std::optional<std::int64_t> second = run_second_;
  std::map<std::string, keys::NewestFrame> newest;
  std::set<std::string> catalogs;
  if (refused_) {
    if (const Status goes = db_->go_on(); !goes) {
      return with_context(goes.error(), "write to store " + options_.directory);
    }
  }
  for (RawMessage& message : messages) {
    next.appended.raw_messages += 1;
    next.appended.raw_bytes += message.bytes.size();
    const keys::Boot boot{message.host, message.boot_id};
    if (refused_ && message.sequence != 0) {
      const auto lsn = lsn_of(boot, message.sequence);
      if (!lsn) return lsn.error();
      message.lsn = lsn->value_or(0);
      if (*lsn) continue;
    }
    begin_run(batch, second, message.received, next.next_lsn);
    message.lsn = next.next_lsn++;
    batch.put(Family::kRaw, keys::lsn_key(message.lsn), keys::raw_value(message));
    if (message.sequence == 0) {
      const std::string key = keys::catalog_key(boot, message.catalog_version);
      const auto stays = catalog_stays(boot, key);
      if (!stays) return stays.error();
      if (*stays) catalogs_told_again_.insert(key);
      if (!*stays && catalogs.insert(key).second) batch.put(Family::kCatalog, key, keys::catalog_value(message));
    } else {
      batch.put(Family::kFrame, keys::frame_key(boot, message.sequence),
                keys::frame_value({message.lsn, message.base_sequence, message.catalog_version}));
      keys::NewestFrame& last = newest[keys::newest_key(boot)];
      if (message.sequence >= last.sequence) last = {message.sequence, message.lsn, message.received};
    }
  }
  for (auto& [key, last] : newest) batch.put(Family::kMeta, key, keys::newest_value(last));
  batch.put(Family::kMeta, keys::kStateKey, keys::state_value(next));
  if (const Status status = db_->write(batch); !status) {
    state_.next_lsn = next.next_lsn;  // should the disk have taken it after all, its numbers are spent
    run_second_.reset();
    for (RawMessage& message : messages) message.lsn = 0;
    refused_ = true;
    return status;
  }
  state_ = next;
  run_second_ = second;
  refused_ = false;
  pages_->notify(next.next_lsn - 1);
  return {};
}

/// nullopt: there is none. Errors: kUnavailable, kCorrupt.
Result<std::optional<RawMessage>> RocksStore::catalog_at(const std::string& key) const {
  const auto value = db_->get(Family::kCatalog, key);
  if (!value) return value.error();
  if (!*value) return std::optional<RawMessage>();
  auto catalog = keys::parse_catalog(key, **value);
  if (!catalog) return catalog.error();
  return std::optional(std::move(*catalog));
}

/// Whether the first copy of a catalog is kept when it comes again, as after a reconnect: frames that need it stand
/// behind it, and however old it is, it goes no sooner than they do. Errors: kUnavailable, kCorrupt.
Result<bool> RocksStore::catalog_stays(const keys::Boot& boot, const std::string& key) const {
  const auto copy = catalog_at(key);
  if (!copy && copy.error().code == ErrorCode::kCorrupt) {
    log::error("a catalog of {} is damaged and put anew: {}", boot.host.value, copy.error().message);
    return false;
  }
  if (!copy) return copy.error();
  if (!*copy) return false;
  if ((*copy)->lsn >= state_.raw_floor_lsn) return true;
  // Without frames above the floor it may be on its way out.
  const auto value = db_->get(Family::kMeta, keys::newest_key(boot));
  if (!value) return value.error();
  if (!*value) return false;
  const auto newest = keys::parse_newest_value(**value);
  if (!newest) return newest.error();
  return newest->lsn >= state_.raw_floor_lsn;
}

/// nullopt: the frame is not stored. Errors: kUnavailable, kCorrupt.
Result<std::optional<std::uint64_t>> RocksStore::lsn_of(const keys::Boot& boot, std::uint64_t sequence) const {
  const auto value = db_->get(Family::kFrame, keys::frame_key(boot, sequence));
  if (!value) return value.error();
  if (!*value) return std::optional<std::uint64_t>();
  const auto frame = keys::parse_frame_value(**value);
  if (!frame) return frame.error();
  return std::optional(frame->lsn);
}

Status RocksStore::append(std::vector<JournalEntry>& entries) {
  if (entries.empty()) return {};
  std::lock_guard lock(append_mutex_);
  RocksDb::Batch batch;
  keys::State next = state_;
  std::optional<std::int64_t> second = run_second_;
  const auto refuse = [&](const Error& error) {
    state_.next_lsn = next.next_lsn;
    run_second_.reset();
    for (JournalEntry& entry : entries) {
      const std::uint64_t lsn = std::exchange(entry.lsn, 0);
      if (lsn != 0) refused_entries_.emplace(hash_of(entry), lsn);
    }
    return error;
  };
  if (!refused_entries_.empty()) {
    if (const Status goes = db_->go_on(); !goes) {
      return with_context(goes.error(), "write to store " + options_.directory);
    }
  }
  const auto note_action = [&](ActionId action, drs::ActionState state, std::uint64_t lsn) {
    batch.put(Family::kMeta, keys::action_key(action, lsn), "");
    if (drs::is_final(state)) {
      batch.erase(Family::kMeta, keys::open_key(action));
    } else {
      batch.put(Family::kMeta, keys::open_key(action), "");
    }
  };
  for (JournalEntry& entry : entries) {
    if (!is_state(entry.payload)) next.appended.journal_entries += 1;
    const auto is_written = take_written(entry);
    if (!is_written) return refuse(is_written.error());
    if (*is_written) continue;
    entry.lsn = next.next_lsn++;
    begin_run(batch, second, entry.time, entry.lsn);
    batch.put(Family::kJournal, keys::lsn_key(entry.lsn), keys::journal_value(entry));
    if (const auto* record = std::get_if<drs::ActionRecord>(&entry.payload)) {
      note_action(record->action.id, record->state, entry.lsn);
    } else if (const auto* transition = std::get_if<drs::Transition>(&entry.payload)) {
      note_action(transition->action, transition->to, entry.lsn);
    } else if (std::holds_alternative<Started>(entry.payload)) {
      batch.put(Family::kMeta, keys::started_key(entry.lsn), keys::started_value(entry.time));
    }
  }
  batch.put(Family::kMeta, keys::kStateKey, keys::state_value(next));
  if (const Status status = db_->write(batch); !status) return refuse(status.error());
  state_ = next;
  run_second_ = second;
  return {};
}

Result<bool> RocksStore::take_written(JournalEntry& entry) {
  entry.lsn = 0;
  if (refused_entries_.empty()) return false;
  auto [refused, end] = refused_entries_.equal_range(hash_of(entry));
  while (refused != end) {
    entry.lsn = refused->second;
    refused = refused_entries_.erase(refused);
    const auto stored = db_->get(Family::kJournal, keys::lsn_key(entry.lsn));
    if (!stored) return stored.error();
    if (*stored == keys::journal_value(entry)) return true;
  }
  entry.lsn = 0;
  return false;
}

Result<std::optional<std::uint64_t>> RocksStore::last_sequence(const HostId& host, std::uint64_t boot_id) const {
  const auto value = db_->get(Family::kMeta, keys::newest_key({host, boot_id}));
  if (!value) return with_context(value.error(), "last sequence of " + host.value);
  if (!*value) return std::optional<std::uint64_t>();
  const auto newest = keys::parse_newest_value(**value);
  if (!newest) return with_context(newest.error(), "last sequence of " + host.value);
  return std::optional<std::uint64_t>(newest->sequence);
}

Result<std::map<HostId, Timestamp>> RocksStore::last_heard() const {
  const std::uint64_t floor_lsn = floors().raw_lsn;
  std::map<HostId, Timestamp> heard;
  RocksDb::Cursor cursor = db_->cursor(Family::kMeta);
  for (cursor.seek(keys::kNewestPrefix); cursor.valid() && cursor.key().starts_with(keys::kNewestPrefix);
       cursor.next()) {
    const auto boot = keys::parse_newest_key(cursor.key());
    if (!boot) return boot.error();
    const auto newest = keys::parse_newest_value(cursor.value());
    if (!newest) return newest.error();
    if (newest->lsn < floor_lsn) continue;
    Timestamp& last = heard[boot->host];
    last = std::max(last, newest->received);
  }
  if (const Status status = cursor.status(); !status) return status.error();
  return heard;
}

RocksStore::Floors RocksStore::floors() const {
  std::lock_guard lock(append_mutex_);
  return {state_.raw_floor_lsn, state_.journal_floor_lsn};
}

Status RocksStore::scan(Timestamp from, Timestamp to, const Visitor& visitor) const {
  const Floors floor = floors();
  const RocksDb::View view(*db_);
  auto range = range_of(*db_, view, from, to);
  if (!range) return range.error();
  if (!*range) return {};
  (*range)->raw_floor_lsn = floor.raw_lsn;
  (*range)->journal_floor_lsn = floor.journal_lsn;
  return store::scan(*db_, view, **range, visitor);
}

Status RocksStore::scan_lsn(std::uint64_t from_lsn, std::uint64_t to_lsn, const Visitor& visitor) const {
  const Floors floor = floors();
  const RocksDb::View view(*db_);
  ScanRange range;
  range.from_lsn = from_lsn;
  range.to_lsn = to_lsn;
  range.raw_floor_lsn = floor.raw_lsn;
  range.journal_floor_lsn = floor.journal_lsn;
  return store::scan(*db_, view, range, visitor);
}

Result<std::optional<JournalEntry>> RocksStore::journal_entry(std::uint64_t lsn) const {
  const auto value = db_->get(Family::kJournal, keys::lsn_key(lsn));
  if (!value) return value.error();
  if (!*value) return std::optional<JournalEntry>();
  const auto parsed = keys::parse_journal_value(**value);
  if (!parsed) return parsed.error();
  auto entry = decode_journal_entry(parsed->bytes);
  if (!entry) return entry.error();
  return std::optional<JournalEntry>(std::move(*entry));
}

Status RocksStore::visit_journal_tail(std::size_t limit, const JournalVisitor& visit) const {
  const std::uint64_t floor_lsn = floors().journal_lsn;
  RocksDb::Cursor cursor = db_->cursor(Family::kJournal);
  for (cursor.seek_last(); cursor.valid() && limit > 0; cursor.previous()) {
    const auto lsn = keys::parse_lsn_key(cursor.key());
    if (!lsn) return lsn.error();
    if (*lsn < floor_lsn) break;
    const auto parsed = keys::parse_journal_value(cursor.value());
    if (!parsed) return parsed.error();
    if (keys::is_state_kind(parsed->kind)) continue;
    auto entry = decode_journal_entry(parsed->bytes);
    if (!entry) return entry.error();
    if (!visit(std::move(*entry))) return {};
    --limit;
  }
  return cursor.status();
}

Result<std::optional<JournalEntry>> RocksStore::last_started(Timestamp at) const {
  RocksDb::Cursor cursor = db_->cursor(Family::kMeta);
  for (cursor.seek_at_or_before(keys::started_key(kLsnMax));
       cursor.valid() && cursor.key().starts_with(keys::kStartedPrefix); cursor.previous()) {
    const auto time = keys::parse_started_value(cursor.value());
    if (!time) return time.error();
    if (*time > at) continue;
    const auto lsn = keys::parse_started_key(cursor.key());
    if (!lsn) return lsn.error();
    return journal_entry(*lsn);
  }
  if (const Status status = cursor.status(); !status) return status.error();
  return std::optional<JournalEntry>();
}

Result<std::optional<JournalEntry>> RocksStore::first_started() const {
  RocksDb::Cursor cursor = db_->cursor(Family::kMeta);
  cursor.seek(keys::kStartedPrefix);
  if (!cursor.valid()) {
    if (const Status status = cursor.status(); !status) return status.error();
    return std::optional<JournalEntry>();
  }
  if (!cursor.key().starts_with(keys::kStartedPrefix)) return std::optional<JournalEntry>();
  const auto lsn = keys::parse_started_key(cursor.key());
  if (!lsn) return lsn.error();
  return journal_entry(*lsn);
}

Result<std::vector<drs::ActionRecord>> RocksStore::open_actions() const {
  const RocksDb::View view(*db_);
  std::vector<drs::ActionRecord> records;
  RocksDb::Cursor open = db_->cursor(Family::kMeta, &view);
  RocksDb::Cursor life = db_->cursor(Family::kMeta, &view);
  for (open.seek(keys::kOpenPrefix); open.valid() && open.key().starts_with(keys::kOpenPrefix); open.next()) {
    const auto action = keys::parse_open_key(open.key());
    if (!action) return action.error();
    std::optional<drs::ActionRecord> record;
    const std::string prefix = keys::action_prefix(*action);
    for (life.seek(prefix); life.valid() && life.key().starts_with(prefix); life.next()) {
      const auto place = keys::parse_action_key(life.key());
      if (!place) return place.error();
      auto entry = journal_entry(place->lsn);
      if (!entry) return with_context(entry.error(), fmt::format("action {}", *action));
      if (!*entry) continue;
      if (auto* intent = std::get_if<drs::ActionRecord>(&(*entry)->payload)) {
        record = std::move(*intent);
        continue;
      }
      auto* transition = std::get_if<drs::Transition>(&(*entry)->payload);
      if (!record || !transition) {
        return Error{ErrorCode::kCorrupt,
                     fmt::format("action {}: the journal has no intent in front of lsn {}", *action, place->lsn)};
      }
      const Status applied = drs::apply(*record, std::move(*transition));
      if (!applied)
        return Error{ErrorCode::kCorrupt, fmt::format("journal, lsn {}: {}", place->lsn, applied.error().message)};
    }
    if (const Status status = life.status(); !status) return status.error();
    if (record) records.push_back(std::move(*record));
  }
  if (const Status status = open.status(); !status) return status.error();
  return records;
}

Result<std::optional<std::string>> RocksStore::get_meta(const std::string& key) const {
  return db_->get(Family::kMeta, keys::user_key(key));
}

Status RocksStore::put_meta(const std::string& key, const std::string& value) {
  RocksDb::Batch batch;
  batch.put(Family::kMeta, keys::user_key(key), value);
  return db_->write(batch);
}

Status RocksStore::put_models(const std::vector<std::pair<std::string, std::string>>& models) {
  RocksDb::Batch batch;
  for (const auto& [key, value] : models) batch.put(Family::kModel, key, value);
  return db_->write(batch);
}

Status RocksStore::visit_models(const std::string& prefix, const ModelVisitor& visit) const {
  RocksDb::Cursor cursor = db_->cursor(Family::kModel, nullptr, true);
  for (cursor.seek(prefix); cursor.valid() && cursor.key().starts_with(prefix); cursor.next()) {
    if (!visit(std::string(cursor.key()), std::string(cursor.value()))) return {};
  }
  return cursor.status();
}

Status RocksStore::erase_models(const std::vector<std::string>& keys) {
  RocksDb::Batch batch;
  for (const std::string& key : keys) batch.erase(Family::kModel, key);
  return db_->write(batch);
}

Store::Figures RocksStore::figures() const {
  Figures figures;
  {
    std::lock_guard lock(append_mutex_);
    figures.raw_messages = state_.appended.raw_messages - state_.expired.raw_messages;
    figures.raw_bytes = state_.appended.raw_bytes - state_.expired.raw_bytes;
    figures.journal_entries = state_.appended.journal_entries - state_.expired.journal_entries;
  }
  figures.disk_bytes = db_->disk_bytes();
  const PageWriter::Counters pages = pages_->counters();
  figures.series_unread = pages.unread;
  figures.series_problem = pages.problem;
  figures.entities_forgotten_early = pages.forgotten_early;
  figures.frames_not_placed = pages.not_placed;
  figures.frames_undecoded = pages.undecoded;
  return figures;
}

Result<RocksStore::CompactedBytes> RocksStore::compacted_bytes() {
  const std::string end(64, '\xff');
  for (const Family family : {Family::kPage, Family::kSeries, Family::kRollup}) {
    if (const Status compacted = db_->compact_before(family, end, false); !compacted) return compacted.error();
  }
  return CompactedBytes{db_->file_bytes(Family::kPage) + db_->file_bytes(Family::kSeries),
                        db_->file_bytes(Family::kRollup)};
}

}  // namespace proteus::store
