#include "controller/forecast/damped_trend_filter.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace proteus::forecast {
namespace {

const DampedTrendParameters kSlow{0.1, 0, 0.98};

class Noise {
 public:
  explicit Noise(unsigned seed) : random_(seed) {}
  double operator()() { return normal_(random_); }

 private:
  std::mt19937_64 random_;
  std::normal_distribution<double> normal_{0, 1};
};

DampedTrendFilter flat_then(unsigned seed, int flat_steps) {
  Noise noise(seed);
  DampedTrendFilter filter(kSlow);
  filter.start(100, 1);
  for (int i = 0; i < flat_steps; ++i) filter.update(100 + noise());
  return filter;
}

TEST(DampedTrendFilter, SeesNoChangeInNoise) {
  int changes = 0;
  for (unsigned seed = 1; seed <= 50; ++seed) {
    Noise noise(seed);
    DampedTrendFilter filter(kSlow);
    filter.start(100, 1);
    for (int i = 0; i < 400; ++i) {
      filter.update(100 + noise());
      changes += filter.change_found() > 0 ? 1 : 0;
    }
    EXPECT_NEAR(filter.level(), 100, 1.5);
  }
  EXPECT_LE(changes, 6);  // 20,000 steps, one false alarm in some 19,000 a side
}

TEST(DampedTrendFilter, FindsARampAndItsSlope) {
  double delay_sum = 0;
  for (unsigned seed = 1; seed <= 50; ++seed) {
    DampedTrendFilter filter = flat_then(seed, 60);
    Noise noise(seed + 1000);
    int step = 0;
    while (!filter.in_trend() && step < 20) {
      ++step;
      filter.update(100 + 0.7 * step + noise());
    }
    ASSERT_LE(step, 12) << "seed " << seed;
    delay_sum += step;
    for (int more = 0; more < 8; ++more) {
      ++step;
      filter.update(100 + 0.7 * step + noise());
    }
    EXPECT_TRUE(filter.in_trend()) << "seed " << seed;
    EXPECT_NEAR(filter.trend(), 0.7, 0.25) << "seed " << seed;
    EXPECT_NEAR(filter.level(), 100 + 0.7 * step, 2) << "seed " << seed;
    EXPECT_GT(filter.trend_error(), 0);
  }
  EXPECT_LE(delay_sum / 50, 7);
}

// The two below are decisions under noise; a few of the seeds may go the other way, and later steps mend
// that.
TEST(DampedTrendFilter, TakesAJumpForAJump) {
  int right = 0;
  for (unsigned seed = 1; seed <= 50; ++seed) {
    DampedTrendFilter filter = flat_then(seed, 60);
    Noise noise(seed + 1000);
    for (int i = 0; i < 8; ++i) filter.update(120 + noise());
    right += !filter.in_trend() && std::abs(filter.level() - 120) < 1.5 ? 1 : 0;
    for (int i = 0; i < 30; ++i) filter.update(120 + noise());
    EXPECT_FALSE(filter.in_trend()) << "seed " << seed;
    EXPECT_NEAR(filter.level(), 120, 1.5) << "seed " << seed;
  }
  EXPECT_GE(right, 48);
}

TEST(DampedTrendFilter, NoticesTheEndOfARamp) {
  int right = 0;
  for (unsigned seed = 1; seed <= 50; ++seed) {
    DampedTrendFilter filter = flat_then(seed, 60);
    Noise noise(seed + 1000);
    for (int i = 1; i <= 25; ++i) filter.update(100 + i + noise());
    EXPECT_TRUE(filter.in_trend());
    for (int i = 0; i < 12; ++i) filter.update(125 + noise());
    right += std::abs(filter.trend()) < 0.25 && std::abs(filter.level() - 125) < 2 ? 1 : 0;
    for (int i = 0; i < 30; ++i) filter.update(125 + noise());
    EXPECT_NEAR(filter.trend(), 0, 0.15) << "seed " << seed;
    EXPECT_NEAR(filter.level(), 125, 1.5) << "seed " << seed;
  }
  EXPECT_GE(right, 44);
}

TEST(DampedTrendFilter, OneSpikeIsNoChange) {
  DampedTrendFilter filter = flat_then(3, 60);
  filter.update(1000);
  EXPECT_EQ(filter.change_found(), 0);
  for (int i = 0; i < 30; ++i) filter.update(100);
  EXPECT_NEAR(filter.level(), 100, 5);
}

TEST(DampedTrendFilter, CarriesOnOverMissingValuesAndThenStopsBelieving) {
  DampedTrendFilter filter = flat_then(1, 60);
  for (int i = 1; i <= 15; ++i) filter.update(100 + i);
  const double level = filter.level();
  const double trend = filter.trend();
  filter.update(std::numeric_limits<double>::quiet_NaN());
  EXPECT_NEAR(filter.level(), level + trend, 1e-9);
  for (int i = 0; i < 10; ++i) filter.update(std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(filter.trend(), 0);
  EXPECT_TRUE(std::isfinite(filter.level()));
}

TEST(DampedTrendFilter, ConstantSeriesStaysConstant) {
  DampedTrendFilter filter(kSlow);
  filter.start(0, 0);
  for (int i = 0; i < 50; ++i) filter.update(0);
  EXPECT_EQ(filter.level(), 0);
  for (int i = 0; i < 30; ++i) filter.update(4);
  EXPECT_NEAR(filter.level(), 4, 0.4);
}

}  // namespace
}  // namespace proteus::forecast
