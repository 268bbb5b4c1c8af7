#include "controller/forecast/levinson.h"

#include <algorithm>
#include <cmath>

namespace proteus::forecast {

std::vector<double> autocovariances(std::span<const double> values, std::size_t lag_max) {
  std::vector<double> sums(lag_max + 1, 0.0);
  for (std::size_t lag = 0; lag <= lag_max && lag < values.size(); ++lag) {
    // Four sums side by side: one would wait for each addition.
    double parts[4] = {0, 0, 0, 0};
    std::size_t t = lag;
    for (; t + 4 <= values.size(); t += 4) {
      for (std::size_t i = 0; i < 4; ++i) parts[i] += values[t + i] * values[t + i - lag];
    }
    for (; t < values.size(); ++t) parts[0] += values[t] * values[t - lag];
    sums[lag] = (parts[0] + parts[1] + parts[2] + parts[3]) / static_cast<double>(values.size());
  }
  return sums;
}

Autoregression autoregression(std::span<const double> autocovariances, std::size_t n) {
  Autoregression best{.coefficients = {}, .variance = autocovariances[0]};
  if (!(best.variance > 0)) return best;
  std::vector<double> phi;
  double variance = best.variance;
  double best_score = static_cast<double>(n) * std::log(variance);
  for (std::size_t order = 1; order < autocovariances.size(); ++order) {
    double reflection = autocovariances[order];
    for (std::size_t j = 0; j < phi.size(); ++j) reflection -= phi[j] * autocovariances[order - 1 - j];
    reflection /= variance;
    std::vector<double> next = phi;
    for (std::size_t j = 0; j < phi.size(); ++j) next[j] -= reflection * phi[phi.size() - 1 - j];
    next.push_back(reflection);
    phi = std::move(next);
    variance *= 1 - reflection * reflection;
    if (!(variance > 0)) break;
    const double score = static_cast<double>(n) * std::log(variance) + 2 * static_cast<double>(order);
    if (score < best_score) {
      best_score = score;
      best = {phi, variance};
    }
  }
  return best;
}

Autoregression fit_autoregression(std::span<const double> values, std::size_t order_max) {
  constexpr double kDiagonalLoad = 1.0001;
  std::vector<double> covariances = autocovariances(values, order_max);
  covariances[0] *= kDiagonalLoad;
  return autoregression(covariances, values.size());
}

}  // namespace proteus::forecast
