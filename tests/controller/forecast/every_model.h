#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "controller/forecast/asinh_ar.h"
#include "controller/forecast/auto_arima.h"
#include "controller/forecast/decaying_histogram.h"
#include "controller/forecast/ets.h"
#include "controller/forecast/holt_damped.h"
#include "controller/forecast/naive.h"
#include "controller/forecast/seasonal_naive.h"
#include "controller/forecast/theta.h"
#include "controller/forecast/time_of_day.h"

/// What holds for every model of one series.
namespace proteus::forecast {

inline constexpr int kHorizon = 12;
inline constexpr int kSeason = 24;
inline constexpr std::array kModelNames = {"naive",       "seasonal_naive", "holt_damped", "decaying_histogram",
                                           "time_of_day", "asinh_ar",       "auto_arima",  "ets",
                                           "theta"};

inline std::unique_ptr<Model> make_model(std::string_view name) {
  if (name == "naive") return std::make_unique<Naive>(kHorizon);
  if (name == "seasonal_naive") return std::make_unique<SeasonalNaive>(kSeason, kHorizon);
  if (name == "holt_damped") return std::make_unique<HoltDamped>(kHorizon);
  if (name == "decaying_histogram") return std::make_unique<DecayingHistogram>(kSeason);
  if (name == "time_of_day") return std::make_unique<TimeOfDay>(kSeason);
  if (name == "asinh_ar") return std::make_unique<AsinhAr>(AsinhAr::Options{.horizon_steps = kHorizon});
  if (name == "auto_arima") {
    return std::make_unique<AutoArima>(
        AutoArima::Options{.horizon_steps = kHorizon, .season_steps = kSeason, .fourier_pairs = 1});
  }
  if (name == "ets") return std::make_unique<Ets>(kHorizon);
  return std::make_unique<Theta>(kSeason, kHorizon);
}

inline History history_of(std::vector<double> values) {
  return {from_unix_ns(1'700'000'000'000'000'000), std::chrono::seconds(60), std::move(values)};
}

inline void expect_in_order(const Quantiles& q) {
  ASSERT_TRUE(std::isfinite(q.p10) && std::isfinite(q.p99));
  ASSERT_GE(q.p10, 0);
  ASSERT_LE(q.p10, q.p50);
  ASSERT_LE(q.p50, q.p90);
  ASSERT_LE(q.p90, q.p95);
  ASSERT_LE(q.p95, q.p99);
}

inline void expect_sound(const Forecast& forecast, int steps) {
  ASSERT_EQ(forecast.steps.size(), static_cast<std::size_t>(steps));
  ASSERT_NO_FATAL_FAILURE(expect_in_order(forecast.window_max));
  for (const Quantiles& q : forecast.steps) {
    ASSERT_NO_FATAL_FAILURE(expect_in_order(q));
    for (const auto member : kQuantileMembers) ASSERT_LE(q.*member, forecast.window_max.*member);
  }
}

}  // namespace proteus::forecast
