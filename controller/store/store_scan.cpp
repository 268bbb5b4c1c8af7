#include "controller/store/store_scan.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "common/log.h"
#include "controller/store/store_keys.h"

namespace proteus::store {
namespace {

constexpr std::uint64_t kEnd = std::numeric_limits<std::uint64_t>::max();

bool within(const ScanRange& range, Timestamp time) {
  return (!range.from || time >= *range.from) && (!range.to || time < *range.to);
}

/// What one boot needs from before the range: collects places of base frames and the oldest catalog version used.
class Prelude {
 public:
  Prelude(const RocksDb& db, const RocksDb::View& view, const ScanRange& range)
      : db_(db), view_(view), range_(range), begin_lsn_(std::max(range.from_lsn, range.raw_floor_lsn)) {}

  Status collect() {
    std::size_t damaged_boots = 0;
    Error damage{};
    RocksDb::Cursor newest = db_.cursor(Family::kMeta, &view_);
    for (newest.seek(keys::kNewestPrefix); newest.valid() && newest.key().starts_with(keys::kNewestPrefix);
         newest.next()) {
      const auto boot = keys::parse_newest_key(newest.key());
      if (!boot) return boot.error();
      const auto last = keys::parse_newest_value(newest.value());
      if (!last) return last.error();
      if (last->lsn < begin_lsn_) continue;
      const Status collected = collect(*boot, last->sequence);
      if (collected) continue;
      if (collected.error().code != ErrorCode::kCorrupt) return collected;
      if (damaged_boots++ == 0) damage = with_context(collected.error(), boot->host.value);
    }
    if (damaged_boots > 0) {
      log::error("what the first frames of {} boots need cannot be read: {}", damaged_boots, damage.message);
    }
    return newest.status();
  }

  /// False: the visitor wants no more.
  Result<bool> give_out(const Store::Visitor& visitor) const {
    for (const RawMessage& catalog : displaced_) {
      if (!visitor.raw(catalog)) return false;
    }
    bool is_damaged = false;
    for (const auto& [lsn, catalog] : messages_) {
      if (catalog) {
        if (!visitor.raw(*catalog)) return false;
        continue;
      }
      const auto message = frame_at(lsn);
      if (!message && message.error().code != ErrorCode::kCorrupt) return message.error();
      if (!message && !std::exchange(is_damaged, true)) {
        log::error("frames that build on that of lsn {} cannot be decoded: {}", lsn, message.error().message);
      }
      if (!message || !*message) continue;  // what needs it cannot be decoded any more
      if (!visitor.raw(**message)) return false;
    }
    return true;
  }

 private:
  /// nullopt: it has expired.
  Result<std::optional<RawMessage>> frame_at(std::uint64_t lsn) const {
    const auto value = db_.get(Family::kRaw, keys::lsn_key(lsn), &view_);
    if (!value) return value.error();
    if (!*value) return std::optional<RawMessage>();
    auto message = keys::parse_raw_value(lsn, **value);
    if (!message) return message.error();
    return std::optional(std::move(*message));
  }

  Result<std::optional<keys::FramePlace>> place_of(const keys::Boot& boot, std::uint64_t sequence) const {
    const auto value = db_.get(Family::kFrame, keys::frame_key(boot, sequence), &view_);
    if (!value) return value.error();
    if (!*value) return std::optional<keys::FramePlace>();
    const auto place = keys::parse_frame_value(**value);
    if (!place) return place.error();
    return std::optional(*place);
  }

  /// Sequence of the boot's first frame in the range. Within a boot, lsn grows with the sequence.
  Result<std::uint64_t> first_in_range(const keys::Boot& boot, RocksDb::Cursor& cursor, std::uint64_t newest) const {
    std::uint64_t low = 0;
    std::uint64_t high = newest;  // is in the range
    while (low < high) {
      const std::uint64_t middle = low + (high - low) / 2;
      cursor.seek(keys::frame_key(boot, middle));
      if (!cursor.valid()) {
        if (const Status status = cursor.status(); !status) return status.error();
        return high;
      }
      const auto sequence = keys::parse_frame_sequence(cursor.key());
      if (!sequence) return sequence.error();
      const auto place = keys::parse_frame_value(cursor.value());
      if (!place) return place.error();
      if (place->lsn >= begin_lsn_) {
        high = middle;
      } else {
        low = *sequence + 1;
      }
    }
    return high;
  }

