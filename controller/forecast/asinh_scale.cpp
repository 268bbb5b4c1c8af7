#include "controller/forecast/asinh_scale.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "controller/forecast/levinson.h"

namespace proteus::forecast {
namespace {

/// Akaike's criterion of an autoregression with a mean, without what is the same for all series of this length.
double autoregressive_criterion(std::vector<double> values) {
  constexpr std::size_t kLagsMax = 24;
  constexpr std::size_t kValuesPerLag = 4;
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  for (double& value : values) value -= mean;
  const Autoregression ar = fit_autoregression(values, std::min(kLagsMax, values.size() / kValuesPerLag));
  return ar.variance > 0 ? n * std::log(ar.variance) + 2 * static_cast<double>(ar.coefficients.size()) : -HUGE_VAL;
}

}  // namespace

AsinhScale AsinhScale::of(std::span<const double> values, std::size_t recent) {
  const auto newest = values.last(std::min(recent, values.size()));
  std::vector<double> sorted(newest.begin(), newest.end());
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  double centre = *middle;
  if (sorted.size() % 2 == 0) centre = (centre + *std::max_element(sorted.begin(), middle)) / 2;
  double around = 0;
  double steps = 0;
  for (std::size_t i = 0; i < newest.size(); ++i) {
    around += std::abs(newest[i] - centre);
    if (i > 0) steps += std::abs(newest[i] - newest[i - 1]);
  }
  double around_all = 0;
  for (const double value : values) around_all += std::abs(value - centre);
  const double spread = around / static_cast<double>(newest.size()) +
                        0.1 * steps / static_cast<double>(std::max<std::size_t>(newest.size(), 2) - 1) +
                        0.25 * around_all / static_cast<double>(values.size()) + 1e-4 * std::abs(centre) + 1e-9;
  return {.centre = centre, .spread = spread};
}

double AsinhScale::to_z(double value) const {
  const double u = (value - centre) / spread;
  const double size = std::abs(u);
  constexpr double kSquareMax = 1e8;  // the one below the root no longer matters
  return std::copysign(size < kSquareMax ? std::log(size + std::sqrt(size * size + 1)) : std::log(2 * size), u);
}

double AsinhScale::from_z(double z) const {
  return centre + spread * std::sinh(std::clamp(z, -12.0, 12.0));
}

std::optional<AsinhScale> likelier_scale(std::span<const double> values) {
  const AsinhScale scale = AsinhScale::of(values, values.size());
  std::vector<double> z;
  double slopes = 0;  // Σ ln(dz/dvalue)
  for (const double value : values) {
    const double u = (value - scale.centre) / scale.spread;
    z.push_back(scale.to_z(value));
    slopes -= std::log(scale.spread) + 0.5 * std::log1p(u * u);
  }
  const double own = autoregressive_criterion({values.begin(), values.end()});
  if (autoregressive_criterion(std::move(z)) - 2 * slopes < own) return scale;
  return std::nullopt;
}

}  // namespace proteus::forecast
