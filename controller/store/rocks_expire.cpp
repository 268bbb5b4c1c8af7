#include <algorithm>
#include <set>

#include "controller/store/rocks_store.h"

namespace proteus::store {
namespace {

// An agent that was out of reach may send again what is durable; its newest sequence is remembered for this long.
constexpr Nanoseconds kBootMemory = std::chrono::hours(24 * 30);

struct Floor {
  std::uint64_t lsn = 0;
  keys::Totals before;
};

/// The lowest lsn of a run whose second is not past; everything below it is older. Runs of a clock that was set back are
/// part of the comparison, so nothing young is lost. Without a young run: everything up to now is old.
Result<Floor> floor_at(const RocksDb& db, Timestamp cutoff, const keys::State& state) {
  Floor floor{state.next_lsn, state.appended};
  RocksDb::Cursor runs = db.cursor(Family::kTime);
  for (runs.seek(keys::time_key(keys::second_of(cutoff), 0)); runs.valid(); runs.next()) {
    const auto lsn = keys::parse_time_lsn(runs.key());
    if (!lsn) return lsn.error();
    if (*lsn >= floor.lsn) continue;
    const auto before = keys::parse_time_value(runs.value());
    if (!before) return before.error();
    floor = {*lsn, *before};
  }
  if (const Status status = runs.status(); !status) return status.error();
  return floor;
}

}  // namespace

Result<std::set<std::uint64_t>> RocksStore::kept_journal_lsns() const {
  std::set<std::uint64_t> kept;
  const RocksDb::View view(*db_);
  RocksDb::Cursor open = db_->cursor(Family::kMeta, &view);
  RocksDb::Cursor life = db_->cursor(Family::kMeta, &view);
  for (open.seek(keys::kOpenPrefix); open.valid() && open.key().starts_with(keys::kOpenPrefix); open.next()) {
    const auto action = keys::parse_open_key(open.key());
    if (!action) return action.error();
    const std::string prefix = keys::action_prefix(*action);
    for (life.seek(prefix); life.valid() && life.key().starts_with(prefix); life.next()) {
      const auto place = keys::parse_action_key(life.key());
      if (!place) return place.error();
      kept.insert(place->lsn);
    }
    if (const Status status = life.status(); !status) return status.error();
  }
  if (const Status status = open.status(); !status) return status.error();
  // The run that goes on was begun by the last Started, however long ago.
  RocksDb::Cursor started = db_->cursor(Family::kMeta, &view);
  started.seek_at_or_before(keys::started_key(~std::uint64_t{0}));
  if (started.valid() && started.key().starts_with(keys::kStartedPrefix)) {
    const auto lsn = keys::parse_started_key(started.key());
    if (!lsn) return lsn.error();
    kept.insert(*lsn);
  }
  if (const Status status = started.status(); !status) return status.error();
  return kept;
}

// Index entries that compaction does not drop by itself: of actions, starts, boots and catalogs. There are few.
Status RocksStore::erase_index(RocksDb::Batch& batch, const keys::State& state, Timestamp boots_before,
                               const std::set<std::uint64_t>& kept) {
  const RocksDb::View view(*db_);
  RocksDb::Cursor meta = db_->cursor(Family::kMeta, &view);
  for (meta.seek(keys::kActionPrefix); meta.valid() && meta.key().starts_with(keys::kActionPrefix); meta.next()) {
    const auto place = keys::parse_action_key(meta.key());
    if (!place) return place.error();
    if (place->lsn < state.journal_floor_lsn && !kept.contains(place->lsn)) batch.erase(*db_, Family::kMeta, meta.key());
  }
  for (meta.seek(keys::kStartedPrefix); meta.valid() && meta.key().starts_with(keys::kStartedPrefix); meta.next()) {
    const auto lsn = keys::parse_started_key(meta.key());
    if (!lsn) return lsn.error();
    if (*lsn < state.journal_floor_lsn && !kept.contains(*lsn)) batch.erase(*db_, Family::kMeta, meta.key());
  }
  std::set<std::string> boots_with_frames;
  for (meta.seek(keys::kNewestPrefix); meta.valid() && meta.key().starts_with(keys::kNewestPrefix); meta.next()) {
    const auto boot = keys::parse_newest_key(meta.key());
    if (!boot) return boot.error();
    const auto newest = keys::parse_newest_value(meta.value());
    if (!newest) return newest.error();
    if (newest->lsn >= state.raw_floor_lsn) {
      boots_with_frames.insert(keys::boot_prefix(*boot));
    } else if (newest->received < boots_before) {
      batch.erase(*db_, Family::kMeta, meta.key());
    }
  }
  if (const Status status = meta.status(); !status) return status;

  // A catalog goes once no frame above the floor can name it: a newer one of its boot is below the floor too, or the boot
  // has no frame left.
  RocksDb::Cursor catalogs = db_->cursor(Family::kCatalog, &view);
  std::string previous_key;
  std::string previous_boot;
  for (catalogs.seek(""); catalogs.valid(); catalogs.next()) {
    const auto catalog = keys::parse_catalog(catalogs.key(), catalogs.value());
    if (!catalog) return catalog.error();
    const std::string boot = keys::boot_prefix({catalog->host, catalog->boot_id});
    const bool below = catalog->lsn < state.raw_floor_lsn;
    if (below && boot == previous_boot) batch.erase(*db_, Family::kCatalog, previous_key);
    if (below && !boots_with_frames.contains(boot)) batch.erase(*db_, Family::kCatalog, catalogs.key());
    previous_key = catalogs.key();
    previous_boot = boot;
  }
  return catalogs.status();
}

Status RocksStore::expire(Timestamp now) {
  bool raw_moved = false;
  bool journal_moved = false;
  keys::State next;
  {
    std::lock_guard lock(append_mutex_);
    next = state_;
    const auto raw = floor_at(*db_, now - options_.raw_retention, state_);
    if (!raw) return raw.error();
    const auto journal = floor_at(*db_, now - options_.journal_retention, state_);
    if (!journal) return journal.error();
    raw_moved = raw->lsn > state_.raw_floor_lsn;
    journal_moved = journal->lsn > state_.journal_floor_lsn;
    if (!raw_moved && !journal_moved) return {};
    if (raw_moved) {
      next.raw_floor_lsn = raw->lsn;
      next.at_raw_floor = raw->before;
    }
    if (journal_moved) {
      next.journal_floor_lsn = journal->lsn;
      next.at_journal_floor = journal->before;
    }
    auto kept = kept_journal_lsns();
    if (!kept) return kept.error();
    RocksDb::Batch batch;
    if (const Status status = erase_index(batch, next, now - std::max(kBootMemory, options_.raw_retention), *kept); !status) {
      return status;
    }
    batch.put(*db_, Family::kMeta, keys::kStateKey, keys::state_value(next));
    if (const Status status = db_->write(batch); !status) return status;
    state_ = next;
    db_->set_expiry({.raw_floor_lsn = next.raw_floor_lsn, .journal_floor_lsn = next.journal_floor_lsn, .kept = std::move(*kept)});
  }
  if (raw_moved) {
    if (const Status status = db_->compact_before(Family::kRaw, keys::lsn_key(next.raw_floor_lsn), true); !status) return status;
  }
  if (journal_moved) return db_->compact_before(Family::kJournal, keys::lsn_key(next.journal_floor_lsn), false);
  return {};
}

}  // namespace proteus::store
