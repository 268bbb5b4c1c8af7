#include "controller/forecast/minimize.h"

#include <cmath>
#include <utility>

namespace proteus::forecast {
namespace {

constexpr double kDifference = 1e-5;
constexpr double kSufficientDecrease = 1e-4;
constexpr int kHalvingsMax = 12;
/// The first step is not to leave the neighbourhood in which start was chosen.
constexpr double kFirstStep = 0.05;

double inner(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

Minimum minimize(const PointsFunction& f, std::vector<double> start, double tolerance, int iterations_max) {
  const std::size_t n = start.size();
  const auto value_at = [&](const std::vector<double>& point) { return f({point})[0]; };
  Minimum best{std::move(start), 0};
  best.value = value_at(best.at);
  const auto gradient_at = [&](const std::vector<double>& at, double value) {
    std::vector<std::vector<double>> around(n, at);
    for (std::size_t i = 0; i < n; ++i) around[i][i] += kDifference;
    const std::vector<double> ahead = f(around);
    std::vector<double> gradient(n);
    for (std::size_t i = 0; i < n; ++i) {
      gradient[i] = (ahead[i] - value) / kDifference;
      if (std::isfinite(ahead[i])) continue;
      around[i][i] = at[i] - kDifference;
      const double behind = value_at(around[i]);
      gradient[i] = std::isfinite(behind) ? (value - behind) / kDifference : 0;
    }
    return gradient;
  };
  std::vector<double> gradient = gradient_at(best.at, best.value);
  std::vector<double> inverse(n * n, 0.0);  // of the Hessian, approximately
  const auto reset = [&] {
    const double size = std::sqrt(inner(gradient, gradient));
    std::fill(inverse.begin(), inverse.end(), 0.0);
    for (std::size_t i = 0; i < n; ++i) inverse[i * n + i] = size > 0 ? kFirstStep / size : 1;
  };
  reset();
  for (int iteration = 0; iteration < iterations_max; ++iteration) {
    std::vector<double> direction(n, 0.0);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) direction[i] -= inverse[i * n + j] * gradient[j];
    }
    const double slope = inner(direction, gradient);
    if (!(slope < 0)) break;
    std::vector<double> trial;
    double value = 0;
    double share = 1;
    bool found = false;
    for (int halving = 0; halving < kHalvingsMax && !found; ++halving, share *= 0.5) {
      trial = best.at;
      for (std::size_t i = 0; i < n; ++i) trial[i] += share * direction[i];
      value = value_at(trial);
      found = std::isfinite(value) && value <= best.value + kSufficientDecrease * share * slope;
    }
    if (!found) break;
    const double gain = best.value - value;
    const std::vector<double> next = gradient_at(trial, value);
    std::vector<double> moved(n);
    std::vector<double> turned(n);
    for (std::size_t i = 0; i < n; ++i) {
      moved[i] = trial[i] - best.at[i];
      turned[i] = next[i] - gradient[i];
    }
    best = {std::move(trial), value};
    gradient = next;
    if (gain < tolerance) break;
    const double curvature = inner(moved, turned);
    if (!(curvature > 0)) {
      reset();
      continue;
    }
    if (iteration == 0) {
      const double scale = curvature / inner(turned, turned);
      std::fill(inverse.begin(), inverse.end(), 0.0);
      for (std::size_t i = 0; i < n; ++i) inverse[i * n + i] = scale;
    }
    std::vector<double> bent(n, 0.0);  // inverse · turned
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) bent[i] += inverse[i * n + j] * turned[j];
    }
    const double factor = (1 + inner(turned, bent) / curvature) / curvature;
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        inverse[i * n + j] += factor * moved[i] * moved[j] - (bent[i] * moved[j] + moved[i] * bent[j]) / curvature;
      }
    }
  }
  return best;
}

}  // namespace proteus::forecast
