#pragma once

#include "controller/forecast/forecast.h"

namespace proteus::forecast {

/// Until when it may be used as it is: its history ended two steps before.
Timestamp stale_after(const Forecast& forecast);
inline bool is_stale(const Forecast& forecast, Timestamp now) {
  return now > stale_after(forecast);
}

/// The forecast as it may be used at `now`. Fresh: as it is. A stale one is marked
/// so and its quantiles widen with the time gone by unseen, at most fourfold; it reaches as far beyond `now` as it
/// did beyond its beginning (in all four horizons at most), its last step held, with a spread that grows with the root
/// of the distance.
Forecast aged(Forecast forecast, Timestamp now);

/// The forecast in a unit that is 1/factor of its own. factor > 0.
void scale(Forecast& forecast, double factor);

}  // namespace proteus::forecast
