#include "common/token_bucket.h"

#include <gtest/gtest.h>

namespace proteus {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(TokenBucket, SoMuchAtOnceAndSoMuchInASecondFromThenOn) {
  TokenBucket bucket(10, 2);
  TokenBucket::Moment now{};
  int taken = 0;
  for (int i = 0; i < 100; ++i) taken += bucket.take(1, now) ? 1 : 0;
  EXPECT_EQ(taken, 10);
  for (int i = 0; i < 1000; ++i, now += milliseconds(100)) taken += bucket.take(1, now) ? 1 : 0;
  EXPECT_NEAR(taken, 10 + 200, 2);
  now += seconds(1000);
  taken = 0;
  for (int i = 0; i < 100; ++i) taken += bucket.take(1, now) ? 1 : 0;
  EXPECT_EQ(taken, 10) << "no more is saved up";
}

TEST(TokenBucket, WhatIsLargerThanAllOfItIsTakenAndWaitedFor) {
  TokenBucket bucket(10, 1);
  TokenBucket::Moment now{};
  EXPECT_TRUE(bucket.take(30, now));
  now += seconds(19);
  EXPECT_FALSE(bucket.take(1, now));
  now += seconds(2);
  EXPECT_TRUE(bucket.take(1, now));
}

TEST(TokenBucket, AClockThatIsSetBackNeitherGivesNorTakes) {
  TokenBucket bucket(2, 1);
  TokenBucket::Moment now{std::chrono::hours(1)};
  EXPECT_TRUE(bucket.take(1, now));
  now -= std::chrono::hours(1);
  EXPECT_TRUE(bucket.take(1, now));
  EXPECT_FALSE(bucket.take(1, now));
  EXPECT_TRUE(bucket.take(1, now + std::chrono::seconds(1)));
}

}  // namespace
}  // namespace proteus
