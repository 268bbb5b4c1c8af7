// What happens to VMs: levels shift, VMs are resized, moved, rebooted, and go silent. The forecasts must come along,
// and none of it may make them forget or fail.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

#include "controller/forecast/engine.h"

namespace proteus::forecast {
namespace {

using std::chrono::minutes;

const VmId kVm{"vm"};
const Timestamp kStart = from_unix_ns(1'700'000'040'000'000'000);

EngineOptions options() {
  EngineOptions options;
  options.horizon_steps = 15;
  options.history_steps = 600;
  options.season = minutes(120);
  return options;
}

/// Feeds level(step) with noise, NaN = silence, and keeps the forecast made after each step.
std::vector<Forecast> run(unsigned seed, int steps, double noise, const std::function<double(int)>& level,
                          std::vector<Accuracy>* accuracy = nullptr) {
  Engine engine(options());
  std::mt19937_64 random(seed);
  std::normal_distribution<double> around(0, noise);
  std::vector<Forecast> made;
  for (int i = 0; i < steps; ++i) {
    const double value = level(i) + around(random);
    if (std::isfinite(value)) engine.observe(kVm, Resource::kCpu, kStart + minutes(i), value);
    made.push_back(engine.forecast(kVm, Resource::kCpu, kStart + minutes(i)).value());
  }
  if (accuracy != nullptr) *accuracy = engine.accuracy(kVm, Resource::kCpu).models;
  return made;
}

constexpr unsigned kSeeds = 20;

TEST(Drift, ALevelShiftIsFollowedWithinAFewSteps) {
  for (const double to : {3.0, 0.2}) {
    int followed = 0;
    int calm = 0;
    for (unsigned seed = 1; seed <= kSeeds; ++seed) {
      const auto made = run(seed, 400, 0.05, [&](int i) { return i < 300 ? 1.0 : to; });
      // Step 308 has seen eight of the new level.
      followed += std::abs(made[308].steps[4].p50 - to) < 0.35 * std::abs(to - 1) ? 1 : 0;
      calm += std::abs(made[340].steps[7].p50 - to) < 0.15 && made[340].window_max.p90 < to + 0.5 ? 1 : 0;
    }
    EXPECT_GE(followed, 18) << to;
    EXPECT_GE(calm, 18) << to;
  }
}

TEST(Drift, AResizedVmThatWasHeldBackIsFollowedUp) {
  // Held at one core while it wanted up to two; at step 300 it gets them.
  int followed = 0;
  for (unsigned seed = 1; seed <= kSeeds; ++seed) {
    const auto made = run(seed, 400, 0.03, [](int i) {
      const double wanted = 1.6 + 0.3 * std::sin(i * 0.4);
      return i < 300 ? std::min(1.0, wanted) : wanted;
    });
    int covered = 0;
    for (int i = 312; i < 385; ++i) {
      const double next = 1.6 + 0.3 * std::sin((i + 0) * 0.4);
      covered += next <= made[static_cast<std::size_t>(i)].steps[0].p99 ? 1 : 0;
    }
    followed += covered >= 69 ? 1 : 0;  // of 73
  }
  EXPECT_GE(followed, 18);
}

TEST(Drift, ARebootIsNotTheNewNormal) {
  // Three steps of nothing, two of start-up, then as before.
  int calm = 0;
  for (unsigned seed = 1; seed <= kSeeds; ++seed) {
    const auto made = run(seed, 400, 0.05, [](int i) {
      if (i >= 300 && i < 303) return 0.0;
      if (i >= 303 && i < 305) return 2.0;
      return 1.0;
    });
    const Forecast& later = made[320];
    calm += std::abs(later.steps[7].p50 - 1) < 0.15 && later.steps[7].p90 < 1.6 ? 1 : 0;
    for (int i = 300; i < 320; ++i) {
      for (const Quantiles& q : made[static_cast<std::size_t>(i)].steps) ASSERT_TRUE(std::isfinite(q.p99));
    }
  }
  EXPECT_GE(calm, 18);
}

TEST(Drift, AfterAGapTheForecastGoesOn) {
  for (unsigned seed = 1; seed <= kSeeds; ++seed) {
    const auto made = run(seed, 400, 0.05, [](int i) { return i >= 300 && i < 340 ? std::nan("") : 1.0; });
    EXPECT_FALSE(made[300].stale);
    EXPECT_TRUE(made[310].stale);
    EXPECT_GT(made[339].steps[0].p90 - made[339].steps[0].p50, 1.5 * (made[299].steps[0].p90 - made[299].steps[0].p50));
    EXPECT_FALSE(made[342].stale);
    EXPECT_NE(made[342].model, "cold_start") << "what was known before the gap counts";
    EXPECT_NEAR(made[345].steps[7].p50, 1, 0.2);
  }
}

TEST(Drift, AModelThatLosesToItsFallbackIsSetAsideAndSaysSo) {
  // A day that repeats itself, then days that no longer do: the seasonal naive's lead is gone.
  std::vector<Accuracy> before;
  std::vector<Accuracy> after;
  const auto level = [](int i) {
    const double wave = 2 + 1.5 * std::sin(2 * M_PI * i / 120);
    return i < 600 ? wave : 1 + 0.02 * ((i * 7919) % 100);
  };
  run(1, 600, 0.1, level, &before);
  const auto made = run(1, 1100, 0.1, level, &after);
  const auto find = [](const std::vector<Accuracy>& rows, const std::string& name) {
    for (const Accuracy& row : rows) {
      if (row.model == name) return row;
    }
    return Accuracy{};
  };
  EXPECT_TRUE(find(before, "seasonal_naive").chosen);
  EXPECT_TRUE(find(before, "naive").set_aside);
  EXPECT_EQ(find(before, "naive").reason, "worse than seasonal_naive lately");
  EXPECT_FALSE(find(after, "seasonal_naive").chosen);
  EXPECT_NE(made.back().model, "seasonal_naive");
}

}  // namespace
}  // namespace proteus::forecast
