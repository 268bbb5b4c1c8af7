#include "tests/bench/interval.h"

#include <cmath>

namespace proteus {
namespace {

/// 97.5 % quantile of Student's t. Source: Hill, Algorithm 396 (1970), its expansion in 1/n (Fisher & Cornish).
double t_quantile(double freedom) {
  constexpr double z = 1.959964;
  const double z3 = z * z * z;
  const double z5 = z3 * z * z;
  const double z7 = z5 * z * z;
  return z + (z3 + z) / (4 * freedom) + (5 * z5 + 16 * z3 + 3 * z) / (96 * freedom * freedom) +
         (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * freedom * freedom * freedom);
}

}  // namespace

Interval interval(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  Interval result;
  for (const double value : values) result.mean += value / n;
  double squares = 0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  if (n > 1) {
    result.error = std::sqrt(squares / (n - 1) / n);
    result.half_width = t_quantile(n - 1) * result.error;
  }
  return result;
}

}  // namespace proteus
