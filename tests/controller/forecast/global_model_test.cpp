#include "controller/forecast/global_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <random>

#include "controller/forecast/engine.h"
#include "controller/forecast/global/shipped_weights.h"

namespace proteus::forecast {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr int kDay = 288;
const Timestamp kStart = from_unix_ns(1'700'006'400'000'000'000);  // midnight

/// A working day: busy from eight to six, noise around it. step: of five minutes, may be a fraction.
double office(double step, std::mt19937_64& random) {
  const double hour = std::fmod(step / 12, 24);
  return (hour >= 8 && hour < 18 ? 2.0 : 0.3) * (0.9 + 0.2 * (static_cast<double>(random() >> 11) * 0x1p-53));
}

History history_of(int steps, int per_bin, unsigned seed = 1) {
  std::mt19937_64 random(seed);
  History history{kStart + minutes(5) * steps / per_bin, minutes(5) / per_bin, {}};
  for (int i = 0; i < steps; ++i) history.values.push_back(office(static_cast<double>(i) / per_bin, random));
  return history;
}

class GlobalModelTest : public testing::Test {
 protected:
  global::Forecaster forecaster_{global::shipped_weights()};
};

TEST_F(GlobalModelTest, SuitsStepsThatDivideFiveMinutesADayAndNoMore) {
  EXPECT_TRUE(GlobalModel::suits(minutes(5), hours(24), 288));
  EXPECT_TRUE(GlobalModel::suits(minutes(1), hours(24), 30));
  EXPECT_FALSE(GlobalModel::suits(minutes(5), hours(24), 289)) << "a horizon beyond a day";
  EXPECT_FALSE(GlobalModel::suits(minutes(2), hours(24), 30));
  EXPECT_FALSE(GlobalModel::suits(minutes(10), hours(24), 30));
  EXPECT_FALSE(GlobalModel::suits(seconds(2), hours(1), 15)) << "nothing but a day has a day's course";
}

TEST_F(GlobalModelTest, KnowsTheCourseOfTheDay) {
  GlobalModel model(forecaster_, Resource::kCpu, minutes(5), kDay);
  EXPECT_EQ(model.fit(history_of(2 * kDay - 1, 1)).error().code, ErrorCode::kFailedPrecondition);
  ASSERT_TRUE(model.fit(history_of(6 * kDay, 1)));
  const Forecast forecast = model.forecast(kDay).value();
  ASSERT_EQ(forecast.steps.size(), 288u);
  EXPECT_EQ(forecast.made_at, kStart + hours(6 * 24));
  EXPECT_NEAR(forecast.steps[3 * 12].p50, 0.3, 0.15) << "three in the morning";
  EXPECT_NEAR(forecast.steps[12 * 12].p50, 2, 0.4) << "noon";
  EXPECT_GT(forecast.window_max.p50, 1.8);
  for (const Quantiles& q : forecast.steps) {
    EXPECT_TRUE(std::isfinite(q.p10) && q.p10 <= q.p50 && q.p50 <= q.p90 && q.p90 <= q.p95 && q.p95 <= q.p99);
    EXPECT_LE(q.p99, forecast.window_max.p99);
  }
}

TEST_F(GlobalModelTest, OfMinutesItMakesBinsOfFive) {
  GlobalModel model(forecaster_, Resource::kCpu, minutes(1), 30);
  const History minutes_of = history_of(3 * kDay * 5, 5);
  ASSERT_TRUE(model.fit(minutes_of));
  const Forecast before = model.forecast(30).value();
  EXPECT_EQ(before.steps[0], before.steps[4]);
  model.update(0.3);
  const Forecast after = model.forecast(30).value();
  EXPECT_EQ(after.made_at, before.made_at + minutes(1));
  EXPECT_EQ(after.steps[3], before.steps[4]) << "no bin is full: the same forecast, a minute later";
  for (int i = 1; i < 5; ++i) model.update(i == 2 ? std::nan("") : 0.3);
  History longer = minutes_of;
  longer.end += minutes(5);
  longer.values.insert(longer.values.end(), 5, 0.3);
  GlobalModel anew(forecaster_, Resource::kCpu, minutes(1), 30);
  ASSERT_TRUE(anew.fit(longer));
  EXPECT_EQ(model.forecast(30)->steps, anew.forecast(30)->steps);
}

TEST_F(GlobalModelTest, LooksAtTheOtherResourcesOfItsVm) {
  Siblings siblings{};
  GlobalModel model(forecaster_, Resource::kCpu, minutes(5), 12, &siblings);
  ASSERT_TRUE(model.fit(history_of(4 * kDay, 1)));
  const Forecast alone = model.forecast(12).value();
  const auto with = [&](History network) {
    GlobalModel other(forecaster_, Resource::kNetwork, minutes(5), 12, &siblings);
    EXPECT_TRUE(other.fit(network));
    GlobalModel anew(forecaster_, Resource::kCpu, minutes(5), 12, &siblings);
    EXPECT_TRUE(anew.fit(history_of(4 * kDay, 1)));
    return anew.forecast(12).value();
  };
  History surge = history_of(4 * kDay, 1);
  for (std::size_t i = surge.values.size() - 3; i < surge.values.size(); ++i) surge.values[i] = 50;
  const Forecast seen = with(surge);
  EXPECT_NE(seen.steps, alone.steps);
  surge.end -= hours(1);
  EXPECT_EQ(with(surge).steps, alone.steps) << "an hour old";
  EXPECT_EQ(siblings, Siblings{}) << "both are gone";
}

TEST_F(GlobalModelTest, TakesGapsAndRefusesWhatCannotBeComputedWith) {
  GlobalModel model(forecaster_, Resource::kMemory, minutes(5), 12);
  History history = history_of(4 * kDay, 1);
  for (std::size_t i = 300; i < 360; ++i) history.values[i] = std::nan("");
  history.values.back() = std::nan("");
  ASSERT_TRUE(model.fit(history));
  EXPECT_TRUE(std::isfinite(model.forecast(12)->window_max.p99));
  history.values[400] = 1e200;
  EXPECT_EQ(model.fit(history).error().code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(model.forecast(12));
}

TEST(EngineWithNetworks, BlendsThemInWhereTheyAreBetterAndSurvivesALevelShift) {
  EngineOptions options;
  options.step = minutes(5);
  options.horizon_steps = 24;
  options.networks = global::shipped_weights();
  Engine engine(options);
  const VmId vm("vm");
  std::mt19937_64 random(1);
  int step = 0;
  const auto feed = [&](int until, double factor) {
    for (; step < until; ++step)
      engine.observe(vm, Resource::kCpu, kStart + minutes(5) * step, factor * office(step, random));
  };
  const auto rows = [&] { return engine.accuracy(vm, Resource::kCpu).models; };
  const auto find = [&](const char* name) {
    for (const Accuracy& row : rows()) {
      if (row.model == name) return row;
    }
    return Accuracy{};
  };
  feed(kDay, 1);
  EXPECT_EQ(find("global").reason, "global: a season has not been seen yet");
  feed(4 * kDay + 90, 1);  // half past seven
  const Accuracy global = find("global");
  ASSERT_EQ(global.leads.size(), 3u) << global.reason;
  EXPECT_GT(global.leads[0].share, 0.5);
  EXPECT_GT(global.leads[1].share, 0.5);
  const Accuracy trend = find("holt_damped");
  ASSERT_EQ(trend.leads.size(), 3u);
  EXPECT_LT(global.leads[2].pinball_loss, 0.25 * trend.leads[2].pinball_loss)
      << "two hours ahead, the start of work is known only to those who know days";
  const Forecast forecast = engine.forecast(vm, Resource::kCpu, kStart + minutes(5) * step).value();
  EXPECT_GT(forecast.steps[18].p50, 1) << "nine o'clock";
  // From now on four times as much.
  feed(4 * kDay + 150, 4);
  const Forecast later = engine.forecast(vm, Resource::kCpu, kStart + minutes(5) * step).value();
  EXPECT_NEAR(later.steps[3].p50, 8, 2);
  EXPECT_GT(later.window_max.p90, 7.5);
}

}  // namespace
}  // namespace proteus::forecast
