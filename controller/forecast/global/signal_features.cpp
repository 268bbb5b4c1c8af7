#include "controller/forecast/global/signal_features.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <optional>
#include <vector>

#include "controller/forecast/global/max_features.h"
#include "controller/forecast/global/signal_forecast.h"

namespace proteus::forecast::global {
namespace {

/// What the rows of a window have in common.
struct Common {
  float gain = 0;
  float has_signal = 0;
  float pressure_now = 0;
  float pressure_hour = 0;
  float has_pressure = 0;
};

float mean_pressure(std::span<const float> pressure, std::size_t steps) {
  float sum = 0;
  float count = 0;
  for (const float value : pressure.last(std::min(steps, pressure.size()))) {
    if (!std::isfinite(value)) continue;
    sum += std::max(value, 0.0F);
    ++count;
  }
  return count > 0 ? sum / count : 0.0F;
}

float width(const Levels& levels) {
  return std::max(levels[2] - levels[0], 0.0F) + 1e-3F;
}

void put_row(const Common& common, const Levels& with, const Levels& without, std::size_t level, float spread,
             std::vector<float>& out) {
  out.push_back(std::asinh((with[level] - without[level]) / spread));
  out.push_back(std::log(width(with) / width(without)));
  out.insert(out.end(),
             {common.gain, common.has_signal, common.pressure_now, common.pressure_hour, common.has_pressure});
}

Levels around(float path, const Levels& errors) {
  Levels levels = errors;
  for (float& level : levels) level += path;
  return levels;
}

}  // namespace

void put_signals(const HistoryView& view, const Past& past, std::span<const std::size_t> steps, Features& out) {
  if (past.signals.count == 0 && past.pressure.empty()) return;
  const std::optional<SignalForecast> made = forecast_with_signals(view, past.signals);
  const std::vector<float> seasonal = view.seasonal_path();
  const std::vector<Levels>& seasonal_errors = view.seasonal().errors;
  const std::vector<float>& path = made ? made->path : seasonal;
  const std::vector<Levels>& errors = made ? made->rest.errors : seasonal_errors;
  const Common common{.gain = made ? made->gain : 0.0F,
                      .has_signal = made ? 1.0F : 0.0F,
                      .pressure_now = std::log1p(mean_pressure(past.pressure, 3)),
                      .pressure_hour = std::log1p(mean_pressure(past.pressure, kHour)),
                      .has_pressure = past.pressure.empty() ? 0.0F : 1.0F};
  for (std::size_t row = 0; row < steps.size(); ++row) {
    const std::size_t at = steps[row] - 1;
    const Levels with = around(path[at], errors[at]);
    put_row(common, with, around(seasonal[at], seasonal_errors[at]), 1, out.step_spread[row], out.step_signals);
    out.step_signal_anchors.insert(out.step_signal_anchors.end(), with.begin(), with.end());
  }
  for (std::size_t w = 0; w < kWindows.size(); ++w) {
    const Levels with = largest_of(path, errors, kWindows[w]);
    put_row(common, with, largest_of(seasonal, seasonal_errors, kWindows[w]), 3, out.max_spread[w], out.max_signals);
    out.max_signal_anchors.insert(out.max_signal_anchors.end(), with.begin(), with.end());
  }
  assert(out.step_signals.size() == steps.size() * kSignalInputs);
  assert(out.max_signals.size() == kWindows.size() * kSignalInputs);
}

}  // namespace proteus::forecast::global
