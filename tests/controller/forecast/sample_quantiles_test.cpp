#include "controller/forecast/sample_quantiles.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace proteus::forecast {
namespace {

/// By the definition.
double quantile(std::vector<double> values, double level) {
  std::sort(values.begin(), values.end());
  const double position = level * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const double above = values[std::min(below + 1, values.size() - 1)];
  return values[below] + (position - std::floor(position)) * (above - values[below]);
}

TEST(SampleQuantiles, AreThoseOfTheSortedSample) {
  std::mt19937_64 random(4);
  std::normal_distribution<double> normal(0, 1);
  for (const std::size_t count : {1, 2, 5, 63, 64, 65, 300, 2016}) {
    for (int shape = 0; shape < 4; ++shape) {
      std::vector<double> values;
      for (std::size_t i = 0; i < count; ++i) {
        const double x = normal(random);
        values.push_back(shape == 0   ? x
                         : shape == 1 ? std::exp(6 * x)
                         : shape == 2 ? std::round(x)
                         : i == 0     ? 1e140
                                      : 3);
      }
      std::vector<double> work = values;
      const Quantiles q = quantiles_of_sample(work);
      for (std::size_t i = 0; i < kQuantileLevels.size(); ++i) {
        EXPECT_DOUBLE_EQ(q.*kQuantileMembers[i], quantile(values, kQuantileLevels[i])) << count << " shape " << shape;
      }
    }
  }
}

}  // namespace
}  // namespace proteus::forecast
