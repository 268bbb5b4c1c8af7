#include "controller/forecast/quantile_tracker.h"

#include <algorithm>
#include <cmath>

namespace proteus::forecast {
namespace {

constexpr double kFactorMin = 0.7;

}  // namespace

void QuantileTracker::observe(bool missed) {
  factor_ *= std::exp(pace_.rate * ((missed ? 1 : 0) - miss_share_));
  keep_within_bounds();
}

void QuantileTracker::keep_within_bounds() {
  factor_ = std::isfinite(factor_) ? std::clamp(factor_, kFactorMin, pace_.most) : 1;
}

}  // namespace proteus::forecast
