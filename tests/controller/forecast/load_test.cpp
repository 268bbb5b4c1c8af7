// The engine on the loads that it is there for: a ramp is to be announced, noise is not.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>

#include "controller/forecast/engine.h"

namespace proteus::forecast {
namespace {

using std::chrono::seconds;

const VmId kVm{"11111111-2222-3333-4444-555555555555"};
const Timestamp kStart = from_unix_ns(1'700'000'000'000'000'000);
constexpr double kLow = 0.2;
constexpr double kHigh = 0.9;
constexpr double kCapacity = 0.8;
constexpr double kNoise = 0.05;
constexpr int kFlatSteps = 45;

/// Steps of 2 s, a horizon of a minute, ticks of 1 s.
class Load {
 public:
  Load(unsigned seed, double noise) : random_(seed), noise_(0, noise), engine_(options()) {}

  static EngineOptions options() {
    EngineOptions options;
    options.step = seconds(2);
    options.horizon_steps = 30;
    return options;
  }
  /// Observes one step whose two ticks are around level(time); returns the forecast at its end.
  Forecast step(const std::function<double(double)>& level_at) {
    for (int tick = 0; tick < 2; ++tick, ++ticks_) {
      const double value = std::max(0.0, level_at(ticks_) + noise_(random_));
      engine_.observe(kVm, Resource::kCpu, kStart + seconds(ticks_), value);
    }
    return engine_.forecast(kVm, Resource::kCpu, kStart + seconds(ticks_ - 1)).value();
  }

 private:
  std::mt19937_64 random_;
  std::normal_distribution<double> noise_;
  Engine engine_;
  int ticks_ = 0;
};

struct RampOutcome {
  int alarm = 1000;           ///< steps after the ramp's start: p90 of the window maximum is above the capacity
  int crossing = 1000;        ///< the load is
  int extrapolated = 1000;    ///< the median half a minute ahead has made half of the way to what comes
  bool alarm_before = false;  ///< in the flat phase
  double p90_after = 0;       ///< three minutes after the ramp's end
};

RampOutcome run_ramp(unsigned seed, double ramp_s, double noise) {
  const double begin_s = 2 * kFlatSteps;
  const auto level = [&](double s) { return std::clamp(kLow + (kHigh - kLow) * (s - begin_s) / ramp_s, kLow, kHigh); };
  Load load(seed, noise);
  RampOutcome outcome;
  const int steps = kFlatSteps + static_cast<int>(ramp_s / 2) + 90;
  for (int i = 0; i < steps; ++i) {
    const Forecast forecast = load.step(level);
    const int in_ramp = i - kFlatSteps + 1;
    const bool alarm = forecast.window_max.p90 > kCapacity;
    outcome.p90_after = forecast.window_max.p90;
    if (in_ramp <= 0) {
      outcome.alarm_before |= alarm;
      continue;
    }
    if (alarm) outcome.alarm = std::min(outcome.alarm, in_ramp);
    if (level(2 * i + 1) > kCapacity) outcome.crossing = std::min(outcome.crossing, in_ramp);
    const double coming = level(2 * (i + 15) + 1);
    if (forecast.steps[14].p50 > kLow + 0.5 * (coming - kLow)) {
      outcome.extrapolated = std::min(outcome.extrapolated, in_ramp);
    }
  }
  return outcome;
}

struct Ramp {
  double length_s;
  double noise;
  int lead_steps_min;        ///< in every run
  double lead_steps_mean;    ///< at least, on average
  double extrapolated_mean;  ///< at most, on average
};

class RampLoad : public testing::TestWithParam<Ramp> {};
// The bars leave some room below what these seeds show.
INSTANTIATE_TEST_SUITE_P(Ramps, RampLoad,
                         testing::Values(Ramp{40, kNoise, 7, 9, 8}, Ramp{50, kNoise, 10, 12, 8.5},
                                         Ramp{60, kNoise, 12, 16, 9.5}, Ramp{60, 0.02, 14, 18, 6.5}));

TEST_P(RampLoad, IsAnnouncedLongBeforeItCrossesTheCapacity) {
  const Ramp ramp = GetParam();
  double lead_sum = 0;
  double extrapolated_sum = 0;
  std::vector<double> after;
  for (unsigned seed = 1; seed <= 50; ++seed) {
    const RampOutcome outcome = run_ramp(seed, ramp.length_s, ramp.noise);
    EXPECT_FALSE(outcome.alarm_before) << "seed " << seed;
    const int lead = outcome.crossing - outcome.alarm;
    EXPECT_GE(lead, ramp.lead_steps_min) << "seed " << seed;
    lead_sum += lead;
    extrapolated_sum += outcome.extrapolated;
    after.push_back(outcome.p90_after);
  }
  EXPECT_GE(lead_sum / 50, ramp.lead_steps_mean);
  EXPECT_LE(extrapolated_sum / 50, ramp.extrapolated_mean);
  // Once the load is flat again, the forecast is, too.
  std::sort(after.begin(), after.end());
  EXPECT_LT(after[25], kHigh + 0.15);
  EXPECT_LT(after[49], kHigh + 0.45);
}

TEST(FlatLoad, RaisesNoFalseAlarm) {
  int steps = 0;
  int wide = 0;
  for (unsigned seed = 1; seed <= 50; ++seed) {
    Load load(seed, kNoise);
    for (int i = 0; i < 300; ++i) {
      const Forecast forecast = load.step([](double) { return kLow; });
      if (i < 5) continue;  // cold start
      ASSERT_LT(forecast.window_max.p90, kCapacity) << "seed " << seed << " step " << i;
      ++steps;
      wide += i > 30 && forecast.window_max.p90 > kLow + 5 * kNoise ? 1 : 0;
    }
  }
  EXPECT_LT(wide, steps / 200);
}

TEST(FlatLoad, WindowMaximumStaysCloseToWhatIsObserved) {
  double expected_sum = 0;
  double observed_sum = 0;
  int covered = 0;
  int windows = 0;
  for (unsigned seed = 1; seed <= 50; ++seed) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> noise(0.5, kNoise);
    Engine engine(Load::options());
    Forecast before;
    double highest = 0;
    for (int i = 0; i < 330; ++i) {
      const double value = noise(random);
      engine.observe(kVm, Resource::kCpu, kStart + seconds(2 * i), value);
      highest = std::max(highest, value);
      if (i < 120 || i % 30 != 0) continue;
      // The step that was just observed is still open, so the window began with it a window ago.
      if (i > 120) {
        expected_sum += before.window_max.p90;
        observed_sum += highest;
        covered += highest <= before.window_max.p90 ? 1 : 0;
        ++windows;
      }
      before = engine.forecast(kVm, Resource::kCpu, kStart + seconds(2 * i)).value();
      highest = value;
    }
  }
  EXPECT_NEAR(expected_sum / windows, observed_sum / windows, 1.5 * kNoise);
  EXPECT_NEAR(static_cast<double>(covered) / windows, 0.9, 0.08);
}

}  // namespace
}  // namespace proteus::forecast
