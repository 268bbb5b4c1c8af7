#include "controller/forecast/gaps.h"

#include <algorithm>
#include <cmath>

namespace proteus::forecast {

std::span<const double> newest_known(std::span<const double> values, int steps) {
  values = values.last(std::min(values.size(), static_cast<std::size_t>(std::max(0, steps))));
  while (!values.empty() && !std::isfinite(values.front())) values = values.subspan(1);
  return values;
}

std::size_t count_known(std::span<const double> values) {
  return static_cast<std::size_t>(
      std::count_if(values.begin(), values.end(), [](double value) { return std::isfinite(value); }));
}

bool usable(double value) {
  return std::abs(value) <= kMagnitudeMax;
}

bool all_usable(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [](double value) { return std::isnan(value) || usable(value); });
}

std::vector<double> without_gaps(std::span<const double> values) {
  std::vector<double> filled(values.begin(), values.end());
  std::size_t last = 0;
  for (std::size_t t = 1; t < filled.size(); ++t) {
    if (!std::isfinite(values[t])) {
      filled[t] = filled[last];
      continue;
    }
    const double slope = (filled[t] - filled[last]) / static_cast<double>(t - last);
    for (std::size_t gap = last + 1; gap < t; ++gap)
      filled[gap] = filled[last] + slope * static_cast<double>(gap - last);
    last = t;
  }
  return filled;
}

}  // namespace proteus::forecast
