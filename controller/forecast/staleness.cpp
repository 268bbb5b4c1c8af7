#include "controller/forecast/staleness.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace proteus::forecast {
namespace {

constexpr double kFactorMax = 4;
constexpr std::int64_t kHorizonsMax = 4;

Quantiles widened(const Quantiles& q, double factor) {
  Quantiles wide;
  for (const auto member : kQuantileMembers) wide.*member = q.p50 + factor * (q.*member - q.p50);
  return tidy(wide);
}

}  // namespace

Timestamp stale_after(const Forecast& forecast) {
  return forecast.steps.empty() ? Timestamp::max() : forecast.made_at + 2 * forecast.step;
}

Forecast aged(Forecast forecast, Timestamp now) {
  if (!is_stale(forecast, now)) return forecast;
  const auto horizon = static_cast<std::int64_t>(forecast.steps.size());
  const std::int64_t unseen = (now - forecast.made_at) / forecast.step;
  const Quantiles last = forecast.steps.back();
  const std::int64_t steps = std::min(horizon + unseen, kHorizonsMax * horizon);
  for (std::int64_t h = horizon + 1; h <= steps; ++h) {
    forecast.steps.push_back(widened(last, std::sqrt(static_cast<double>(h) / static_cast<double>(horizon))));
  }
  const double factor = std::min(kFactorMax, 1 + static_cast<double>(unseen) / static_cast<double>(horizon));
  for (Quantiles& q : forecast.steps) q = widened(q, factor);
  forecast.window_max = widened(forecast.window_max, factor);
  raise_to_steps(forecast);
  forecast.stale = true;
  return forecast;
}

void scale(Forecast& forecast, double factor) {
  if (factor == 1) return;
  for (const auto member : kQuantileMembers) {
    for (Quantiles& q : forecast.steps) q.*member *= factor;
    forecast.window_max.*member *= factor;
  }
}

}  // namespace proteus::forecast
