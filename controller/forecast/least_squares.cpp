#include "controller/forecast/least_squares.h"

#include <cmath>

namespace proteus::forecast {

std::vector<double> SymmetricSystem::solve() const {
  /// A pivot smaller than this share of its diagonal is a zero that rounding has spoilt.
  constexpr double kPivotMin = 1e-11;
  const std::size_t n = size_;
  std::vector<double> lower(n * n, 0.0);  // of L·Lᵀ; a row of zeros for an unknown that is dropped
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = matrix_[j * n + i];
      for (std::size_t k = 0; k < j; ++k) sum -= lower[i * n + k] * lower[j * n + k];
      if (i == j) {
        lower[i * n + i] = sum > kPivotMin * matrix_[i * n + i] && std::isfinite(sum) ? std::sqrt(sum) : 0;
      } else {
        lower[i * n + j] = lower[j * n + j] > 0 ? sum / lower[j * n + j] : 0;
      }
    }
  }
  std::vector<double> x = right_;
  for (std::size_t i = 0; i < n; ++i) {
    if (lower[i * n + i] == 0) {
      x[i] = 0;
      continue;
    }
    for (std::size_t k = 0; k < i; ++k) x[i] -= lower[i * n + k] * x[k];
    x[i] /= lower[i * n + i];
  }
  for (std::size_t i = n; i-- > 0;) {
    if (lower[i * n + i] == 0) {
      x[i] = 0;
      continue;
    }
    for (std::size_t k = i + 1; k < n; ++k) x[i] -= lower[k * n + i] * x[k];
    x[i] /= lower[i * n + i];
  }
  return x;
}

}  // namespace proteus::forecast
