#include "controller/forecast/global/autoregression.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "controller/forecast/sample_quantiles.h"

namespace proteus::forecast::global {
namespace {

std::vector<float> ar1(std::size_t count, float phi, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  float value = 0;
  for (float& v : values) v = value = phi * value + normal(random);
  return values;
}

TEST(Autoregression, ErrorsGrowAsTheProcessSays) {
  constexpr float kPhi = 0.9F;
  const std::vector<float> values = ar1(2016, kPhi, 7);
  const ArForecast model = autoregress(values, 288);
  EXPECT_NEAR(model.persistence, kPhi, 0.05);
  EXPECT_NEAR(model.path[0], kPhi * values.back(), 0.3);
  EXPECT_NEAR(model.errors[0][2], 1.2816, 0.12) << "p90 of a normal error";
  const double settled = 1 / std::sqrt(1 - static_cast<double>(kPhi) * kPhi);
  EXPECT_NEAR(model.errors[287][2], 1.2816 * settled, 0.8);
  EXPECT_GT(model.errors[11][2], model.errors[0][2]);
}

TEST(Autoregression, OneStepErrorsAreTheSurprises) {
  const std::vector<float> values = ar1(600, 0.8F, 9);
  const ArForecast model = autoregress(values, 2);
  // Once the model has its past.
  std::vector<float> surprises(model.surprises.begin() + model.order, model.surprises.end());
  EXPECT_EQ(model.errors[0][3], levels_of_sample<float>(surprises)[3]);
}

TEST(Autoregression, AConstantStaysConstant) {
  const ArForecast model = autoregress(std::vector<float>(300, 5.0F), 288);
  EXPECT_EQ(model.order, 0);
  EXPECT_EQ(model.path[287], 5);
  EXPECT_EQ(model.errors[100], (Levels{}));
}

}  // namespace
}  // namespace proteus::forecast::global
