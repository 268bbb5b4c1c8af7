#include "controller/forecast/forecast.h"

#include <algorithm>

namespace proteus::forecast {

const char* to_string(Resource resource) {
  switch (resource) {
    case Resource::kCpu: return "cpu";
    case Resource::kMemory: return "memory";
    case Resource::kBlockIo: return "block_io";
    case Resource::kNetwork: return "network";
  }
  return "unknown";
}

Quantiles tidy(Quantiles quantiles) {
  std::array<double, kQuantileLevels.size()> levels;
  for (std::size_t i = 0; i < levels.size(); ++i) levels[i] = std::max(0.0, quantiles.*kQuantileMembers[i]);
  std::sort(levels.begin(), levels.end());
  for (std::size_t i = 0; i < levels.size(); ++i) quantiles.*kQuantileMembers[i] = levels[i];
  return quantiles;
}

void raise_to_steps(Forecast& forecast) {
  for (const Quantiles& step : forecast.steps) {
    for (const auto member : kQuantileMembers) {
      forecast.window_max.*member = std::max(forecast.window_max.*member, step.*member);
    }
  }
}

}  // namespace proteus::forecast
