#include "controller/forecast/linear_process.h"

#include <algorithm>

namespace proteus::forecast {

std::vector<double> autoregressive_errors(std::span<const double> values, std::span<const double> ar) {
  std::vector<double> errors(values.begin(), values.end());
  for (std::size_t i = 0; i < ar.size(); ++i) {
    const double coefficient = ar[i];
    for (std::size_t t = i + 1; t < errors.size(); ++t) errors[t] -= coefficient * values[t - 1 - i];
  }
  return errors;
}

std::vector<double> impulse_response(std::span<const double> ar, std::span<const double> ma, std::size_t count) {
  std::vector<double> psi(count, 0.0);
  psi[0] = 1;
  for (std::size_t j = 1; j < count; ++j) {
    if (j <= ma.size()) psi[j] = ma[j - 1];
    for (std::size_t i = 0; i < std::min(j, ar.size()); ++i) psi[j] += ar[i] * psi[j - 1 - i];
  }
  return psi;
}

std::vector<double> autoregressive_path(std::span<const double> values, std::span<const double> ar, std::size_t count) {
  const std::size_t p = ar.size();
  std::vector<double> path(values.end() - static_cast<std::ptrdiff_t>(p), values.end());
  path.resize(p + count);
  for (std::size_t t = p; t < path.size(); ++t) {
    double sum = 0;
    for (std::size_t i = 0; i < p; ++i) sum += ar[i] * path[t - 1 - i];
    path[t] = sum;
  }
  path.erase(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(p));
  return path;
}

}  // namespace proteus::forecast
