#pragma once

#include <functional>
#include <span>
#include <vector>

namespace proteus::forecast {

struct Minimum {
  std::vector<double> at;
  double value = 0;
};

/// A local minimum of a smooth function near `start`, by the method of Broyden, Fletcher, Goldfarb and Shanno with
/// forward differences. f: may return infinity outside of its domain, finite at start. Stops when a step gains less
/// than tolerance, or after iterations_max. Source: Nocedal & Wright, Numerical Optimization, ch. 6.
Minimum minimize(const std::function<double(std::span<const double>)>& f, std::vector<double> start, double tolerance,
                 int iterations_max);

}  // namespace proteus::forecast
