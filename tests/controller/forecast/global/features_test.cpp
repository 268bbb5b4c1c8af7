#include "controller/forecast/global/features.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <string>

#include "controller/forecast/global/max_features.h"
#include "controller/forecast/global/training_set.h"

namespace proteus::forecast::global {
namespace {

/// A day's wave with noise, and a burst at the same minute of each hour.
std::vector<double> wave(std::size_t count) {
  std::mt19937 random(4);
  std::normal_distribution<double> normal;
  std::vector<double> values(count);
  for (std::size_t t = 0; t < count; ++t) {
    values[t] = 20 + 10 * std::sin(2 * 3.14159265 * static_cast<double>(t) / kDay) + normal(random);
    if (t % kHour == 0) values[t] += 15;
  }
  return values;
}

const std::vector<std::size_t>& all_steps() {
  static const std::vector<std::size_t> steps = [] {
    std::vector<std::size_t> result(kHorizon);
    std::iota(result.begin(), result.end(), std::size_t{1});
    return result;
  }();
  return steps;
}

bool finite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
}

void expect_well_formed(const Features& f) {
  EXPECT_EQ(f.window.size(), kWindowInputs);
  EXPECT_EQ(f.sequence.size(), kSequenceSteps * kSequenceInputs);
  EXPECT_EQ(f.steps.size(), kHorizon * kStepInputs);
  EXPECT_EQ(f.step_anchors.size(), kHorizon * kStepAnchors * kLevels.size());
  EXPECT_EQ(f.maxima.size(), kWindows.size() * kMaxInputs);
  EXPECT_EQ(f.max_anchors.size(), kWindows.size() * kMaxAnchors * kLevels.size());
  for (const auto* part :
       {&f.window, &f.sequence, &f.steps, &f.step_anchors, &f.step_spread, &f.maxima, &f.max_anchors, &f.max_spread}) {
    EXPECT_TRUE(finite(*part));
  }
}

TEST(Features, OddHistoriesGiveFiniteNumbers) {
  std::vector<double> step(kHistoryMin + 50, 1.0);
  std::fill(step.begin() + 300, step.end(), 1e12);
  std::vector<double> spike(kWeek + 10, 0.0);
  spike[kWeek] = 1e15;
  std::vector<double> rising(kWeek + kDay);
  std::iota(rising.begin(), rising.end(), -500.0);
  for (const auto& values : {wave(kHistoryMin), wave(kHistoryMax + 100), std::vector<double>(kHistoryMin, 0.0),
                             std::vector<double>(kWeek, 7.5), step, spike, rising}) {
    Result<Features> made = make_features(
        {.kind = Kind::kCpu, .values = values, .companions = {}, .next_epoch_s = 1'700'000'000}, all_steps());
    ASSERT_TRUE(made) << made.error().message;
    expect_well_formed(made.value());
  }
}

TEST(Features, TooShortOrNotFiniteIsOneClearError) {
  const std::vector<double> few(kHistoryMin - 1, 1.0);
  Result<Features> shorter = make_features({.values = few, .companions = {}, .next_epoch_s = {}}, all_steps());
  ASSERT_FALSE(shorter);
  EXPECT_EQ(shorter.error().code, ErrorCode::kFailedPrecondition);
  std::vector<double> gap(kHistoryMin, 1.0);
  gap[100] = std::numeric_limits<double>::quiet_NaN();
  Result<Features> missing = make_features({.values = gap, .companions = {}, .next_epoch_s = {}}, all_steps());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kInvalidArgument);
}

TEST(Features, SignalsAndPressureChangeNothingElse) {
  const std::vector<double> values = wave(3 * kDay);
  std::vector<float> rows(values.begin(), values.end());
  rows.resize(3 * kDay + kHorizon, std::numeric_limits<float>::quiet_NaN());
  const std::vector<float> pressure(kHour, 0.5F);
  const Past alone{.values = values, .companions = {}, .next_epoch_s = {}};
  Past past = alone;
  past.signals = {1, rows};
  past.pressure = pressure;
  Result<Features> with = make_features(past, all_steps());
  Result<Features> without = make_features(alone, all_steps());
  ASSERT_TRUE(with && without);
  EXPECT_EQ(with->step_signals.size(), kHorizon * kSignalInputs);
  EXPECT_EQ(with->step_signal_anchors.size(), kHorizon * kLevels.size());
  EXPECT_EQ(with->max_signals.size(), kWindows.size() * kSignalInputs);
  EXPECT_EQ(with->max_signal_anchors.size(), kWindows.size() * kLevels.size());
  EXPECT_TRUE(finite(with->step_signals) && finite(with->max_signals));
  EXPECT_TRUE(without->step_signals.empty() && without->max_signals.empty());
  EXPECT_EQ(with->steps, without->steps);
  EXPECT_EQ(with->window, without->window);
  EXPECT_EQ(with->max_anchors, without->max_anchors);

  past.signals = {};
  Result<Features> pressed = make_features(past, all_steps());
  ASSERT_TRUE(pressed);
  const float* seasonal = pressed->step_anchors.data() + kLevels.size();  // of the first step
  EXPECT_TRUE(std::equal(seasonal, seasonal + kLevels.size(), pressed->step_signal_anchors.begin()))
      << "without signals the anchor is the seasonal autoregression's";
}

TEST(Features, AScaledSeriesLooksTheSame) {
  const std::vector<double> values = wave(kWeek + 50);
  std::vector<double> larger = values;
  for (double& value : larger) value *= 1024;
  Result<Features> a = make_features({.values = values, .companions = {}, .next_epoch_s = {}}, all_steps());
  Result<Features> b = make_features({.values = larger, .companions = {}, .next_epoch_s = {}}, all_steps());
  ASSERT_TRUE(a && b);
  for (std::size_t i = 0; i < a->window.size(); ++i) EXPECT_NEAR(a->window[i], b->window[i], 1e-3) << i;
  for (std::size_t i = 0; i < a->step_anchors.size(); i += 37) {
    EXPECT_NEAR(a->step_anchors[i], b->step_anchors[i], 1e-3) << i;
  }
}

TEST(Features, TheHourlyBurstIsSeenWhereItWillBe) {
  const std::vector<double> values = wave(kWeek);  // the first step to be forecast bursts
  Result<Features> made = make_features({.values = values, .companions = {}, .next_epoch_s = {}}, all_steps());
  ASSERT_TRUE(made);
  constexpr std::size_t kHourAnchor = 3;
  const auto median_at = [&](std::size_t h) {
    return made->scale.from_z(made->step_anchors[((h - 1) * kStepAnchors + kHourAnchor) * kLevels.size() + 1]);
  };
  EXPECT_GT(median_at(1), median_at(2) + 8);
  EXPECT_GT(median_at(13), median_at(12) + 8);
}

TEST(Features, OnlyThePastIsLookedAt) {
  const std::vector<double> values = wave(kWeek + kDay);
  const TrainingSeries series{.kind = Kind::kCpu, .values = values, .companions = {}, .start_epoch_s = {}};
  const WindowChoice one{.span = 0, .per_series = 1};
  Result<TrainingSet> as_is = cut_windows(std::vector{series}, one);
  std::vector<double> changed = values;
  for (std::size_t t = kWeek; t < changed.size(); ++t) changed[t] += 100;
  const TrainingSeries other{.kind = Kind::kCpu, .values = changed, .companions = {}, .start_epoch_s = {}};
  Result<TrainingSet> with_another_future = cut_windows(std::vector{other}, one);
  ASSERT_TRUE(as_is && with_another_future);
  ASSERT_EQ(as_is->windows, 1U);
  EXPECT_EQ(as_is->window, with_another_future->window);
  EXPECT_EQ(as_is->steps.input, with_another_future->steps.input);
  EXPECT_EQ(as_is->maxima.input, with_another_future->maxima.input);
  EXPECT_NE(as_is->future, with_another_future->future);
}

}  // namespace
}  // namespace proteus::forecast::global
