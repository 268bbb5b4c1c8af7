#pragma once

#include <vector>

namespace proteus {

struct Interval {
  double mean = 0;
  double error = 0;       ///< standard error of the mean
  double half_width = 0;  ///< the mean lies within it in 95 of 100 cases (Student's t)
};

/// Of independent values; one value alone has no width.
Interval interval(const std::vector<double>& values);

}  // namespace proteus
