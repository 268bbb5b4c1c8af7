#include "tests/bench/forecast/mixed_series.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/bench/forecast/folds.h"

namespace proteus::bench {
namespace {

using namespace forecast::global;

std::vector<double> wave(std::size_t count, double height, double period) {
  std::vector<double> values;
  for (std::size_t t = 0; t < count; ++t) {
    values.push_back(height * (2 + std::sin(static_cast<double>(t) / period) + static_cast<double>(t) / 1000));
  }
  return values;
}

class Mixed : public testing::Test {
 protected:
  std::vector<double> long_ = wave(4 * kDay, 1, 7);
  std::vector<double> short_ = wave(3 * kDay, 100, 31);
  std::vector<TrainingSeries> from_ = {
      {.kind = Kind::kCpu, .values = long_, .companions = {}, .start_epoch_s = 300},
      {.kind = Kind::kMemory, .values = short_, .companions = {}, .start_epoch_s = {}}};
};

TEST_F(Mixed, LiesBetweenItsParts) {
  const MixedSeries mixed = mix_series(from_, 40, 1);
  ASSERT_GT(mixed.series.size(), 5U) << "half of the draws take one series twice and make none";
  const double unit_a = daily_difference(long_);
  const double unit_b = daily_difference(short_);
  bool both[2] = {false, false};
  for (const TrainingSeries& series : mixed.series) {
    both[series.kind == Kind::kCpu ? 0 : 1] = true;
    ASSERT_EQ(series.values.size(), short_.size());
    EXPECT_EQ(series.start_epoch_s.has_value(), series.kind == Kind::kCpu);
    if (series.start_epoch_s) {
      EXPECT_EQ(*series.start_epoch_s, 300 + 300 * static_cast<std::int64_t>(kDay));
    }
    for (std::size_t t = 0; t < series.values.size(); ++t) {
      const double a = long_[t + kDay] / unit_a;
      const double b = short_[t] / unit_b;
      EXPECT_GE(series.values[t], std::min(a, b) - 1e-9);
      EXPECT_LE(series.values[t], std::max(a, b) + 1e-9);
    }
  }
  EXPECT_TRUE(both[0] && both[1]);
}

TEST_F(Mixed, IsTheSameForTheSameSeed) {
  EXPECT_EQ(mix_series(from_, 20, 3).values, mix_series(from_, 20, 3).values);
  EXPECT_NE(mix_series(from_, 20, 3).values, mix_series(from_, 20, 4).values);
}

TEST_F(Mixed, WindowsAreTakenApartAndPutTogether) {
  const Result<TrainingSet> all = cut_windows(from_, {.per_series = 3});
  ASSERT_TRUE(all.has_value());
  ASSERT_EQ(all->windows, 4U) << "three of the longer series, one of the shorter, which has room for one";
  TrainingSet apart = windows_of(*all, {true, false});
  const TrainingSet rest = windows_of(*all, {false, true});
  EXPECT_EQ(apart.windows, 3U);
  EXPECT_EQ(rest.windows, 1U);
  EXPECT_EQ(rest.steps.input.size(), rest.steps.per_window * kStepInputs);
  append(apart, rest, 10);
  EXPECT_EQ(apart.windows, 4U);
  EXPECT_EQ(apart.series, (std::vector<std::uint32_t>{0, 0, 0, 11}));
  EXPECT_EQ(apart.window, all->window);
  EXPECT_EQ(apart.steps.anchor, all->steps.anchor);
  EXPECT_EQ(apart.future, all->future);
}

}  // namespace
}  // namespace proteus::bench
