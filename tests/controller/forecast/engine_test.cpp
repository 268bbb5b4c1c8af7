#include "controller/forecast/engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace proteus::forecast {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

const VmId kVm{"vm"};
const Timestamp kStart = from_unix_ns(1'700'000'040'000'000'000);  // a whole minute

EngineOptions options() {
  EngineOptions options;
  options.step = minutes(1);
  options.horizon_steps = 10;
  options.history_steps = 200;
  options.season = minutes(48);
  return options;
}

Timestamp at_step(int step, int second = 0) {
  return kStart + minutes(step) + seconds(second);
}

/// One tick a step, values from f(step); the last step stays open.
template <typename F>
void feed(Engine& engine, int from, int to, F f) {
  for (int i = from; i < to; ++i) engine.observe(kVm, Resource::kCpu, at_step(i), f(i));
}

const Accuracy& of(const std::vector<Accuracy>& rows, const std::string& model) {
  return *std::find_if(rows.begin(), rows.end(), [&](const Accuracy& row) { return row.model == model; });
}

std::string chosen(const std::vector<Accuracy>& rows) {
  const auto found = std::find_if(rows.begin(), rows.end(), [](const Accuracy& row) { return row.chosen; });
  return found == rows.end() ? "" : found->model;
}

TEST(Engine, KnowsNothingOfSeriesNeverObserved) {
  Engine engine(options());
  EXPECT_EQ(engine.forecast(kVm, Resource::kCpu, kStart).error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(engine.observe(kVm, Resource::kCpu, kStart, std::numeric_limits<double>::quiet_NaN()));
  EXPECT_EQ(engine.forecast(kVm, Resource::kCpu, kStart).error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(engine.history(kVm, Resource::kCpu).values.empty());
  EXPECT_TRUE(engine.accuracy(kVm, Resource::kCpu).models.empty());
  engine.observe(kVm, Resource::kCpu, kStart, 1);
  EXPECT_FALSE(engine.forecast(kVm, Resource::kMemory, kStart).has_value());
}

TEST(Engine, AveragesTicksAndTakesTheMaximumOfMemory) {
  Engine engine(options());
  for (const Resource resource : {Resource::kCpu, Resource::kMemory}) {
    EXPECT_FALSE(engine.observe(kVm, resource, at_step(0, 5), 1));
    EXPECT_FALSE(engine.observe(kVm, resource, at_step(0, 59), 4));
    EXPECT_FALSE(engine.observe(kVm, resource, at_step(0, 30), 1));
    EXPECT_TRUE(engine.observe(kVm, resource, at_step(1), 7));
    EXPECT_FALSE(engine.observe(kVm, resource, at_step(0, 59), 100));  // its step is closed
  }
  EXPECT_EQ(engine.history(kVm, Resource::kCpu).values, std::vector<double>{2});
  EXPECT_EQ(engine.history(kVm, Resource::kMemory).values, std::vector<double>{4});
  EXPECT_EQ(engine.history(kVm, Resource::kCpu).end, at_step(1));
  EXPECT_EQ(engine.history(kVm, Resource::kCpu).step, minutes(1));
}

TEST(Engine, NegativeDemandIsNone) {
  Engine engine(options());
  engine.observe(kVm, Resource::kCpu, at_step(0), -3);
  engine.observe(kVm, Resource::kCpu, at_step(1), 1);
  EXPECT_EQ(engine.history(kVm, Resource::kCpu).values, std::vector<double>{0});
}

TEST(Engine, StartsColdAndWide) {
  Engine engine(options());
  engine.observe(kVm, Resource::kCpu, at_step(0), 2);
  const Forecast first = engine.forecast(kVm, Resource::kCpu, at_step(0)).value();
  EXPECT_EQ(first.model, "cold_start");
  EXPECT_EQ(first.made_at, at_step(0));
  EXPECT_EQ(first.steps.size(), 10u);
  EXPECT_EQ(first.window_max, (Quantiles{1, 2, 3, 3.5, 4}));
  feed(engine, 1, 5, [](int) { return 2; });
  EXPECT_EQ(engine.forecast(kVm, Resource::kCpu, at_step(4))->model, "cold_start");
  feed(engine, 5, 7, [](int) { return 2; });
  EXPECT_EQ(engine.forecast(kVm, Resource::kCpu, at_step(6))->model, "holt_damped");
}

TEST(Engine, HasNewsWhenAStepClosesAndBeforeTheFirstDoesWhenDemandIsAnother) {
  Engine engine(options());
  const auto news = [&] { return engine.take_news(kVm, Resource::kCpu); };
  EXPECT_FALSE(news()) << "never observed";
  engine.observe(kVm, Resource::kCpu, at_step(0), 0);
  EXPECT_TRUE(news());
  engine.observe(kVm, Resource::kCpu, at_step(0, 1), 0);
  EXPECT_FALSE(news());
  engine.observe(kVm, Resource::kCpu, at_step(0, 2), 3);
  EXPECT_TRUE(news()) << "1 after 0";
  EXPECT_FALSE(news());
  engine.observe(kVm, Resource::kCpu, at_step(0, 3), 1.2);
  EXPECT_FALSE(news()) << "1.05 after 1";
  engine.observe(kVm, Resource::kCpu, at_step(0, 4), 1.8);
  EXPECT_TRUE(news()) << "1.2 after 1, though told in two parts";
  EXPECT_EQ(engine.forecast(kVm, Resource::kCpu, at_step(0, 4))->window_max.p50, 1.2);
  engine.observe(kVm, Resource::kCpu, at_step(1), 1.2);
  EXPECT_TRUE(news()) << "a step has closed";
  engine.observe(kVm, Resource::kCpu, at_step(1, 1), 9);
  EXPECT_FALSE(news());
  engine.observe(kVm, Resource::kCpu, at_step(1 + 48 + 2), 1);
  EXPECT_TRUE(news()) << "a silence that it starts afresh after";
  engine.observe(kVm, Resource::kCpu, at_step(1 + 48 + 2, 1), 2);
  EXPECT_TRUE(news());
}

TEST(Engine, ForecastsFromTheNewestClosedStep) {
  Engine engine(options());
  feed(engine, 0, 61, [](int i) { return 5 + i % 2; });
  const Forecast forecast = engine.forecast(kVm, Resource::kCpu, at_step(60, 30)).value();
  EXPECT_EQ(forecast.made_at, at_step(60));
  EXPECT_EQ(forecast.steps.size(), 10u);
  EXPECT_FALSE(forecast.stale);
  EXPECT_NEAR(forecast.steps[0].p50, 5.5, 0.6);
}

TEST(Engine, MissingStepsAreMissing) {
  Engine engine(options());
  feed(engine, 0, 20, [](int) { return 5; });
  feed(engine, 25, 40, [](int) { return 5; });
  const std::vector<double> values = engine.history(kVm, Resource::kCpu).values;
  ASSERT_EQ(values.size(), 39u);
  for (int i = 0; i < 39; ++i) EXPECT_EQ(std::isnan(values[static_cast<std::size_t>(i)]), i >= 20 && i < 25) << i;
  EXPECT_NEAR(engine.forecast(kVm, Resource::kCpu, at_step(39))->steps[9].p50, 5, 0.1);
}

TEST(Engine, StartsAfreshAfterASilenceLongerThanASeason) {
  Engine engine(options());
  feed(engine, 0, 60, [](int) { return 5; });
  EXPECT_TRUE(engine.observe(kVm, Resource::kCpu, at_step(59 + 48 + 2), 1));
  EXPECT_TRUE(engine.history(kVm, Resource::kCpu).values.empty());
  EXPECT_EQ(engine.forecast(kVm, Resource::kCpu, at_step(59 + 48 + 2))->model, "cold_start");
  EXPECT_EQ(engine.forecast(kVm, Resource::kCpu, at_step(59 + 48 + 2))->window_max.p50, 1);
}

TEST(Engine, StaleForecastsAreWiderAndReachAsFar) {
  Engine engine(options());
  std::mt19937_64 random(1);
  std::normal_distribution<double> noise(10, 1);
  feed(engine, 0, 101, [&](int) { return noise(random); });
  const Forecast fresh = engine.forecast(kVm, Resource::kCpu, at_step(102)).value();
  EXPECT_FALSE(fresh.stale);
  const Forecast stale = engine.forecast(kVm, Resource::kCpu, at_step(105)).value();
  EXPECT_TRUE(stale.stale);
  EXPECT_EQ(stale.made_at, fresh.made_at);
  EXPECT_EQ(stale.steps.size(), 15u);
  const auto spread = [](const Quantiles& q) { return q.p90 - q.p50; };
  EXPECT_GT(spread(stale.steps[0]), 1.4 * spread(fresh.steps[0]));
  const Forecast old = engine.forecast(kVm, Resource::kCpu, at_step(5000)).value();
  EXPECT_EQ(old.steps.size(), 40u);
  EXPECT_GT(spread(old.steps[0]), spread(stale.steps[0]));
  EXPECT_TRUE(std::isfinite(old.window_max.p99));
}

TEST(Engine, KeepsNoMoreHistoryThanAsked) {
  Engine engine(options());
  feed(engine, 0, 1001, [](int i) { return i; });
  const std::vector<double> values = engine.history(kVm, Resource::kCpu).values;
  ASSERT_EQ(values.size(), 200u);
  EXPECT_EQ(values.front(), 800);
  EXPECT_EQ(values.back(), 999);
}

TEST(Engine, ChoosesTheSeasonalModelForASeasonalSeries) {
  Engine engine(options());
  std::mt19937_64 random(2);
  std::normal_distribution<double> noise(0, 0.3);
  feed(engine, 0, 400, [&](int i) { return 10 + 8 * std::sin(2 * M_PI * i / 48) + noise(random); });
  const std::vector<Accuracy> rows = engine.accuracy(kVm, Resource::kCpu).models;
  EXPECT_EQ(chosen(rows), "seasonal_naive");
  EXPECT_EQ(engine.forecast(kVm, Resource::kCpu, at_step(399))->model, "seasonal_naive");
  EXPECT_LT(of(rows, "seasonal_naive").pinball_loss, of(rows, "naive").pinball_loss);
  EXPECT_NEAR(of(rows, "seasonal_naive").coverage_p90, 0.9, 0.1);
  EXPECT_TRUE(of(rows, "naive").set_aside);
  EXPECT_EQ(of(rows, "naive").reason, "worse than seasonal_naive lately");
  EXPECT_FALSE(of(rows, "seasonal_naive").set_aside);
}

TEST(Engine, SaysWhyAModelIsSetAside) {
  Engine engine(options());
  feed(engine, 0, 30, [](int i) { return i % 3; });
  const std::vector<Accuracy> rows = engine.accuracy(kVm, Resource::kCpu).models;
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_TRUE(of(rows, "seasonal_naive").set_aside);
  EXPECT_NE(of(rows, "seasonal_naive").reason.find("needs 56 steps"), std::string::npos);
  EXPECT_EQ(std::count_if(rows.begin(), rows.end(), [](const Accuracy& row) { return row.chosen; }), 1);
}

TEST(Engine, PrefersHoltToNaiveInNoise) {
  int holt = 0;
  for (unsigned seed = 1; seed <= 20; ++seed) {
    Engine engine(options());
    std::mt19937_64 random(seed);
    std::normal_distribution<double> noise(50, 5);
    feed(engine, 0, 200, [&](int) { return noise(random); });
    const std::vector<Accuracy> rows = engine.accuracy(kVm, Resource::kCpu).models;
    const auto share = [&](const char* model) { return of(rows, model).leads.at(0).share; };
    holt += share("holt_damped") > 0 && share("naive") == 0 && share("seasonal_naive") == 0 ? 1 : 0;
  }
  EXPECT_GE(holt, 19);
}

TEST(Engine, BlendsInWhatHasLearnedTheSeriesOnceASeasonHasPassed) {
  // A swing that an autoregression foresees and a trend does not.
  const auto swing = [](int i) { return 10 + 5 * std::sin(i * 0.9); };
  Engine engine(options());
  std::mt19937_64 random(3);
  std::normal_distribution<double> noise(0, 0.3);
  feed(engine, 0, 47, [&](int i) { return swing(i) + noise(random); });
  EXPECT_EQ(of(engine.accuracy(kVm, Resource::kCpu).models, "asinh_ar").reason,
            "asinh_ar: a season has not been seen yet");
  double error = 0;
  feed(engine, 47, 150, [&](int i) { return swing(i) + noise(random); });
  for (int i = 150; i < 190; ++i) {
    engine.observe(kVm, Resource::kCpu, at_step(i), swing(i) + noise(random));
    error += std::abs(engine.forecast(kVm, Resource::kCpu, at_step(i))->steps[4].p50 - swing(i + 4)) / 40;
  }
  EXPECT_LT(error, 1);
  const std::vector<Accuracy> rows = engine.accuracy(kVm, Resource::kCpu).models;
  for (std::size_t lead = 0; lead < 3; ++lead) {
    double sum = 0;
    for (const Accuracy& row : rows) sum += row.leads.size() > lead ? row.leads[lead].share : 0;
    EXPECT_NEAR(sum, 1, 1e-9);
    EXPECT_GT(of(rows, "asinh_ar").leads.at(lead).share, 0.9);
  }
}

TEST(Engine, CoversWhatItStates) {
  // A series whose noise doubles half-way; the quantiles must catch up.
  double covered = 0;
  for (unsigned seed = 1; seed <= 10; ++seed) {
    Engine engine(options());
    std::mt19937_64 random(seed);
    std::normal_distribution<double> noise(0, 1);
    feed(engine, 0, 800, [&](int i) { return 50 + (i < 400 ? 2 : 4) * noise(random); });
    const std::vector<Accuracy> rows = engine.accuracy(kVm, Resource::kCpu).models;
    covered += of(rows, chosen(rows)).coverage_p90 / 10;
  }
  EXPECT_NEAR(covered, 0.9, 0.04);
}

TEST(Engine, ForgetsAVmWithAllItsSeries) {
  Engine engine(options());
  engine.observe(kVm, Resource::kCpu, kStart, 1);
  engine.observe(kVm, Resource::kMemory, kStart, 1);
  engine.observe(VmId{"other"}, Resource::kCpu, kStart, 1);
  engine.forget(kVm);
  engine.forget(VmId{"never seen"});
  EXPECT_FALSE(engine.forecast(kVm, Resource::kCpu, kStart).has_value());
  EXPECT_FALSE(engine.forecast(kVm, Resource::kMemory, kStart).has_value());
  EXPECT_TRUE(engine.forecast(VmId{"other"}, Resource::kCpu, kStart).has_value());
}

TEST(Engine, GivesTheSameTwice) {
  Engine a(options());
  Engine b(options());
  for (Engine* engine : {&a, &b}) {
    std::mt19937_64 random(4);
    std::normal_distribution<double> noise(0, 1);
    double walk = 100;
    feed(*engine, 0, 300, [&](int) { return walk += noise(random); });
  }
  const Forecast fa = a.forecast(kVm, Resource::kCpu, at_step(300)).value();
  const Forecast fb = b.forecast(kVm, Resource::kCpu, at_step(300)).value();
  EXPECT_EQ(fa.steps, fb.steps);
  EXPECT_EQ(fa.window_max, fb.window_max);
  EXPECT_EQ(fa.model, fb.model);
}

}  // namespace
}  // namespace proteus::forecast
