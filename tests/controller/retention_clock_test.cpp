#include "controller/retention_clock.h"

#include <gtest/gtest.h>

namespace proteus::controller {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

const Timestamp kStart = from_unix_ns(1'700'000'000'000'000'000);

TEST(RetentionClock, IsBelievedAsLongAsItGoesOn) {
  RetentionClock clock(kStart - hours(1));
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(clock.believes(kStart + minutes(i), minutes(i)));
  EXPECT_TRUE(clock.believes(kStart + minutes(105), minutes(100))) << "set forward a little";
  EXPECT_TRUE(RetentionClock(std::nullopt).believes(kStart, minutes(1))) << "there is nothing to lose";
}

TEST(RetentionClock, AfterAJumpIsNotBelievedForADay) {
  for (const hours jump : {hours(-24 * 365), hours(24 * 365)}) {
    RetentionClock clock(kStart);
    ASSERT_TRUE(clock.believes(kStart, hours(0)));
    for (int hour = 1; hour <= 24; ++hour) {
      EXPECT_FALSE(clock.believes(kStart + jump + hours(hour), hours(hour))) << hour;
    }
    EXPECT_TRUE(clock.believes(kStart + jump + hours(25), hours(25)));
    EXPECT_TRUE(clock.believes(kStart + jump + hours(26), hours(26)));
  }
}

TEST(RetentionClock, IsBelievedAgainOnceItIsBack) {
  RetentionClock clock(kStart);
  ASSERT_TRUE(clock.believes(kStart, hours(0)));
  EXPECT_FALSE(clock.believes(kStart + hours(1001), hours(1)));
  EXPECT_TRUE(clock.believes(kStart + hours(2), hours(2)));
}

TEST(RetentionClock, ThatBeginsFarFromWhatIsStoredIsNotBelievedForADay) {
  for (const Timestamp begin : {from_unix_ns(0), kStart + hours(24 * 8)}) {
    RetentionClock clock(kStart);
    EXPECT_FALSE(clock.believes(begin, hours(0)));
    EXPECT_FALSE(clock.believes(begin + hours(23), hours(23)));
    EXPECT_TRUE(clock.believes(begin + hours(24), hours(24)));
  }
  RetentionClock clock(kStart);
  EXPECT_FALSE(clock.believes(from_unix_ns(0), hours(0)));
  EXPECT_TRUE(clock.believes(kStart + hours(1), hours(1))) << "set right";
}

}  // namespace
}  // namespace proteus::controller
