#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace proteus::forecast::global {

/// The levels at which the global models answer.
inline constexpr std::array kLevels = {0.10, 0.50, 0.90, 0.95, 0.99};
using Levels = std::array<float, kLevels.size()>;

/// Quantiles of a sample, by linear interpolation between order statistics (position q · (n − 1)).
/// `sample` is finite and not empty.
Levels quantiles(std::span<const float> sample);
/// The same of a sample in ascending order.
Levels quantiles_of_sorted(std::span<const float> sorted);

/// Sums in a fixed order, eight at a time: the same bits whatever the compiler makes of the loop.
float dot(std::span<const float> a, std::span<const float> b);
float mean(std::span<const float> values);
float standard_deviation(std::span<const float> values);

}  // namespace proteus::forecast::global
