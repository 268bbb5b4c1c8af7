#include "controller/simulate/planetlab/detector.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace proteus::simulate::planetlab {
namespace {

/// Used by the adaptive detectors while the history is short.
constexpr double kFallbackThreshold = 0.7;
constexpr std::size_t kSpreadHistoryMin = 12;
constexpr std::size_t kLineLength = 10;

using Values = std::array<double, Detector::kHistory>;

/// The span is of `values`, sorted.
std::span<double> sorted(std::span<const double> history, Values& values) {
  const std::span<double> copy(values.data(), history.size());
  std::copy(history.begin(), history.end(), copy.begin());
  std::sort(copy.begin(), copy.end());
  return copy;
}

double interquartile_range(std::span<const double> history) {
  Values values;
  const std::span<double> x = sorted(history, values);
  const auto quartile = [&](double share) {
    return x[static_cast<std::size_t>(std::floor(share * static_cast<double>(x.size() + 1) + 0.5)) - 1];
  };
  return quartile(0.75) - quartile(0.25);
}

double median(std::span<const double> history) {
  Values values;
  const std::span<double> x = sorted(history, values);
  const std::size_t middle = x.size() / 2;
  return x.size() % 2 == 1 ? x[middle] : x[middle - 1] + 0.5 * (x[middle] - x[middle - 1]);
}

double median_absolute_deviation(std::span<const double> history) {
  const double centre = median(history);
  Values distances;
  std::transform(history.begin(), history.end(), distances.begin(), [&](double h) { return std::abs(centre - h); });
  return median({distances.data(), history.size()});
}

/// Value at `at` of the least-squares line through (1, oldest) … (kLineLength, newest). Sums are updated a point at a
/// time (Welford), since the last bits decide comparisons.
double line_at(std::span<const double> newest_first, double at) {
  double n = 0;
  double mean_x = 0;
  double mean_y = 0;
  double squares_x = 0;
  double products = 0;
  double sum_x = 0;
  double sum_y = 0;
  for (std::size_t i = kLineLength; i-- > 0;) {
    const double x = static_cast<double>(kLineLength - i);
    const double y = newest_first[i];
    const double dx = x - mean_x;
    const double dy = y - mean_y;
    squares_x += dx * dx * n / (n + 1);
    products += dx * dy * n / (n + 1);
    n += 1;
    mean_x += dx / n;
    mean_y += dy / n;
    sum_x += x;
    sum_y += y;
  }
  const double slope = products / squares_x;
  const double intercept = (sum_y - slope * sum_x) / n;
  return intercept + slope * at;
}

}  // namespace

bool Detector::overloaded(double requested, std::span<const double> history) const {
  while (history.size() > 1 && history.back() == 0) history = history.first(history.size() - 1);
  switch (kind) {
    case Kind::kThr: return requested > parameter;
    case Kind::kIqr:
      if (history.size() < kSpreadHistoryMin) break;
      return requested > 1 - parameter * interquartile_range(history);
    case Kind::kMad:
      if (history.size() < kSpreadHistoryMin) break;
      return requested > 1 - parameter * median_absolute_deviation(history);
    case Kind::kLr:
      if (history.size() < kLineLength) break;
      // One step on, since every migration takes less than one.
      return parameter * line_at(history, kLineLength + 1) >= 1;
  }
  return requested > kFallbackThreshold;
}

}  // namespace proteus::simulate::planetlab