  Status collect(const keys::Boot& boot, std::uint64_t newest) {
    RocksDb::Cursor cursor = db_.cursor(Family::kFrame, &view_);
    const auto first = first_in_range(boot, cursor, newest);
    if (!first) return first.error();

    // Frames refer to bases that only move forward, so the first that is based within the range (or on nothing) is the
    // last that matters here.
    std::vector<std::uint64_t> wanted;
    std::optional<std::uint32_t> oldest_version;
    std::uint64_t oldest_lsn = 0;  // of what needs it
    std::uint64_t first_sequence = 0;
    const std::string prefix = keys::boot_prefix(boot);
    for (cursor.seek(keys::frame_key(boot, *first)); cursor.valid() && cursor.key().starts_with(prefix);
         cursor.next()) {
      const auto sequence = keys::parse_frame_sequence(cursor.key());
      if (!sequence) return sequence.error();
      const auto place = keys::parse_frame_value(cursor.value());
      if (!place) return place.error();
      if (place->lsn >= range_.to_lsn) break;
      if (!oldest_version) {
        oldest_version = place->catalog_version;
        oldest_lsn = place->lsn;
        first_sequence = *sequence;
      }
      if (place->base_sequence == 0 || place->base_sequence >= first_sequence) break;
      wanted.push_back(place->base_sequence);
    }
    if (const Status status = cursor.status(); !status) return status;
    if (!oldest_version) return {};

    // Bases have bases of their own, down to a keyframe.
    std::set<std::uint64_t> seen;
    while (!wanted.empty()) {
      const std::uint64_t sequence = wanted.back();
      wanted.pop_back();
      if (!seen.insert(sequence).second) continue;
      const auto place = place_of(boot, sequence);
      if (!place) return place.error();
      if (!*place || (*place)->lsn < range_.raw_floor_lsn || (*place)->lsn >= begin_lsn_) continue;
      messages_.emplace((*place)->lsn, std::nullopt);
      oldest_version = std::min(*oldest_version, (*place)->catalog_version);
      oldest_lsn = std::min(oldest_lsn, (*place)->lsn);
      if ((*place)->base_sequence != 0) wanted.push_back((*place)->base_sequence);
    }

    return collect_catalogs(boot, *oldest_version, oldest_lsn);
  }

  /// From this version on, which something of `needed_lsn` needs.
  Status collect_catalogs(const keys::Boot& boot, std::uint32_t version, std::uint64_t needed_lsn) {
    // By its key: a cursor would end at damage beside it.
    const std::string key = keys::catalog_key(boot, version);
    const auto value = db_.get(Family::kCatalog, key, &view_);
    if (!value) return value.error();
    if (*value) {
      auto catalog = keys::parse_catalog(key, **value);
      if (!catalog) return catalog.error();
      if (catalog->lsn > needed_lsn) {
        // Put anew, a copy stands behind what needs it: it is given out as the one in whose place it is, of long ago.
        catalog->lsn = 1;
        catalog->received = {};
        displaced_.push_back(std::move(*catalog));
      } else if (catalog->lsn < begin_lsn_) {
        messages_[catalog->lsn] = std::move(*catalog);
      }
    }
    const std::string prefix = keys::boot_prefix(boot);
    RocksDb::Cursor catalogs = db_.cursor(Family::kCatalog, &view_);
    for (catalogs.seek(keys::catalog_key(boot, version + 1)); catalogs.valid() && catalogs.key().starts_with(prefix);
         catalogs.next()) {
      auto catalog = keys::parse_catalog(catalogs.key(), catalogs.value());
      if (!catalog) return catalog.error();
      if (catalog->lsn >= begin_lsn_) break;
      messages_[catalog->lsn] = std::move(*catalog);
    }
    return catalogs.status();
  }

