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
      const Quantiles q = quantiles_of_sample(values);
      for (std::size_t i = 0; i < kQuantileLevels.size(); ++i) {
        EXPECT_DOUBLE_EQ(q.*kQuantileMembers[i], quantile(values, kQuantileLevels[i])) << count << " shape " << shape;
      }
    }
  }
}

TEST(SampleQuantiles, OfFloatsAreThoseOfTheSortedSample) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (const std::size_t count : {1, 2, 7, 100, 2016}) {
    std::vector<float> sample(count);
    for (float& value : sample) value = std::sinh(3 * normal(random));
    std::vector<float> sorted = sample;
    std::sort(sorted.begin(), sorted.end());
    EXPECT_EQ(levels_of_sample<float>(sample), levels_of_sorted<float>(sorted)) << count;
  }
  // One value far off, a tenth far off, and all but a few the same.
  for (const std::size_t far : {1, 200, 1900}) {
    std::vector<float> sample(2000);
    for (std::size_t i = 0; i < sample.size(); ++i) sample[i] = i < far ? 1e30F * static_cast<float>(i % 7) : 3;
    std::shuffle(sample.begin(), sample.end(), random);
    std::vector<float> sorted = sample;
    std::sort(sorted.begin(), sorted.end());
    EXPECT_EQ(levels_of_sample<float>(sample), levels_of_sorted<float>(sorted)) << far;
  }
}

}  // namespace
}  // namespace proteus::forecast
