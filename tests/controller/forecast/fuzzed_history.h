#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace proteus::forecast {

using Random = std::mt19937_64;

/// One stretch of some kind, after what is there: constant, missing, zero, negative, steps, ramps, bursts, huge values.
inline void add_stretch(std::vector<double>& values, Random& random) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  std::normal_distribution<double> normal(0, 1);
  const std::uint64_t kind = random() % 12;
  const std::uint64_t length = random() % 4 == 0 ? 1 : random() % 120;
  const double scale = std::pow(10.0, static_cast<double>(random() % 16) - 5);
  const double level = values.empty() || !std::isfinite(values.back()) ? scale : values.back();
  for (std::uint64_t i = 0; i < length; ++i) {
    const auto x = static_cast<double>(i);
    switch (kind) {
      case 0: values.push_back(level); break;
      case 1: values.push_back(kNan); break;
      case 2: values.push_back(0); break;
      case 3: values.push_back(-scale * std::abs(normal(random))); break;
      case 4: values.push_back(level + scale * x); break;
      case 5: values.push_back(level - scale * x); break;
      case 6: values.push_back(scale * (i % 2 == 0 ? 1 : 1e6)); break;
      case 7: values.push_back(random() % 3 == 0 ? kNan : scale * normal(random)); break;
      case 8: values.push_back(level * std::exp(0.3 * x)); break;
      case 9: values.push_back(scale * std::abs(std::sin(0.26 * x))); break;
      case 10: values.push_back(random() % 60 == 0 ? 1e140 : scale); break;
      default: values.push_back(level + scale * normal(random)); break;
    }
  }
  // What no sensor sends, now and then.
  if (length > 0 && random() % 40 == 0) values.back() = random() % 2 == 0 ? 1e300 : -1.7e308;
  if (length > 0 && random() % 80 == 0) values.back() = std::numeric_limits<double>::infinity();
}

}  // namespace proteus::forecast
