#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/log.h"
#include "controller/store/rocks_store.h"
#include "controller/store/store_scan.h"

namespace proteus::store {
namespace {

// An agent that was out of reach may send again what is durable; its newest sequence is remembered for this long.
constexpr Nanoseconds kBootMemory = std::chrono::hours(24 * 30);
// Nor are more remembered of a host that have no frame left, so that one whose agent begins again and again does not
// make each scan and expire() longer for a month: it begins 2,048 times an hour at most.
constexpr std::size_t kSilentBootsMax = 4096;
// While they are, appends wait.
constexpr std::size_t kForgottenAtOnceMax = 16'384;
// So long after its last measurement has expired, an entity is forgotten.
constexpr Nanoseconds kEntityMemory = std::chrono::hours(24 * 7);
// A host that has sent nothing for so long has its ticks sealed as they are.
constexpr Nanoseconds kIdle = std::chrono::minutes(15);
// No frame's keyframe is older than this: 60 frames at the longest tick, and as many again with each stream that began
// anew with a keyframe that was stored already.
constexpr Nanoseconds kKeyframeAge = std::chrono::hours(6);

// They are read whole for it.
constexpr Nanoseconds kCatalogWalkInterval = std::chrono::hours(1);

// What is stamped so far ahead was so by a clock that has been set right since.
constexpr Nanoseconds kAhead = std::chrono::hours(1);

struct WalkTo {
  Timestamp cutoff;  // what is older goes
  Timestamp now;
  std::uint64_t lsn_max = std::numeric_limits<std::uint64_t>::max();
};

bool is_damaged(const Error& error) {
  return error.code == ErrorCode::kCorrupt;
}
bool is_damaged(const Status& status) {
  return !status && is_damaged(status.error());
}

/// Walks a family from its floor to the first entry that is young, counting what it passes. One that lies ahead is as
/// old as what was stored after it.
class Walk {
 public:
  Walk(const RocksDb& db, Family family, std::uint64_t from_lsn, const WalkTo& to)
      : floor_lsn(from_lsn), db_(db), family_(family), to_(to) {}

  std::uint64_t floor_lsn;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;  // of telemetry
  bool has_damage = false;  // passed some

  Status run() {
    std::uint64_t passed_lsn = 0;  // everything before it goes
    for (;;) {
      const Status walked = run_to_damage(passed_lsn);
      if (!is_damaged(walked)) return walked;
      const Result<bool> passed = pass_damage(walked.error());
      if (!passed) return passed.error();
      if (!*passed) return {};
    }
  }

 private:
  /// Errors: kCorrupt, with the floor at what cannot be read.
  Status run_to_damage(std::uint64_t& passed_lsn) {
    RocksDb::Cursor cursor = db_.cursor(family_, nullptr, true);
    for (cursor.seek(keys::lsn_key(floor_lsn)); cursor.valid(); cursor.next()) {
      const Result<Entry> entry = read(cursor);
      if (!entry) return entry.error();
      if (entry->lsn >= to_.lsn_max) break;
      if (is_ahead(*entry) && entry->lsn >= passed_lsn) {
        const Result<std::uint64_t> old = old_one_behind(entry->lsn);
        if (!old) return old.error();
        if (*old == 0) break;
        passed_lsn = *old;
      } else if (entry->time >= to_.cutoff && entry->lsn >= passed_lsn) {
        break;
      }
      floor_lsn = entry->lsn + 1;
      if (!entry->is_state) entries += 1;
      bytes += entry->bytes;
    }
    return cursor.status();
  }

  struct Entry {
    std::uint64_t lsn = 0;
    Timestamp time;
    std::uint64_t bytes = 0;
    bool is_state = false;  // not counted: it goes before its time
  };

  bool is_ahead(const Entry& entry) const { return entry.time > to_.now + kAhead; }

