#pragma once

#include <array>
#include <span>

#include "controller/forecast/forecast.h"

namespace proteus::forecast {

/// Quantiles of a sample at kQuantileLevels, interpolated linearly between order statistics: level q stands at
/// position q·(n − 1). sample: finite, at least one. Linear time: one pass sorts it into buckets, and only the few
/// that hold an order statistic are looked into. Thread: pure. For float and double.
/// Source: type 7 of Hyndman & Fan (1996).
template <typename Number>
std::array<Number, kQuantileLevels.size()> levels_of_sample(std::span<const Number> sample);
/// The same of a sample in ascending order.
template <typename Number>
std::array<Number, kQuantileLevels.size()> levels_of_sorted(std::span<const Number> sorted);

Quantiles quantiles_of_sample(std::span<const double> sample);

}  // namespace proteus::forecast
