#include "controller/forecast/global/signal_forecast.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace proteus::forecast::global {
namespace {

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();

/// Jobs at random times that a signal tells of, on a day's course with noise.
struct Jobs {
  explicit Jobs(std::size_t steps, unsigned seed = 5) {
    std::mt19937 random(seed);
    std::normal_distribution<double> noise(0, 0.1);
    std::size_t until = 0;
    bool on = false;
    for (std::size_t t = 0; t < steps + kHorizon; ++t) {
      if (t >= until) {
        on = !on;
        until = t + 12 + random() % 100;
      }
      signal.push_back(on ? 1.0F : 0.0F);
      values.push_back(3 + std::sin(2 * 3.14159265 * static_cast<double>(t) / kDay) + (on ? 2.0 : 0.0) + noise(random));
    }
    future.assign(values.begin() + static_cast<std::ptrdiff_t>(steps), values.end());
    values.resize(steps);
  }
  std::vector<double> values, future;
  std::vector<float> signal;
};

TEST(SignalForecast, FollowsASignalIntoTheFuture) {
  const Jobs jobs(4 * kDay);
  const HistoryView view(jobs.values);
  const auto made = forecast_with_signals(view, {1, jobs.signal});
  ASSERT_TRUE(made);
  EXPECT_GT(made->gain, 0.8F);
  double with = 0;
  double without = 0;
  for (std::size_t h = 0; h < kHorizon; ++h) {
    with += std::abs(view.scale().from_z(static_cast<double>(made->path[h])) - jobs.future[h]);
    without += std::abs(view.scale().from_z(static_cast<double>(view.seasonal_path(h + 1))) - jobs.future[h]);
  }
  EXPECT_LT(with, 0.4 * without);
  EXPECT_LT(made->rest.errors[kHour][2] - made->rest.errors[kHour][0],
            0.5F * (view.seasonal().errors[kHour][2] - view.seasonal().errors[kHour][0]))
      << "it is surer as well";
}

TEST(SignalForecast, UnitsDoNotMatter) {
  const Jobs jobs(4 * kDay);
  std::vector<float> larger = jobs.signal;
  for (float& value : larger) value = 5e6F + 1e6F * value;
  const HistoryView view(jobs.values);
  const auto a = forecast_with_signals(view, {1, jobs.signal});
  const auto b = forecast_with_signals(view, {1, larger});
  ASSERT_TRUE(a && b);
  for (std::size_t h = 0; h < kHorizon; ++h) EXPECT_NEAR(a->path[h], b->path[h], 0.02F) << h;
}

TEST(SignalForecast, ASignalWithoutAFutureGoesBackToItsMean) {
  const Jobs jobs(4 * kDay);
  std::vector<float> past = jobs.signal;
  std::fill(past.end() - static_cast<std::ptrdiff_t>(kHorizon), past.end(), kUnknown);
  const HistoryView view(jobs.values);
  const auto known = forecast_with_signals(view, {1, jobs.signal});
  const auto made = forecast_with_signals(view, {1, past});
  ASSERT_TRUE(known && made);
  EXPECT_EQ(made->gain, known->gain);
  EXPECT_NE(made->path, known->path);
  for (const float z : made->path) EXPECT_TRUE(std::isfinite(z));
}

TEST(SignalForecast, NothingComesOfSignalsThatTellNothing) {
  const Jobs jobs(4 * kDay);
  const HistoryView view(jobs.values);
  const std::size_t rows = jobs.signal.size();
  EXPECT_FALSE(forecast_with_signals(view, {})) << "none";
  EXPECT_FALSE(forecast_with_signals(view, {1, std::vector<float>(rows, 3.0F)})) << "constant";
  EXPECT_FALSE(forecast_with_signals(view, {1, std::vector<float>(rows, kUnknown)})) << "never known";
  std::vector<float> late(rows, kUnknown);
  for (std::size_t t = rows - kHorizon - kDay; t < rows; ++t) late[t] = jobs.signal[t];
  EXPECT_FALSE(forecast_with_signals(view, {1, late})) << "known for a day of four";
  EXPECT_FALSE(forecast_with_signals(view, {1, std::span(jobs.signal).first(rows - 1)})) << "a row is missing";
  const auto noise = forecast_with_signals(view, {1, Jobs(4 * kDay, 77).signal});
  EXPECT_TRUE(!noise || noise->gain < 0.05F) << "of other jobs";
  const std::vector<double> flat(kHistoryMin, 1.0);
  EXPECT_FALSE(forecast_with_signals(HistoryView(flat), {1, std::span(jobs.signal).first(kHistoryMin + kHorizon)}));
}

TEST(SignalForecast, SignalsThatGoTogetherAreNoTrouble) {
  const Jobs jobs(3 * kDay);
  std::vector<float> rows;
  for (const float value : jobs.signal) rows.insert(rows.end(), {value, 2 * value, 1 - value});
  const auto made = forecast_with_signals(HistoryView(jobs.values), {3, rows});
  ASSERT_TRUE(made);
  EXPECT_GT(made->gain, 0.8F);
  for (const float z : made->path) EXPECT_LT(std::abs(z), 5.0F);
}

}  // namespace
}  // namespace proteus::forecast::global
