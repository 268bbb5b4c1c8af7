#include "controller/forecast/cold_start.h"

#include <algorithm>

namespace proteus::forecast {

Forecast cold_start(Timestamp made_at, Nanoseconds step, int horizon_steps, double newest, double highest) {
  Forecast forecast{.made_at = made_at, .step = step, .steps = {}, .window_max = {}, .model = kColdStart};
  const double p90 = std::max(1.5 * newest, highest);
  const double p99 = std::max(2 * newest, p90);
  forecast.window_max = {0.5 * newest, newest, p90, 0.5 * (p90 + p99), p99};
  forecast.steps.assign(static_cast<std::size_t>(horizon_steps), forecast.window_max);
  return forecast;
}

}  // namespace proteus::forecast
