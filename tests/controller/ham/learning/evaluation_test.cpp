#include "controller/ham/learning/evaluation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "controller/ham/learning/supervisor.h"

namespace proteus::ham::learning {
namespace {

double uniform(std::mt19937_64& random) {
  return static_cast<double>(random() >> 11) * 0x1p-53;
}

TEST(Difference, IsNothingWhereBothDoTheSame) {
  EXPECT_EQ(difference({true, true, 1, 5, 3}), 0);
  EXPECT_EQ(difference({false, false, 1, 5, std::nullopt}), 0);
}

TEST(Difference, OfAnActionHeldBackIsWhatItWouldHaveLost) {
  EXPECT_EQ(difference({true, false, 1, 5, -3.0}), 3);
  EXPECT_EQ(difference({true, false, 1, 5, std::nullopt}), -5);
}

/// Right on the mean though the expectation is wrong, if the propensity is right; and the other way round.
TEST(Difference, IsDoublyRobust) {
  const double worth = -2;
  const auto mean_of = [&](double expected, double propensity, double real_propensity) {
    std::mt19937_64 random(3);
    double sum = 0;
    constexpr int kCount = 200'000;
    for (int i = 0; i < kCount; ++i) {
      const bool taken = uniform(random) < real_propensity;
      const double reward = worth + uniform(random) - 0.5;
      sum += difference({true, false, propensity, expected, taken ? std::optional(reward) : std::nullopt});
    }
    return sum / kCount;
  };
  EXPECT_NEAR(mean_of(+4, 0.2, 0.2), -worth, 0.1);
  EXPECT_NEAR(mean_of(worth, 0.2, 0.6), -worth, 0.1);
  EXPECT_GT(std::abs(mean_of(+4, 0.2, 0.6) + worth), 1) << "both wrong cannot be right";
}

/// Looked at after each value, the bound fails in at most about one of twenty series.
TEST(ConfidenceSequence, HoldsAtAllTimes) {
  int failed = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    std::mt19937_64 random(seed);
    ConfidenceSequence sequence;
    bool beyond = false;
    for (int i = 0; i < 500; ++i) {
      sequence.add(uniform(random) + uniform(random) - 1);
      beyond = beyond || sequence.lower() > 0;
    }
    failed += beyond;
  }
  EXPECT_LE(failed, 28);
}

TEST(ConfidenceSequence, SeesADifferenceInTime) {
  std::mt19937_64 random(1);
  ConfidenceSequence sequence;
  EXPECT_EQ(sequence.lower(), -std::numeric_limits<double>::infinity());
  int needed = 0;
  while (sequence.lower() <= 0 && needed < 1000) {
    sequence.add(0.5 + uniform(random) + uniform(random) - 1);
    ++needed;
  }
  EXPECT_LT(needed, 40);
  EXPECT_GT(sequence.upper(), 0.5);
}

constexpr Occasion held(double realised) {
  return {true, false, 0.2, -1, realised};
}

TEST(Supervisor, ActsOnlyBeyondItsBound) {
  Supervisor supervisor;
  for (int i = 0; i < 9; ++i)
    EXPECT_EQ(supervisor.on_occasion({true, false, 1, -1, -1.0}, 1), Supervisor::Verdict::kStay);
  EXPECT_EQ(supervisor.on_occasion({true, false, 1, -1, -1.0}, 1), Supervisor::Verdict::kAdopt);
  EXPECT_TRUE(supervisor.acting());
  Supervisor doubtful;
  for (int i = 0; i < 500; ++i) doubtful.on_occasion({true, false, 1, 0, i % 2 == 0 ? -1.0 : 1.1}, 1);
  EXPECT_FALSE(doubtful.acting());
}

TEST(Supervisor, StepsBackWhenWhatItHoldsBackIsWorthHaving) {
  Supervisor supervisor;
  while (!supervisor.acting()) supervisor.on_occasion({true, false, 1, -1, -1.0}, 1);
  for (int i = 0; i < 200; ++i) supervisor.on_occasion(held(i % 3 == 0 ? 1 : -1), 1);
  EXPECT_TRUE(supervisor.acting()) << "that is noise";
  int needed = 0;
  while (supervisor.acting() && needed < 20) {
    supervisor.on_occasion(held(1), 1);
    ++needed;
  }
  EXPECT_GE(needed, 3);
  EXPECT_LE(needed, 4);
  EXPECT_EQ(supervisor.retreats(), 1u);
  EXPECT_EQ(supervisor.evaluation().count(), 0) << "it comes back only after another evaluation";
}

}  // namespace
}  // namespace proteus::ham::learning
