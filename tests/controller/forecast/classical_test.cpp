// What the smoothing, histogram and autoregressive models make of series whose answer is known.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "controller/forecast/levinson.h"
#include "tests/controller/forecast/every_model.h"

namespace proteus::forecast {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Exponential smoothing's own process.
std::vector<double> smoothed_process(double alpha, std::size_t count, unsigned seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0, 1);
  std::vector<double> y;
  double level = 100;
  while (y.size() < count) {
    const double e = normal(random);
    y.push_back(level + e);
    level += alpha * e;
  }
  return y;
}

TEST(Smoothing, FindsItsGainBack) {
  for (const double alpha : {0.1, 0.5, 0.9}) {
    const std::vector<double> y = smoothed_process(alpha, 2000, 17);
    EXPECT_NEAR(fit_simple_smoothing(y).start.alpha, alpha, 0.06);
    const std::optional<SmoothingFit> fit = fit_smoothing(y);
    ASSERT_TRUE(fit.has_value());
    EXPECT_NEAR(fit->start.alpha, alpha, 0.06);
  }
}

TEST(Smoothing, FollowsADampedTrend) {
  std::mt19937_64 random(2);
  std::normal_distribution<double> normal(0, 1);
  std::vector<double> y;
  for (int t = 0; t < 300; ++t) y.push_back(20 + 5 * t + normal(random));
  Ets model(kHorizon);
  ASSERT_TRUE(model.fit(history_of(y)).has_value());
  const std::vector<double> path = model.path(3);
  EXPECT_NEAR(path[0], 20 + 5 * 300, 4);
  EXPECT_GT(path[2], path[0] + 5);
}

TEST(Smoothing, ErrorsInProportionToTheLevelAreSeen) {
  std::mt19937_64 random(6);
  std::normal_distribution<double> normal(0, 1);
  std::vector<double> y;
  double level = 100;
  for (int t = 0; t < 600; ++t) {
    const double e = 0.1 * normal(random);
    y.push_back(level * (1 + e));
    level *= 1 + 0.6 * e;
  }
  const std::optional<SmoothingFit> fit = fit_smoothing(y);
  ASSERT_TRUE(fit.has_value());
  EXPECT_EQ(fit->kind, ErrorKind::kMultiplicative);
}

TEST(Theta, TakesTheSeasonOut) {
  std::vector<double> y;
  for (int t = 0; t < 10 * kSeason; ++t) y.push_back(50 + (t % kSeason < 6 ? 20 : 0) + 0.01 * t);
  Theta model(kSeason, kHorizon);
  ASSERT_TRUE(model.fit(history_of(y)).has_value());
  EXPECT_TRUE(model.seasonal());
  const std::vector<double> path = model.path(kSeason);
  EXPECT_NEAR(path[2] - path[12], 20, 0.5);
  EXPECT_NEAR(path[12], 52.4, 0.5);
  std::mt19937_64 random(2);
  std::normal_distribution<double> normal(50, 1);
  for (double& value : y) value = normal(random);
  ASSERT_TRUE(model.fit(history_of(y)).has_value());
  EXPECT_FALSE(model.seasonal());
}

TEST(Levinson, FindsAnAutoregressionAndItsOrder) {
  std::mt19937_64 random(9);
  std::normal_distribution<double> normal(0, 1);
  std::vector<double> x = {0, 0};
  while (x.size() < 5000) x.push_back(0.6 * x.back() - 0.4 * x[x.size() - 2] + normal(random));
  const Autoregression ar = autoregression(autocovariances(x, 10), x.size());
  ASSERT_GE(ar.coefficients.size(), 2U);
  EXPECT_NEAR(ar.coefficients[0], 0.6, 0.06);
  EXPECT_NEAR(ar.coefficients[1], -0.4, 0.06);
  EXPECT_NEAR(ar.variance, 1, 0.06);
  EXPECT_TRUE(autoregression(std::vector<double>{0, 0, 0}, 10).coefficients.empty());
}

