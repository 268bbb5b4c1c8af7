#include "controller/profile/isotonic.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace proteus::profile {
namespace {

double weighted_squares(const std::vector<double>& fit, const std::vector<double>& values,
                        const std::vector<double>& weights) {
  double sum = 0;
  for (std::size_t i = 0; i < fit.size(); ++i) sum += weights[i] * (fit[i] - values[i]) * (fit[i] - values[i]);
  return sum;
}

/// The optimum is constant on blocks with their weighted mean: tries every way to cut the sequence into
/// blocks.
std::vector<double> best_of_all_partitions(const std::vector<double>& values, const std::vector<double>& weights) {
  const std::size_t n = values.size();
  std::vector<double> best;
  double best_loss = std::numeric_limits<double>::infinity();
  for (unsigned cuts = 0; cuts < (1U << (n - 1)); ++cuts) {
    std::vector<double> fit(n);
    for (std::size_t begin = 0; begin < n;) {
      std::size_t end = begin + 1;
      while (end < n && !(cuts & (1U << (end - 1)))) ++end;
      double sum = 0;
      double weight = 0;
      for (std::size_t i = begin; i < end; ++i) {
        sum += values[i] * weights[i];
        weight += weights[i];
      }
      for (std::size_t i = begin; i < end; ++i) fit[i] = sum / weight;
      begin = end;
    }
    bool monotone = true;
    for (std::size_t i = 1; i < n; ++i) monotone = monotone && fit[i] >= fit[i - 1];
    const double loss = weighted_squares(fit, values, weights);
    if (monotone && loss < best_loss) {
      best_loss = loss;
      best = fit;
    }
  }
  return best;
}

TEST(Isotonic, IsTheBestOfAllMonotoneSequences) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> value(-3, 3);
  std::uniform_real_distribution<double> weight(0.1, 5);
  for (int round = 0; round < 200; ++round) {
    const std::size_t n = 1 + round % 10;
    std::vector<double> values;
    std::vector<double> weights;
    for (std::size_t i = 0; i < n; ++i) {
      values.push_back(value(random));
      weights.push_back(weight(random));
    }
    const std::vector<double> fit = pool_adjacent_violators(values, weights);
    const std::vector<double> best = best_of_all_partitions(values, weights);
    ASSERT_EQ(fit.size(), n);
    for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(fit[i], best[i], 1e-9) << "round " << round;
  }
}

TEST(Isotonic, LeavesMonotoneValuesAlone) {
  const std::vector<double> values = {0, 1, 1, 5};
  const std::vector<double> weights = {1, 2, 3, 4};
  EXPECT_EQ(pool_adjacent_violators(values, weights), values);
  EXPECT_TRUE(pool_adjacent_violators({}, {}).empty());
}

}  // namespace
}  // namespace proteus::profile