  Result<Entry> read(const RocksDb::Cursor& cursor) const {
    const auto lsn = keys::parse_lsn_key(cursor.key());
    if (!lsn) return lsn.error();
    if (family_ == Family::kRaw) {
      const auto message = keys::parse_raw_value(*lsn, cursor.value());
      if (!message) return message.error();
      return Entry{*lsn, message->received, message->bytes.size()};
    }
    const auto entry = keys::parse_journal_value(cursor.value());
    if (!entry) return entry.error();
    return Entry{*lsn, entry->time, 0, keys::is_state_kind(entry->kind)};
  }

  /// To what can be read behind it; what cannot be read tells no time, and goes. False: nothing is behind it.
  Result<bool> pass_damage(const Error& damage) {
    const auto behind = first_behind_damage(db_, family_, floor_lsn);
    if (!behind) return behind.error();
    if (!*behind || **behind >= to_.lsn_max) return false;
    log::error("expire: {} of lsn {} to {} cannot be read: {}", family_ == Family::kRaw ? "telemetry" : "the journal",
               floor_lsn, **behind - 1, damage.message);
    floor_lsn = **behind;
    return has_damage = true;
  }

  /// The first after `lsn` that does not lie ahead, about: however many do, few are looked at. 0 if it is young or
  /// there is none.
  Result<std::uint64_t> old_one_behind(std::uint64_t lsn) const {
    for (std::uint64_t step = 1; step < to_.lsn_max - lsn; step *= 2) {
      RocksDb::Cursor cursor = db_.cursor(family_, nullptr, true);
      cursor.seek(keys::lsn_key(lsn + step));
      if (!cursor.valid()) {
        const Status status = cursor.status();
        if (is_damaged(status)) continue;
        if (!status) return status.error();
        break;
      }
      const Result<Entry> entry = read(cursor);
      if (!entry && is_damaged(entry.error())) continue;
      if (!entry) return entry.error();
      if (is_ahead(*entry)) continue;
      return entry->time < to_.cutoff && entry->lsn < to_.lsn_max ? entry->lsn : 0;
    }
    return std::uint64_t{0};
  }

  const RocksDb& db_;
  Family family_;
  WalkTo to_;
};

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

namespace {

struct SilentBoot {
  std::uint64_t boot_id = 0;
  keys::NewestFrame newest;
};

}  // namespace

// Index entries that compaction does not drop by itself: of actions, starts, boots and catalogs. Found while telemetry
// and journal go on, so that erase() looks again at what a frame may have changed meanwhile.
struct RocksStore::DeadIndex {
  struct Silent {
    std::string newest_key;
    std::string newest_value;
    std::vector<std::string> catalog_keys;  // for want of frames
    bool is_forgotten = false;
  };
  RocksDb::Batch certain;
  std::vector<std::string> superseded;  // keys of catalogs
  /// Boots without a frame above the floor that are forgotten or have catalogs, by the prefix of their keys.
  std::map<std::string, Silent> silent;

