#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "common/result.h"
#include "controller/store/rocks_db.h"
#include "controller/store/store.h"

namespace proteus::store {

/// Which part of the history a scan gives out: lsn in [from_lsn, to_lsn) and, if set, time in [from, to).
/// Below the floors everything is expired.
struct ScanRange {
  std::uint64_t from_lsn = 0;
  std::uint64_t to_lsn = std::numeric_limits<std::uint64_t>::max();
  std::optional<Timestamp> from;
  std::optional<Timestamp> to;
  std::uint64_t raw_floor_lsn = 0;
  std::uint64_t journal_floor_lsn = 0;
};

/// The lsns between which everything of [from, to) lies, by the time family; nullopt if there is nothing.
/// Errors: kCorrupt.
Result<std::optional<ScanRange>> range_of(const RocksDb& db, const RocksDb::View& view, Timestamp from, Timestamp to);

/// Gives out the range in lsn order, led by the older catalogs and base frames that its frames need.
/// Errors: kCorrupt.
Status scan(const RocksDb& db, const RocksDb::View& view, const ScanRange& range, const Store::Visitor& visitor);

/// Of a family of lsn keys that cannot be read from `lsn` on: an entry after it that can be read again, wherever damage
/// ends; nullopt if there is none. Between places that are damaged close to each other, what can be read may be left
/// out. Errors: kUnavailable.
Result<std::optional<std::uint64_t>> first_behind_damage(const RocksDb& db, Family family, std::uint64_t lsn);

}  // namespace proteus::store