TEST(AsinhAr, CoversWhatItStatesOnBurstyDemand) {
  int covered_step = 0;
  int covered_window = 0;
  int seen = 0;
  for (unsigned seed = 1; seed <= 6; ++seed) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal(0, 1);
    std::vector<double> y;
    double state = 0;
    for (int t = 0; t < 4000; ++t) {
      state = 0.8 * state + normal(random);
      y.push_back(std::exp(state));  // the largest are hundreds of times the median
    }
    AsinhAr model({.horizon_steps = kHorizon});
    ASSERT_TRUE(model.fit(history_of({y.begin(), y.begin() + 2000})).has_value());
    EXPECT_GE(model.order(), 1U);
    for (std::size_t t = 2000; t + kHorizon <= y.size(); ++t, ++seen) {
      const Forecast forecast = model.forecast(kHorizon).value();
      covered_step += y[t + 2] <= forecast.steps[2].p95 ? 1 : 0;
      const double highest = *std::max_element(y.begin() + std::ptrdiff_t(t), y.begin() + std::ptrdiff_t(t) + kHorizon);
      covered_window += highest <= forecast.window_max.p90 ? 1 : 0;
      model.update(y[t]);
    }
  }
  EXPECT_NEAR(double(covered_step) / seen, 0.95, 0.01);
  EXPECT_NEAR(double(covered_window) / seen, 0.9, 0.03);  // windows overlap; few are apart
}

TEST(AsinhAr, AMissingValueIsAsIfTheForecastHadCome) {
  const std::vector<double> y = smoothed_process(0.6, 300, 3);
  AsinhAr a({.horizon_steps = kHorizon});
  ASSERT_TRUE(a.fit(history_of(y)).has_value());
  const Forecast before = a.forecast(3).value();
  a.update(kNan);
  EXPECT_EQ(a.forecast(3)->made_at, before.made_at + before.step);
  // The second step's median, less the errors around it, which are those of the first step now.
  EXPECT_NEAR(a.forecast(1)->steps[0].p50, before.steps[1].p50, 0.5);
}

TEST(DecayingHistogram, ForgetsByHalves) {
  // Ten days of 1, then a day of 3: with a half-life of a day a little more than half of the weight is on 3.
  std::vector<double> y(10 * kSeason, 1.0);
  y.resize(11 * kSeason, 3.0);
  DecayingHistogram model(kSeason);
  ASSERT_TRUE(model.fit(history_of(y)).has_value());
  EXPECT_EQ(model.forecast(1)->steps[0].p10, 1);
  EXPECT_EQ(model.forecast(1)->steps[0].p50, 3);
  for (int i = 0; i < 3 * kSeason; ++i) model.update(5);
  EXPECT_EQ(model.forecast(1)->steps[0].p10, 3);  // 1/8 of the weight is on 1 and 3
  EXPECT_EQ(model.forecast(1)->steps[0].p50, 5);
  EXPECT_EQ(model.forecast(1)->window_max.p50, 5);
}

TEST(TimeOfDay, ForecastsWhatWasSeenAtThatTime) {
  std::vector<double> y;
  for (int t = 0; t < 5 * kSeason; ++t) y.push_back(t % kSeason >= 10 && t % kSeason < 20 ? 8 : 2);
  TimeOfDay model(kSeason);
  ASSERT_TRUE(model.fit(history_of(y)).has_value());
  const Forecast forecast = model.forecast(kSeason).value();
  EXPECT_EQ(forecast.steps[2].p90, 2);
  EXPECT_EQ(forecast.steps[14].p10, 8);
  EXPECT_EQ(forecast.steps[8].p50, 2);  // three steps on, demand rises
  EXPECT_EQ(forecast.steps[8].p95, 8);
  EXPECT_EQ(model.forecast(6)->window_max.p50, 2);
  EXPECT_EQ(model.forecast(14)->window_max.p10, 8);
}

}  // namespace
}  // namespace proteus::forecast
