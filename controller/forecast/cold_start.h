#pragma once

#include "controller/forecast/forecast.h"

namespace proteus::forecast {

/// What is said of a series of which hardly anything is known, model "cold_start": wide around its newest value, as
/// high as the highest seen at least.
Forecast cold_start(Timestamp made_at, Nanoseconds step, int horizon_steps, double newest, double highest);

}  // namespace proteus::forecast
