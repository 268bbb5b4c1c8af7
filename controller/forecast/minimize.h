#pragma once

#include <functional>
#include <span>
#include <vector>

namespace proteus::forecast {

struct Minimum {
  std::vector<double> at;
  double value = 0;
};

/// The values of a function at several points, which it may well find side by side; infinity outside of its domain.
using PointsFunction = std::function<std::vector<double>(const std::vector<std::vector<double>>& points)>;

/// A local minimum of a smooth function near `start`, where it is finite, by the method of Broyden, Fletcher, Goldfarb
/// and Shanno with forward differences. Stops when a step gains less than tolerance, or after iterations_max. Source:
/// Nocedal & Wright, Numerical Optimization, ch. 6.
Minimum minimize(const PointsFunction& f, std::vector<double> start, double tolerance, int iterations_max);

}  // namespace proteus::forecast
