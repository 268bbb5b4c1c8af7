#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "common/ids.h"
#include "controller/store/allowance.h"
#include "controller/store/page.h"
#include "controller/store/rocks_db.h"
#include "controller/store/series_keys.h"
#include "controller/store/steps.h"

/// What is left of an hour when it is over: for each series and minute, and for the hour, the figures of steps.h, each
/// figure a page of its own so that a query reads only what it asks for. A value that is absent was not measured, or
/// (kSum) does not fit 64 bits.
///
///   of a gauge       kSum, kWeight (values), kMin, kMax, kLast, kP95
///   of a counter     kSum (increase), kWeight (microseconds), kMin, kMax, kP95 (rates per second)
///   of a histogram   kSum (increase of each bucket), kWeight
/// Thread: any.
namespace proteus::store {

constexpr std::int64_t kMinuteUs = 60 * 1'000'000LL;
constexpr std::int64_t kHourUs = 60 * kMinuteUs;

std::vector<keys::Figure> figures_of_kind(KpiKind kind);

/// Makes the roll-ups of one hour (its number since the epoch) of one host from its pages, into `batch`; of a host with
/// very many series a part of them into the database already. The same pages give the same roll-ups. A KPI with a
/// damaged page is left out. held_bytes_max: of memory, for the figures of series that are made together; at least 64
/// entities are. Errors: kCorrupt; the database's.
Status roll_up(RocksDb& db, const HostId& host, std::int64_t hour, RocksDb::Batch& batch,
               std::size_t held_bytes_max = std::size_t{128} << 20);

/// The figures of one series over an hour.
struct RolledSeries {
  SeriesKey key;
  std::vector<StepFigures> steps;  ///< 60 or 1
};
using RolledHours = std::map<std::int64_t, std::vector<RolledSeries>>;  ///< by the hour's begin, microseconds
/// Memory of them.
std::uint64_t bytes_of(const RolledHours& hours);

/// What a roll-up is read of.
struct RollupRange {
  keys::Level level{};
  Kpi kpi{};
  const HostId& host;
  std::int64_t from_us = 0;  ///< of a full hour
  std::int64_t to_us = 0;
};
/// The hours of the range that were rolled up; one in which these entities had nothing may be missing too.
/// figures: those that are read, kSum in front of kWeight; without kWeight, weight is 1 where something was measured.
/// entities: sorted; only these. view: may be null. share: bytes_of() the hours is held of it, until whoever calls
/// gives it back. Errors: kCorrupt; the share's.
Result<RolledHours> read_rollups(const RocksDb& db, const RocksDb::View* view, const RollupRange& range,
                                 const std::vector<keys::Figure>& figures, const std::vector<std::uint32_t>& entities,
                                 Allowance::Share& share);

}  // namespace proteus::store
