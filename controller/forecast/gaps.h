#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace proteus::forecast {

/// Beyond it squares overflow; no demand is as large.
inline constexpr double kMagnitudeMax = 1e150;
/// A finite value within ±kMagnitudeMax.
bool usable(double value);
/// The newest `steps` of values, without what is missing (NaN) at their beginning.
std::span<const double> newest_known(std::span<const double> values, int steps);
std::size_t count_known(std::span<const double> values);
/// All values are usable or missing (NaN).
bool all_usable(std::span<const double> values);
/// A copy with what is missing put on straight lines between its neighbours; after the last known value it stays
/// there. values: the first is known.
std::vector<double> without_gaps(std::span<const double> values);

}  // namespace proteus::forecast
