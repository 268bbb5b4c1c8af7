#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>

#include "controller/ham/learning/linear_model.h"

namespace proteus::ham::learning {
namespace {

double uniform(std::mt19937_64& random) {
  return static_cast<double>(random() >> 11) * 0x1p-53;
}

TEST(LinearModel, BelievesTheScoreAtFirst) {
  const LinearModel model(2);
  const Belief belief = model.believe(std::array{1.0, 1.0});
  EXPECT_EQ(belief.mean, 0);
  EXPECT_NEAR(belief.deviation, std::sqrt(2 * 0.25), 1e-12);
  EXPECT_EQ(belief.certain(), 0);
}

TEST(LinearModel, FindsWhatItIsShown) {
  std::mt19937_64 random(1);
  LinearModel model(3);
  for (int i = 0; i < 400; ++i) {
    const std::array<double, 3> x{1, uniform(random), uniform(random)};
    model.observe(x, -1 + 2 * x[1] + 0.2 * (uniform(random) - 0.5), 1);
  }
  EXPECT_NEAR(model.coefficients()[0], -1, 0.25);
  EXPECT_NEAR(model.coefficients()[1], 2, 0.25);
  EXPECT_NEAR(model.coefficients()[2], 0, 0.1);
  const Belief belief = model.believe(std::array{1.0, 0.0, 0.5});
  EXPECT_NEAR(belief.mean, -1, 0.15);
  EXPECT_LT(belief.deviation, 0.05);
  EXPECT_GT(belief.certain(), belief.mean);
  EXPECT_LT(belief.certain(), -0.75);
}

/// Nine of ten intervals of ±1.645 deviations hold the truth.
TEST(LinearModel, KnowsHowSureItIs) {
  int held = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    std::mt19937_64 random(seed);
    LinearModel model(2);
    const double slope = uniform(random) - 0.5;
    for (int i = 0; i < 60; ++i) {
      const std::array<double, 2> x{1, uniform(random)};
      const double noise = uniform(random) + uniform(random) + uniform(random) - 1.5;  // variance 1/4
      model.observe(x, slope * x[1] + noise, 1);
    }
    const std::array<double, 2> at{1, 0.7};
    const Belief belief = model.believe(at);
    held += std::abs(belief.mean - slope * 0.7) <= 1.645 * belief.deviation;
  }
  EXPECT_GE(held, 170);
  EXPECT_LE(held, 195);
}

TEST(LinearModel, ForgetsWhatHoldsNoLonger) {
  LinearModel model(1);
  for (int i = 0; i < 300; ++i) model.observe(std::array{1.0}, -1, 1);
  for (int i = 0; i < 600; ++i) model.observe(std::array{1.0}, 1, 1);
  EXPECT_GT(model.coefficients()[0], 0.85);
  EXPECT_LT(model.evidence(), 201);
  model.fade(0);
  EXPECT_EQ(model.coefficients()[0], 0);
}

TEST(LinearModel, OneOutlierIsNotEverything) {
  LinearModel model(1);
  model.observe(std::array{1.0}, 1e9, 1);
  EXPECT_LE(model.coefficients()[0], LinearModel::kLargest);
}

}  // namespace
}  // namespace proteus::ham::learning
