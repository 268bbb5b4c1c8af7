#include "controller/simulate/kvm/performance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace proteus::simulate::kvm {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;

TEST(RunQueueWait, NobodyWaitsWhileThereAreAsManyCores) {
  EXPECT_EQ(run_queue_wait({.sum = 3.9, .squares = 3.8}, 4), 0);
  EXPECT_EQ(run_queue_wait({}, 1), 0);
}

TEST(RunQueueWait, TwoSourcesOnOneCore) {
  // Each busy half of its time: a = 1, P = 1, 2, 2; one runs in P1 and P2, one waits in P2.
  EXPECT_NEAR(run_queue_wait({.sum = 1, .squares = 0.5}, 1), 2.0 / (2.0 + 4.0), 1e-12);
}

TEST(RunQueueWait, ThreeSourcesOnTwoCores) {
  // u = 0.5, a = 1: P = 1, 3, 3, 1.5; run = 3 + 6 + 3, wait = 1.5.
  EXPECT_NEAR(run_queue_wait({.sum = 1.5, .squares = 0.75}, 2), 1.5 / 13.5, 1e-12);
}

TEST(RunQueueWait, StaysFiniteForManySourcesAndGrowsWithLoad) {
  double before = 0;
  for (const double u : {0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 1.5}) {
    const double wait = run_queue_wait({.sum = 2000 * u, .squares = 2000 * u * u}, 12);
    EXPECT_GE(wait, before);
    EXPECT_LT(wait, 1);
    before = wait;
  }
  EXPECT_GT(before, 0.9);
}

TEST(FairShares, TheSmallAreServedAndTheRestSplitByWeight) {
  const std::vector<Claim> claims = {
      {.demand = 10, .weight = 1}, {.demand = 2, .weight = 1}, {.demand = 30, .weight = 3}};
  // Ratios 10, 2, 10: 2 of 18 goes first, the other 16 by 1 : 3.
  EXPECT_THAT(fair_shares(claims, 18), ElementsAre(DoubleNear(4, 1e-12), DoubleNear(2, 1e-12), DoubleNear(12, 1e-12)));
}

TEST(FairShares, NothingToShare) {
  const std::vector<Claim> claims = {{.demand = 10, .weight = 1}};
  EXPECT_THAT(fair_shares(claims, -5), ElementsAre(0));
}

TEST(Stretch, OpenQueueUpToNineTenthsThenProportional) {
  EXPECT_DOUBLE_EQ(stretch(0), 1);
  EXPECT_DOUBLE_EQ(stretch(0.5), 2);
  EXPECT_DOUBLE_EQ(stretch(0.95), 1 / (1 - 0.9));
  EXPECT_DOUBLE_EQ(stretch(2), 2 / (1 - 0.9));
}

TEST(IoFactor, OnlyTheShareSpentInIoIsStretched) {
  EXPECT_DOUBLE_EQ(io_factor(0, 7), 1);
  EXPECT_DOUBLE_EQ(io_factor(0.5, 3), 0.5);
}

TEST(PreCopy, RoundsShrinkUntilTheRestFitsIntoTheDowntime) {
  // 1000 MiB at 100 MiB/s, dirtying 2 + 0.02 · 400 = 10 MiB/s, writable 16 + 0.3 · 1000 = 316: 10 s, then 100 MiB in 1
  // s, then 10 MiB, which take 0.1 s.
  const PreCopy copy = pre_copy(1000, 400, 1000, 100);
  EXPECT_NEAR(copy.downtime_s, 0.1 + 0.05, 1e-12);
  EXPECT_NEAR(copy.duration_s, 11.15, 1e-12);
  EXPECT_NEAR(copy.copied_mib, 1110, 1e-9);
}

TEST(PreCopy, WhatDirtiesFasterThanTheLinkGivesUpAfterThirtyRounds) {
  // 2 + 0.02 · 9900 = 200 MiB/s over 100: the writable set of 116 MiB is sent 29 times after the first round.
  const PreCopy copy = pre_copy(1000, 9900, 1000.0 / 3, 100);
  EXPECT_NEAR(copy.downtime_s, 1.16 + 0.05, 1e-9);
  EXPECT_NEAR(copy.duration_s, 10 + 29 * 1.16 + 1.21, 1e-9);
}

TEST(PreCopy, AtLeastSixtyFourMebibytes) {
  EXPECT_NEAR(pre_copy(0, 0, 0, 100).copied_mib, 64 + 2 * 0.64, 1e-9);
}

}  // namespace
}  // namespace proteus::simulate::kvm