  void forget(const HostId& host, std::vector<SilentBoot>& boots, Timestamp boots_before);
};

/// Which of a host's boots without a frame above the floor; `boots` is empty then.
void RocksStore::DeadIndex::forget(const HostId& host, std::vector<SilentBoot>& boots, Timestamp boots_before) {
  const auto kept = boots.begin() + static_cast<std::ptrdiff_t>(std::min(boots.size(), kSilentBootsMax));
  std::nth_element(boots.begin(), kept, boots.end(),
                   [](const SilentBoot& a, const SilentBoot& b) { return a.newest.lsn > b.newest.lsn; });
  for (auto boot = boots.begin(); boot != boots.end() && silent.size() < kForgottenAtOnceMax; ++boot) {
    if (boot < kept && boot->newest.received >= boots_before) continue;
    const keys::Boot of{host, boot->boot_id};
    silent[keys::boot_prefix(of)] = {keys::newest_key(of), keys::newest_value(boot->newest), {}, true};
  }
  boots.clear();
}

namespace {

Result<RawMessage> catalog_under(const RocksDb::Cursor& cursor) {
  if (!cursor.valid()) return cursor.status().error();
  return keys::parse_catalog(cursor.key(), cursor.value());
}

}  // namespace

Result<RocksStore::DeadIndex> RocksStore::dead_index(const Floors& floors, Timestamp boots_before, bool catalogs_too,
                                                     const std::set<std::uint64_t>& kept) const {
  DeadIndex dead;
  const RocksDb::View view(*db_);
  RocksDb::Cursor meta = db_->cursor(Family::kMeta, &view);
  for (meta.seek(keys::kActionPrefix); meta.valid() && meta.key().starts_with(keys::kActionPrefix); meta.next()) {
    const auto place = keys::parse_action_key(meta.key());
    if (!place) return place.error();
    if (place->lsn < floors.journal_lsn && !kept.contains(place->lsn)) dead.certain.erase(Family::kMeta, meta.key());
  }
  for (meta.seek(keys::kStartedPrefix); meta.valid() && meta.key().starts_with(keys::kStartedPrefix); meta.next()) {
    const auto lsn = keys::parse_started_key(meta.key());
    if (!lsn) return lsn.error();
    if (*lsn < floors.journal_lsn && !kept.contains(*lsn)) dead.certain.erase(Family::kMeta, meta.key());
  }
  std::set<std::string> boots_with_frames;
  HostId host;
  std::vector<SilentBoot> of_host;
  for (meta.seek(keys::kNewestPrefix); meta.valid() && meta.key().starts_with(keys::kNewestPrefix); meta.next()) {
    const auto boot = keys::parse_newest_key(meta.key());
    if (!boot) return boot.error();
    const auto newest = keys::parse_newest_value(meta.value());
    if (!newest) return newest.error();
    if (boot->host != host) dead.forget(host, of_host, boots_before);
    host = boot->host;
    if (newest->lsn >= floors.raw_lsn) {
      boots_with_frames.insert(keys::boot_prefix(*boot));
    } else {
      of_host.push_back({boot->boot_id, *newest});
    }
  }
  if (const Status status = meta.status(); !status) return status.error();
  dead.forget(host, of_host, boots_before);
  if (!catalogs_too) return dead;

  // A catalog goes once no frame above the floor can name it: a newer one of its boot is below the floor too, or the
  // boot has no frame left.
  RocksDb::Cursor catalogs = db_->cursor(Family::kCatalog, &view, true);
  std::string previous_key;
  std::string previous_boot;
  std::string reached;  // boot
  std::size_t damaged = 0;
  catalogs.seek("");
  while (catalogs.valid() || is_damaged(catalogs.status())) {
    const Result<RawMessage> catalog = catalog_under(catalogs);
    if (!catalog && !is_damaged(catalog.error())) return catalog.error();
    if (!catalog) {
      // What lies beside it of its boot stays. On with the next one that has sent frames.
      if (damaged++ == 0) log::error("expire: catalogs cannot be read: {}", catalog.error().message);
      meta.seek(std::string(keys::kNewestPrefix) + reached + '\0');
      if (!meta.valid() || !meta.key().starts_with(keys::kNewestPrefix)) break;
      reached = meta.key().substr(keys::kNewestPrefix.size());
      previous_boot.clear();
      catalogs.seek(reached);
      continue;
    }
    const keys::Boot of{catalog->host, catalog->boot_id};
    const std::string boot = keys::boot_prefix(of);
    const bool below = catalog->lsn < floors.raw_lsn;
    if (below && boot == previous_boot) dead.superseded.push_back(previous_key);
    if (below && !boots_with_frames.contains(boot)) {
      DeadIndex::Silent& silent = dead.silent[boot];
      if (silent.newest_key.empty()) {
        silent.newest_key = keys::newest_key(of);
        const auto newest = db_->get(Family::kMeta, silent.newest_key, &view);
        if (!newest) return newest.error();
        silent.newest_value = newest->value_or("");
      }
      silent.catalog_keys.emplace_back(catalogs.key());
    }
    previous_key = catalogs.key();
    previous_boot = reached = boot;
    catalogs.next();
  }
  if (const Status status = catalogs.status(); !status && !is_damaged(status)) return status.error();
  return dead;
}

/// Precondition: nothing is appended meanwhile.
Status RocksStore::erase(DeadIndex dead, const Floors& floors, RocksDb::Batch& batch) const {
  batch.append(std::move(dead.certain));
  // One that was sent again is of now: the frames that it is for may be yet to come.
  const auto erase_catalog = [&](const std::string& key) -> Status {
    if (catalogs_told_again_.contains(key)) return {};
    const auto catalog = catalog_at(key);
    if (!catalog && is_damaged(catalog.error())) return {};
    if (!catalog) return catalog.error();
    if (*catalog && (*catalog)->lsn < floors.raw_lsn) batch.erase(Family::kCatalog, key);
    return {};
  };
  for (const std::string& key : dead.superseded) {
    if (const Status erased = erase_catalog(key); !erased) return erased;
  }
  for (const auto& [prefix, boot] : dead.silent) {
    const auto now = db_->get(Family::kMeta, boot.newest_key);
    if (!now) return now.error();
    if (now->value_or("") != boot.newest_value) continue;  // it has sent something
    if (boot.is_forgotten) batch.erase(Family::kMeta, boot.newest_key);
    for (const std::string& key : boot.catalog_keys) {
      if (const Status erased = erase_catalog(key); !erased) return erased;
    }
  }
  return {};
}

RocksDb::Expiry RocksStore::expiry_of(const Floors& floors, std::set<std::uint64_t> kept, Timestamp now) const {
  const auto range = [&](Nanoseconds retention) {
    return RocksDb::Expiry::Range{to_us(now - retention), to_us(now + retention)};
  };
  return {.raw_floor_lsn = floors.raw_lsn,
          .journal_floor_lsn = floors.journal_lsn,
          .kept = std::move(kept),
          .pages = range(options_.page_retention),
          .minutes = range(options_.minute_retention),
          .hours = range(options_.hour_retention)};
}

namespace {

void put_kept(RocksDb::Batch& batch, const RocksDb::Expiry& expiry) {
  batch.put(Family::kMeta, keys::kKeptKey,
            keys::kept_value({expiry.pages.from_us, expiry.minutes.from_us, expiry.hours.from_us}));
}

}  // namespace

Status RocksStore::expire(Timestamp now) {
  std::lock_guard one_at_a_time(expire_mutex_);
  // Before it reads: who waits for a stopped database to be let go is not kept waiting by this.
  (void)db_->go_on(RocksDb::Room::kUseReserve);
  const Floors old = floors();
  // Pages that are far behind have idle hosts and what was forgotten wait for another time, not whoever calls.
  const bool is_far_behind = pages_->is_far_behind();
  Status followed = is_far_behind ? Status() : pages_->catch_up();
  if (followed && !is_far_behind) followed = pages_->settle(now - kIdle, now + kAhead);
  // Whatever was measured of it has passed its retention, and a while more: pages leave the disk in their own time.
  const Nanoseconds longest =
      std::max({options_.page_retention, options_.minute_retention, options_.hour_retention, options_.raw_retention});
  if (followed && !is_far_behind) followed = pages_->forget_unseen(now - longest - kEntityMemory, now);
  // Neither a full disk nor damage is a reason not to expire. What is in no page yet stays, and so does what decoding
  // it takes.
  Status trouble;
  const auto note = [&](const Status& status) {
    if (!status && trouble) trouble = status;
  };
  if (!followed && followed.error().code != ErrorCode::kUnavailable) note(followed);
  Timestamp raw_cutoff = now - options_.raw_retention;
  if (const auto oldest = pages_->oldest_in_head()) raw_cutoff = std::min(raw_cutoff, *oldest - kKeyframeAge);
  Walk raw(*db_, Family::kRaw, old.raw_lsn, {.cutoff = raw_cutoff, .now = now, .lsn_max = pages_->position()});
  note(raw.run());
  Walk journal(*db_, Family::kJournal, old.journal_lsn, {.cutoff = now - options_.journal_retention, .now = now});
  note(journal.run());
  const bool any = raw.entries > 0 || journal.entries > 0 || raw.has_damage || journal.has_damage;
  raw_is_damaged_ = raw_is_damaged_ || raw.has_damage;
  journal_is_damaged_ = journal_is_damaged_ || journal.has_damage;
  const Floors floors = any ? Floors{.raw_lsn = raw.floor_lsn, .journal_lsn = journal.floor_lsn} : old;
  auto kept = kept_journal_lsns();
  if (!kept) return kept.error();
  RocksDb::Expiry expiry = expiry_of(floors, *kept, now);
  RocksDb::Batch batch;
  put_kept(batch, expiry);
  if (!any) {
    // On a full disk it is written the next time, for whoever opens the store then.
    const Status written = db_->write(batch, RocksDb::Sync::kNow, RocksDb::Room::kUseReserve);
    if (!written && written.error().code != ErrorCode::kUnavailable) return written;
    db_->set_expiry(std::move(expiry));
    return trouble;
  }
  const bool catalogs_too = now - catalogs_walked_at_ >= kCatalogWalkInterval || now < catalogs_walked_at_;
  Result<DeadIndex> dead = dead_index(floors, now - std::max(kBootMemory, options_.raw_retention), catalogs_too, *kept);
  if (!dead) {
    note(dead.error());
    dead = DeadIndex{};  // each expire() looks for it anew
  }
  {
    std::lock_guard lock(append_mutex_);
    keys::State next = state_;
    next.raw_floor_lsn = floors.raw_lsn;
    next.journal_floor_lsn = floors.journal_lsn;
    next.expired.raw_messages += raw.entries;
    next.expired.raw_bytes += raw.bytes;
    next.expired.journal_entries += journal.entries;
    if (const Status status = erase(std::move(*dead), floors, batch); !status) return status;
    batch.put(Family::kMeta, keys::kStateKey, keys::state_value(next));
    // It is what makes room on a full disk.
    const Status written = db_->write(batch, RocksDb::Sync::kNow, RocksDb::Room::kUseReserve);
    if (!written) return written;
    state_ = next;
    db_->set_expiry(std::move(expiry));
    if (catalogs_too) catalogs_told_again_.clear();
  }
  if (catalogs_too) catalogs_walked_at_ = now;
  if (raw.entries > 0) note(compact_raw(keys::lsn_key(raw.floor_lsn)));
  if (journal.entries > 0) note(compact_journal(keys::lsn_key(journal.floor_lsn)));
  return trouble;
}

/// A damaged file goes whole, once all of it lies below the floor.
Status RocksStore::compact_raw(const std::string& end) {
  if (!raw_is_damaged_) {
    Status compacted = db_->compact_before(Family::kRaw, end, true);
    raw_is_damaged_ = is_damaged(compacted);
    if (!raw_is_damaged_) return compacted;
  }
  return db_->drop_files_before(Family::kRaw, end);
}

/// Over damage a compaction stops the database until it is opened again: once is enough. Files do not go whole, as some
/// entries in them are kept.
Status RocksStore::compact_journal(const std::string& end) {
  if (journal_is_damaged_) return {};
  Status compacted = db_->compact_before(Family::kJournal, end, false);
  journal_is_damaged_ = is_damaged(compacted);
  return compacted;
}

}  // namespace proteus::store
