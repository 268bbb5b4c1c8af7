#include "controller/forecast/model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "controller/forecast/holt_damped.h"
#include "controller/forecast/naive.h"
#include "controller/forecast/seasonal_naive.h"

namespace proteus::forecast {
namespace {

constexpr int kHorizon = 12;
constexpr int kSeason = 24;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

History history_of(std::vector<double> values) {
  return {from_unix_ns(1'700'000'000'000'000'000), std::chrono::seconds(60), std::move(values)};
}

std::unique_ptr<Model> make(const std::string& name) {
  if (name == "naive") return std::make_unique<Naive>(kHorizon);
  if (name == "seasonal_naive") return std::make_unique<SeasonalNaive>(kSeason, kHorizon);
  return std::make_unique<HoltDamped>(kHorizon);
}

void expect_sound(const Forecast& forecast, int steps) {
  ASSERT_EQ(forecast.steps.size(), static_cast<std::size_t>(steps));
  for (const Quantiles& q : forecast.steps) {
    ASSERT_TRUE(std::isfinite(q.p10) && std::isfinite(q.p99));
    ASSERT_GE(q.p10, 0);
    ASSERT_LE(q.p10, q.p50);
    ASSERT_LE(q.p50, q.p90);
    ASSERT_LE(q.p90, q.p95);
    ASSERT_LE(q.p95, q.p99);
    ASSERT_LE(q.p90, forecast.window_max.p90);
    ASSERT_LE(q.p99, forecast.window_max.p99);
  }
  ASSERT_LE(forecast.window_max.p50, forecast.window_max.p90);
  ASSERT_TRUE(std::isfinite(forecast.window_max.p99));
}

std::vector<double> awkward_series(const std::string& kind, int count) {
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal(0, 1);
  std::vector<double> values;
  double walk = 5;
  for (int i = 0; i < count; ++i) {
    walk = std::max(0.0, walk + normal(random));
    if (kind == "constant") values.push_back(7);
    if (kind == "zero") values.push_back(0);
    if (kind == "walk") values.push_back(walk);
    if (kind == "spikes") values.push_back(i % 17 == 0 ? 1e9 : 0);
    if (kind == "falling") values.push_back(std::max(0.0, 100.0 - 2 * i));
    if (kind == "exploding") values.push_back(std::exp(0.1 * i));
    if (kind == "gaps") values.push_back(i % 5 == 2 || (i > 40 && i < 60) ? kNan : 10 + normal(random));
    if (kind == "square") values.push_back(i / 10 % 2 == 0 ? 1 : 9);
  }
  return values;
}

class EveryModel : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Models, EveryModel, testing::Values("naive", "seasonal_naive", "holt_damped"));

TEST_P(EveryModel, IsSoundOnAwkwardSeries) {
  for (const char* kind : {"constant", "zero", "walk", "spikes", "falling", "exploding", "gaps", "square"}) {
    SCOPED_TRACE(kind);
    const std::vector<double> values = awkward_series(kind, 150);
    const auto model = make(GetParam());
    ASSERT_TRUE(model->fit(history_of({values.begin(), values.begin() + 100})).has_value());
    for (std::size_t i = 100; i < values.size(); ++i) {
      model->update(values[i]);
      for (int steps : {1, kHorizon, 100}) {
        const Result<Forecast> forecast = model->forecast(steps);
        ASSERT_TRUE(forecast.has_value());
        expect_sound(*forecast, steps);
        ASSERT_EQ(forecast->model, GetParam());
        ASSERT_EQ(forecast->made_at, history_of({}).end + std::chrono::seconds(60 * (i - 99)));
      }
    }
    const Result<Forecast> longest = model->forecast(1440);
    ASSERT_TRUE(longest.has_value());
    expect_sound(*longest, 1440);
  }
}

TEST_P(EveryModel, RefusesToForecastFromNothing) {
  const auto model = make(GetParam());
  EXPECT_EQ(model->forecast(3).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(model->fit(history_of({})).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(model->fit(history_of(std::vector<double>(100, kNan))).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_FALSE(model->forecast(3).has_value());
}

TEST_P(EveryModel, GivesTheSameTwice) {
  const std::vector<double> values = awkward_series("walk", 120);
  const auto a = make(GetParam());
  const auto b = make(GetParam());
  ASSERT_TRUE(a->fit(history_of(values)).has_value());
  ASSERT_TRUE(b->fit(history_of(values)).has_value());
  a->update(3);
  b->update(3);
  const Result<Forecast> fa = a->forecast(kHorizon);
  const Result<Forecast> fb = b->forecast(kHorizon);
  EXPECT_EQ(fa->steps, fb->steps);
  EXPECT_EQ(fa->window_max, fb->window_max);
}

TEST(Naive, StaysAtTheLastValue) {
  Naive model(kHorizon);
  ASSERT_TRUE(model.fit(history_of(std::vector<double>(40, 2.0))).has_value());
  model.update(5);
  model.update(kNan);
  EXPECT_DOUBLE_EQ(model.forecast(3)->steps[2].p50, 5);
}

TEST(SeasonalNaive, RepeatsTheSeason) {
  std::vector<double> values;
  for (int i = 0; i < 3 * kSeason; ++i) values.push_back(i % kSeason);
  SeasonalNaive model(kSeason, kHorizon);
  ASSERT_TRUE(model.fit(history_of(values)).has_value());
  model.update(0);
  model.update(kNan);  // 1 of a season before stands in
  const Result<Forecast> forecast = model.forecast(2 * kSeason);
  for (int h = 0; h < 2 * kSeason; ++h) {
    EXPECT_DOUBLE_EQ(forecast->steps[static_cast<std::size_t>(h)].p50, (h + 2) % kSeason) << h;
  }
}

TEST(SeasonalNaive, SaysHowMuchItNeeds) {
  SeasonalNaive model(kSeason, kHorizon);
  const Status status = model.fit(history_of(std::vector<double>(kSeason, 1.0)));
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().message, "seasonal_naive: needs 32 steps, has 24");
}

TEST(HoltDamped, SmoothsNoiseAndCoversWhatItStates) {
  std::mt19937_64 random(8);
  std::normal_distribution<double> normal(50, 5);
  std::vector<double> values;
  for (int i = 0; i < 300; ++i) values.push_back(normal(random));
  HoltDamped model(kHorizon);
  ASSERT_TRUE(model.fit(history_of(values)).has_value());
  EXPECT_LE(model.parameters().alpha, 0.15);
  EXPECT_EQ(model.parameters().beta, 0);
  int covered_p90 = 0;
  int covered_window = 0;
  double worst = 0;
  for (int round = 0; round < 600; ++round) {
    const Result<Forecast> forecast = model.forecast(kHorizon);
    worst = std::max(worst, std::abs(forecast->steps[5].p50 - 50));
    double highest = 0;
    double first = 0;
    for (int h = 0; h < kHorizon; ++h) {
      const double value = normal(random);
      if (h == 0) first = value;
      highest = std::max(highest, value);
      model.update(value);
    }
    covered_p90 += first <= forecast->steps[0].p90 ? 1 : 0;
    covered_window += highest <= forecast->window_max.p90 ? 1 : 0;
  }
  EXPECT_LT(worst, 6);
  EXPECT_NEAR(covered_p90 / 600.0, 0.9, 0.06);
  EXPECT_NEAR(covered_window / 600.0, 0.9, 0.08);
}

TEST(HoltDamped, FollowsAWanderingSeriesClosely) {
  std::mt19937_64 random(9);
  std::normal_distribution<double> normal(0, 1);
  std::vector<double> values = {1000};
  for (int i = 1; i < 360; ++i) values.push_back(values.back() + normal(random));
  HoltDamped model(kHorizon);
  ASSERT_TRUE(model.fit(history_of(values)).has_value());
  EXPECT_GE(model.parameters().alpha, 0.5);
}

TEST(HoltDamped, ExtrapolatesWithDamping) {
  std::vector<double> values(60, 10.0);
  for (int i = 0; i < 60; i += 2) values[static_cast<std::size_t>(i)] = 10.2;
  HoltDamped model(kHorizon);
  ASSERT_TRUE(model.fit(history_of(values)).has_value());
  for (int i = 1; i <= 20; ++i) model.update(10 + i);
  const Result<Forecast> forecast = model.forecast(200);
  EXPECT_NEAR(forecast->steps[0].p50, 31, 0.5);
  EXPECT_NEAR(forecast->steps[11].p50, 40.5, 1.5);  // 30 + (0.98 + … + 0.98^12)
  EXPECT_LT(forecast->steps[199].p50, 30 + 50);
}

}  // namespace
}  // namespace proteus::forecast
