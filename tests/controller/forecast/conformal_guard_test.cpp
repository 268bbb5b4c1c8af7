#include "controller/forecast/conformal_guard.h"

#include <gtest/gtest.h>

#include <random>

namespace proteus::forecast {
namespace {

/// Share of steps covered when the true spread is `scale` times the stated one, after a run-in.
double coverage(double level, double normal_quantile, double scale, int steps) {
  std::mt19937_64 random(5);
  std::normal_distribution<double> normal(0, scale);
  ConformalGuard guard(level);
  int hits = 0;
  int counted = 0;
  for (int i = 0; i < steps; ++i) {
    const double score = normal(random) / normal_quantile;
    const bool missed = score > guard.factor();
    if (i >= steps / 4) {
      ++counted;
      hits += missed ? 0 : 1;
    }
    guard.observe(score, missed);
  }
  return static_cast<double>(hits) / counted;
}

TEST(ConformalGuard, MakesTheStatedCoverageTrue) {
  for (double scale : {0.8, 1.0, 1.5, 3.0}) {
    EXPECT_NEAR(coverage(0.9, 1.2816, scale, 4000), 0.9, 0.02) << scale;
    EXPECT_NEAR(coverage(0.99, 2.3263, scale, 4000), 0.99, 0.01) << scale;
  }
}

TEST(ConformalGuard, WaitsForEvidenceAndStaysWithinBounds) {
  ConformalGuard guard(0.9);
  for (int i = 0; i < 19; ++i) guard.observe(100, true);
  EXPECT_EQ(guard.factor(), 1);
  for (int i = 0; i < 200; ++i) guard.observe(100, true);
  EXPECT_LE(guard.factor(), 6);
  for (int i = 0; i < 2000; ++i) guard.observe(-100, false);
  EXPECT_GE(guard.factor(), 0.7);
}

}  // namespace
}  // namespace proteus::forecast
