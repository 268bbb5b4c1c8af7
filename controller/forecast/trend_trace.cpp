#include "controller/forecast/trend_trace.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace proteus::forecast {
namespace {

/// Changes presumed before the history began: so many in so many steps.
constexpr double kChangesPresumed = 0.25;
constexpr double kStepsPresumed = 1000;
constexpr double kMeanDifferenceToDeviation = 1 / 1.1284;  ///< for independent normal values
/// The noise of a series that seems constant, as a share of its level.
constexpr double kNoiseShareMin = 0.001;

}  // namespace

TrendStart trend_start(std::span<const double> values) {
  std::array<double, 5> first{};
  std::size_t count = 0;
  double differences = 0;
  double magnitudes = 0;
  double previous = 0;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    if (count < first.size()) first[count] = value;
    if (count > 0) differences += std::abs(value - previous);
    magnitudes += std::abs(value);
    previous = value;
    ++count;
  }
  const std::size_t firsts = std::min(count, first.size());
  std::sort(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(firsts));
  const auto n = static_cast<double>(std::max<std::size_t>(count, 2));
  return {first[firsts / 2],
          std::max(kNoiseShareMin * magnitudes / n, kMeanDifferenceToDeviation * differences / (n - 1))};
}

DampedTrendFilter TrendTrace::run(const DampedTrendParameters& parameters, const TrendStart& start,
                                  std::span<const double> values) {
  DampedTrendFilter filter(parameters);
  filter.start(start.level, start.noise);
  states.clear();
  changes.clear();
  for (std::size_t t = 0; t < values.size(); ++t) {
    filter.update(values[t]);
    states.push_back({filter.level(), filter.trend(), filter.in_trend()});
    const auto ago = static_cast<std::size_t>(filter.change_found());
    if (ago > 0) changes.push_back({t >= ago ? t - ago : 0, t});
  }
  return filter;
}

bool TrendTrace::crosses_change(std::size_t origin, int horizon) const {
  return std::any_of(changes.begin(), changes.end(), [&](const Change& change) {
    return origin < change.found && origin + static_cast<std::size_t>(horizon) > change.began;
  });
}

double TrendTrace::change_rate() const {
  return (static_cast<double>(changes.size()) + kChangesPresumed) /
         (static_cast<double>(states.size()) + kStepsPresumed);
}

}  // namespace proteus::forecast
