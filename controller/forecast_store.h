#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "common/result.h"
#include "controller/forecast/engine_pool.h"
#include "controller/store/store.h"

/// Forecasting's state in the store's `model` family, so that a restart loses neither history beyond the stored
/// telemetry nor what has been learned about models.
///   "external_signals"                     ─▶ an Entry (lsn 0, time 0) with the signals that are kept
///   "series/" shard "/" resource "/" uuid  ─▶ state of one series, opaque (controller/forecast/series.cpp); the shard
///                                             in digits, the resource as the API names it
///   "series_saved/" shard                  ─▶ when that was, ns since the epoch in digits; controller's clock
namespace proteus::controller {

/// Reads everything, in pieces of about a mebibyte as they are to be journalled. Errors: kCorrupt, kUnsupported if any
/// of it is damaged or of another version, step or horizon: then all of it is to be left.
Result<std::vector<store::ForecastState>> load_forecasts(const store::Store& store,
                                                         const forecast::EngineOptions& options);
/// How old what is stored of the forecasts is: the oldest shard's time. nullopt: not all shards have been stored, or
/// not by a clock that goes with `now`. Errors: the store's.
Result<std::optional<Timestamp>> forecasts_saved(const store::Store& store, Timestamp now);
/// Stores one shard's series; what the family holds of series that are no more goes. Errors: the store's.
Status save_forecasts(store::Store& store, const forecast::EnginePool& pool, std::size_t shard, Timestamp now);
/// All that load_forecasts() would read if it were stored now, piece by piece, until `take` fails. Any thread. Errors:
/// what `take` says.
Status save_pieces(const forecast::EnginePool& pool, const std::function<Status(store::ForecastState)>& take);
/// Stores the signals. Errors: the store's.
Status save_signals(store::Store& store, const forecast::EnginePool& pool);
/// Drops everything. Errors: the store's.
Status drop_forecasts(store::Store& store);

}  // namespace proteus::controller
