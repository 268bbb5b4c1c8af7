#include "controller/forecast/asinh_scale.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace proteus::forecast {

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

}  // namespace proteus::forecast
