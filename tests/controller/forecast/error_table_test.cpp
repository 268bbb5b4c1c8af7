#include "controller/forecast/error_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace proteus::forecast {
namespace {

void zero_path(std::size_t, std::span<double> path) {
  std::fill(path.begin(), path.end(), 0.0);
}

std::vector<double> normal_values(int count, unsigned seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0, 1);
  std::vector<double> values;
  for (int i = 0; i < count; ++i) values.push_back(normal(random));
  return values;
}

TEST(ErrorTable, KnowsTheQuantilesOfItsErrors) {
  ErrorTable table(10);
  ASSERT_TRUE(table.learn(normal_values(5000, 1), 0, zero_path));
  double p50 = 0;
  double p90 = 0;
  for (int h = 1; h <= 10; ++h) {
    p50 += table.at(h).p50 / 10;
    p90 += table.at(h).p90 / 10;
  }
  EXPECT_NEAR(p50, 0, 0.15);
  EXPECT_NEAR(p90, 1.28, 0.25);
  // The largest of ten normal values: median 1.50, p90 2.31.
  EXPECT_NEAR(table.window(10).p50, 1.50, 0.25);
  EXPECT_NEAR(table.window(10).p90, 2.31, 0.45);
}

TEST(ErrorTable, SpreadsAreOrderedAndGrowBeyondTheHorizon) {
  ErrorTable table(6);
  ASSERT_TRUE(table.learn(normal_values(40, 2), 0, zero_path));
  for (int h : {1, 3, 6, 24, 1440}) {
    EXPECT_LE(table.at(h).p50, table.at(h).p90);
    EXPECT_LE(table.at(h).p90, table.at(h).p99);
  }
  EXPECT_NEAR(table.at(24).p90, 2 * table.at(6).p90, 1e-9);
  EXPECT_GE(table.window(60).p90, table.window(6).p90);
}

TEST(ErrorTable, OneChangeIsOneSurpriseNotAHorizonOfThem) {
  // Zero for 60 steps, then 10: a third of the origins look across the change.
  std::vector<double> values(60, 0.0);
  values.resize(90, 10.0);
  const auto last_value = [&](std::size_t origin, std::span<double> path) {
    std::fill(path.begin(), path.end(), values[origin]);
  };
  ErrorTable unaware(20);
  ASSERT_TRUE(unaware.learn(values, 0, last_value));
  EXPECT_DOUBLE_EQ(unaware.at(20).p90, 10 * (1 + 2.0 / 70));

  ErrorTable aware(20);
  const auto crosses = [](std::size_t origin, int h) { return origin < 60 && origin + std::size_t(h) >= 60; };
  ASSERT_TRUE(aware.learn(values, 0, last_value, crosses, 0.002));
  EXPECT_DOUBLE_EQ(aware.at(20).p90, 0);
  EXPECT_GT(aware.at(20).p99, 9);  // 1 - exp(-0.002 * 20) is more than one in a hundred
}

TEST(ErrorTable, MissingValuesTellNothing) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  ErrorTable table(3);
  EXPECT_FALSE(table.learn(std::vector<double>(20, nan), 0, zero_path));
  EXPECT_FALSE(table.learn(std::vector<double>{1}, 0, zero_path));
  EXPECT_EQ(table.at(1), Quantiles{});
  std::vector<double> values = normal_values(30, 3);
  values[7] = nan;
  ASSERT_TRUE(table.learn(values, 0, zero_path));
  EXPECT_TRUE(std::isfinite(table.window(3).p99));
}

}  // namespace
}  // namespace proteus::forecast