  const RocksDb& db_;
  const RocksDb::View& view_;
  const ScanRange& range_;
  const std::uint64_t begin_lsn_;  // telemetry in front of it is not given out for its own sake
  std::map<std::uint64_t, std::optional<RawMessage>> messages_;  // by lsn; nullopt: a frame, read when it is given out
  std::vector<RawMessage> displaced_;                            // catalogs
};

/// Gives out the value at the cursor if it is in the range. False: the visitor wants no more.
Result<bool> give_out_raw(std::uint64_t lsn, std::string_view value, const ScanRange& range,
                          const Store::Visitor& visitor) {
  const auto received = keys::raw_received(value);
  if (!received) return received.error();
  if (!within(range, *received)) return true;
  const auto message = keys::parse_raw_value(lsn, value);
  if (!message) return message.error();
  return visitor.raw(*message);
}

Result<bool> give_out_journal(std::uint64_t lsn, std::string_view value, const ScanRange& range,
                              const Store::Visitor& visitor) {
  const auto parsed = keys::parse_journal_value(value);
  if (!parsed) return parsed.error();
  if (lsn < range.raw_floor_lsn && keys::is_state_kind(parsed->kind)) return true;  // expired, if still on the disk
  if (!within(range, parsed->time)) return true;
  const auto entry = decode_journal_entry(parsed->bytes);
  if (!entry) return entry.error();
  return visitor.journal(*entry);
}

/// The lsn under the cursor; nullopt at the end of the range.
Result<std::optional<std::uint64_t>> lsn_at(const RocksDb::Cursor& cursor, const ScanRange& range) {
  if (!cursor.valid()) {
    if (const Status status = cursor.status(); !status) return status.error();
    return std::optional<std::uint64_t>();
  }
  const auto lsn = keys::parse_lsn_key(cursor.key());
  if (!lsn) return lsn.error();
  if (*lsn >= range.to_lsn) return std::optional<std::uint64_t>();
  return std::optional(*lsn);
}

}  // namespace

Result<std::optional<ScanRange>> range_of(const RocksDb& db, const RocksDb::View& view, Timestamp from, Timestamp to) {
  if (from >= to) return std::optional<ScanRange>();
  const std::int64_t last_second = keys::second_of(to - Nanoseconds(1));
  const std::string end = keys::time_key(last_second, std::numeric_limits<std::uint64_t>::max());
  std::optional<ScanRange> range;
  std::uint64_t last_run_lsn = 0;
  RocksDb::Cursor runs = db.cursor(Family::kTime, &view);
  for (runs.seek(keys::time_key(keys::second_of(from), 0)); runs.valid() && runs.key() <= end; runs.next()) {
    const auto lsn = keys::parse_time_lsn(runs.key());
    if (!lsn) return lsn.error();
    if (!range) {
      range.emplace();
      range->from_lsn = *lsn;
    }
    range->from_lsn = std::min(range->from_lsn, *lsn);
    last_run_lsn = std::max(last_run_lsn, *lsn);
  }
  if (const Status status = runs.status(); !status) return status.error();
  if (!range) return range;
  // The last run ends where a later second's begins. After a clock was set back a run of an older second may follow
  // it; then the end is not known by time, and the scan passes over what is outside.
  if (runs.valid()) {
    const auto next = keys::parse_time_lsn(runs.key());
    if (!next) return next.error();
    if (*next > last_run_lsn) range->to_lsn = *next;
  }
  range->from = from;
  range->to = to;
  return range;
}

Result<std::optional<std::uint64_t>> first_behind_damage(const RocksDb& db, Family family, std::uint64_t lsn) {
  // The first that can be read from there on; nullopt: nothing can. Each time by a cursor of its own: one that has met
  // damage may meet it again where there is none.
  const auto read_from = [&](std::uint64_t from_lsn) -> Result<std::optional<std::uint64_t>> {
    RocksDb::Cursor cursor = db.cursor(family, nullptr, true);
    cursor.seek(keys::lsn_key(from_lsn));
    if (cursor.valid()) {
      const auto found = keys::parse_lsn_key(cursor.key());
      if (!found) return found.error();
      return std::optional(*found);
    }
    const Status status = cursor.status();
    if (!status && status.error().code != ErrorCode::kCorrupt) return status.error();
    return status ? std::optional(kEnd) : std::nullopt;
  };
  std::uint64_t damaged = lsn;
  std::uint64_t whole = lsn;
  std::uint64_t found = kEnd;
  for (std::uint64_t step = 1;; step *= 2) {
    if (step > kEnd - lsn) return std::optional<std::uint64_t>();
    whole = lsn + step;
    const auto read = read_from(whole);
    if (!read) return read.error();
    if (*read) {
      found = **read;
      break;
    }
    damaged = whole;
  }
  while (whole - damaged > 1) {
    const std::uint64_t middle = damaged + (whole - damaged) / 2;
    const auto read = read_from(middle);
    if (!read) return read.error();
    (*read ? whole : damaged) = middle;
    if (*read) found = **read;
  }
  return found == kEnd ? std::optional<std::uint64_t>() : std::optional(found);
}

Status scan(const RocksDb& db, const RocksDb::View& view, const ScanRange& range, const Store::Visitor& visitor) {
  if (visitor.raw) {
    Prelude prelude(db, view, range);
    if (const Status status = prelude.collect(); !status) return status;
    const auto more = prelude.give_out(visitor);
    if (!more) return more.error();
    if (!*more) return {};
  }
  RocksDb::Cursor raw = db.cursor(Family::kRaw, &view, true);
  RocksDb::Cursor journal = db.cursor(Family::kJournal, &view, true);
  if (visitor.raw) raw.seek(keys::lsn_key(std::max(range.from_lsn, range.raw_floor_lsn)));
  if (visitor.journal) journal.seek(keys::lsn_key(std::max(range.from_lsn, range.journal_floor_lsn)));
  for (;;) {
    const auto raw_lsn = visitor.raw ? lsn_at(raw, range) : std::optional<std::uint64_t>();
    if (!raw_lsn) return raw_lsn.error();
    const auto journal_lsn = visitor.journal ? lsn_at(journal, range) : std::optional<std::uint64_t>();
    if (!journal_lsn) return journal_lsn.error();
    if (!*raw_lsn && !*journal_lsn) return {};
    const bool take_raw = *raw_lsn && (!*journal_lsn || **raw_lsn < **journal_lsn);
    const auto more = take_raw ? give_out_raw(**raw_lsn, raw.value(), range, visitor)
                               : give_out_journal(**journal_lsn, journal.value(), range, visitor);
    if (!more) return more.error();
    if (!*more) return {};
    take_raw ? raw.next() : journal.next();
  }
}

}  // namespace proteus::store
