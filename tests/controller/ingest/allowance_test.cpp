#include "controller/ingest/allowance.h"

#include <gtest/gtest.h>

namespace proteus::ingest {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Allowance, SoMuchAtOnceAndSoMuchInASecondFromThenOn) {
  Allowance allowance(10, 2);
  Allowance::Moment now{};
  int taken = 0;
  for (int i = 0; i < 100; ++i) taken += allowance.take(1, now) ? 1 : 0;
  EXPECT_EQ(taken, 10);
  for (int i = 0; i < 1000; ++i, now += milliseconds(100)) taken += allowance.take(1, now) ? 1 : 0;
  EXPECT_NEAR(taken, 10 + 200, 2);
  now += seconds(1000);
  taken = 0;
  for (int i = 0; i < 100; ++i) taken += allowance.take(1, now) ? 1 : 0;
  EXPECT_EQ(taken, 10) << "no more is saved up";
}

TEST(Allowance, WhatIsLargerThanAllOfItIsTakenAndWaitedFor) {
  Allowance allowance(10, 1);
  Allowance::Moment now{};
  EXPECT_TRUE(allowance.take(30, now));
  now += seconds(19);
  EXPECT_FALSE(allowance.take(1, now));
  now += seconds(2);
  EXPECT_TRUE(allowance.take(1, now));
}

}  // namespace
}  // namespace proteus::ingest
