#pragma once

#include <vector>

#include "common/result.h"
#include "controller/forecast/engine_pool.h"
#include "controller/store/store.h"

/// Forecasting's state in the store's `model` family, so that a restart loses neither history beyond the stored
/// telemetry nor what has been learned about models.
///   "external_signals"                     ─▶ a journal entry with the signals that are kept
///   "series/" shard "/" resource "/" uuid  ─▶ state of one series (controller/forecast/series.cpp)
namespace proteus::controller {

/// Reads everything, in pieces of about a mebibyte as they are to be journalled. Errors: kCorrupt, kUnsupported if any
/// of it is damaged or of another version, step or horizon: then all of it is to be left.
Result<std::vector<store::ForecastState>> load_forecasts(const store::Store& store,
                                                         const forecast::EngineOptions& options);
/// Stores one shard's series; what the family holds of series that are no more goes. Errors: the store's.
Status save_forecasts(store::Store& store, const forecast::EnginePool& pool, std::size_t shard);
/// Stores the signals. Errors: the store's.
Status save_signals(store::Store& store, const forecast::EnginePool& pool);
/// Drops everything. Errors: the store's.
Status drop_forecasts(store::Store& store);

}  // namespace proteus::controller
