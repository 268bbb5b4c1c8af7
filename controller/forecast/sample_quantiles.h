#pragma once

#include <span>

#include "controller/forecast/forecast.h"

namespace proteus::forecast {

/// Quantiles of a sample at kQuantileLevels, interpolated linearly between order statistics: level q stands at
/// position q·(n − 1). samples: finite, at least one; their order is not kept. Linear time: one pass sorts them into
/// buckets, and only the few buckets that hold an order statistic are looked into. Thread: pure.
/// Source: type 7 of Hyndman & Fan (1996).
Quantiles quantiles_of_sample(std::span<double> samples);

}  // namespace proteus::forecast
