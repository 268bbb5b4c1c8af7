#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/ids.h"
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

/// Makes the roll-ups of one hour (its number since the epoch) of one host from its pages, into `batch`. The same
/// pages give the same roll-ups. Errors: kCorrupt.
Status roll_up(const RocksDb& db, const HostId& host, std::int64_t hour, RocksDb::Batch& batch);

/// The figures of one KPI of one host over the hour that begins at hour_us.
struct RolledSeries {
  SeriesKey key;
  std::vector<StepFigures> steps;  ///< 60 or 1
};
/// nullopt if the hour was not rolled up. figures: those that are read, kSum in front of kWeight; without kWeight,
/// weight is 1 where something was measured. entities: sorted; only these; empty: all. Errors: kCorrupt.
Result<std::optional<std::vector<RolledSeries>>> read_rollup(const RocksDb& db, const RocksDb::View* view,
                                                             keys::Level level, Kpi kpi, const HostId& host,
                                                             std::int64_t hour_us,
                                                             const std::vector<keys::Figure>& figures,
                                                             const std::vector<std::uint32_t>& entities);

}  // namespace proteus::store
