#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "controller/forecast/forecast.h"

namespace proteus::forecast::global {

/// The levels at which the global models answer.
inline constexpr auto kLevels = kQuantileLevels;
using Levels = std::array<float, kLevels.size()>;

/// Sums in a fixed order, eight at a time: the same bits whatever the compiler makes of the loop.
float dot(std::span<const float> a, std::span<const float> b);
float mean(std::span<const float> values);
float standard_deviation(std::span<const float> values);

}  // namespace proteus::forecast::global
