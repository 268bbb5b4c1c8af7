#include "controller/forecast/quantile_tracker.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "common/state_archive.h"

namespace proteus::forecast {
namespace {

TEST(QuantileTracker, MakesTheStatedCoverageTrueInTheLongRun) {
  for (const double scale : {0.8, 1.0, 1.5, 2.5}) {
    std::mt19937_64 random(5);
    std::normal_distribution<double> normal(0, scale);
    QuantileTracker tracker(0.9, {});
    int hits = 0;
    constexpr int kRunIn = 2000;
    constexpr int kCounted = 4000;
    for (int i = 0; i < kRunIn + kCounted; ++i) {
      const bool missed = normal(random) / 1.2816 > tracker.factor();
      if (i >= kRunIn && !missed) ++hits;
      tracker.observe(missed);
    }
    EXPECT_NEAR(static_cast<double>(hits) / kCounted, 0.9, 0.01) << scale;
  }
}

TEST(QuantileTracker, TrustsTheModelUntilThereIsEvidence) {
  QuantileTracker tracker(0.99, {});
  EXPECT_EQ(tracker.factor(), 1);
  tracker.observe(true);
  EXPECT_NEAR(tracker.factor(), 1.01, 0.001);
  for (int i = 0; i < 99; ++i) tracker.observe(false);
  EXPECT_NEAR(tracker.factor(), 1, 0.001) << "one miss in a hundred is what a p99 promises";
}

TEST(QuantileTracker, StaysWithinBoundsAlsoAsRead) {
  QuantileTracker tracker(0.9, {.rate = 0.1, .most = 3});
  for (int i = 0; i < 2000; ++i) tracker.observe(true);
  EXPECT_EQ(tracker.factor(), 3);
  for (int i = 0; i < 5000; ++i) tracker.observe(false);
  EXPECT_EQ(tracker.factor(), 0.7);
  for (const double damaged : {std::numeric_limits<double>::quiet_NaN(), 1e9, -1.0}) {
    std::string bytes;
    StateWriter writer(bytes);
    writer(double{damaged});
    StateReader reader(bytes);
    tracker.archive(reader);
    EXPECT_GE(tracker.factor(), 0.7);
    EXPECT_LE(tracker.factor(), 3);
  }
}

}  // namespace
}  // namespace proteus::forecast
