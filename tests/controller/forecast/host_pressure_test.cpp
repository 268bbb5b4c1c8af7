#include "controller/forecast/host_pressure.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace proteus::forecast {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const Timestamp kStart = from_unix_ns(1'700'006'400'000'000'000);  // midnight

TEST(HostPressure, IsAveragedByFiveMinutes) {
  HostPressure pressure;
  EXPECT_TRUE(pressure.hour_until(kStart).empty());
  pressure.observe(kStart + seconds(10), 1.0);
  pressure.observe(kStart + minutes(4), 3.0);
  pressure.observe(kStart + minutes(11), 5.0);
  const std::vector<float> hour = pressure.hour_until(kStart + minutes(15));
  ASSERT_EQ(hour.size(), 12U);
  EXPECT_EQ(hour[9], 2.0F);
  EXPECT_TRUE(std::isnan(hour[10]));
  EXPECT_EQ(hour[11], 5.0F);
  EXPECT_EQ(pressure.hour_until(kStart + minutes(5)).back(), 2.0F) << "what ends with a bin has nothing of the next";
}

TEST(HostPressure, HoldsAnHourAndTakesNoNonsense) {
  HostPressure pressure;
  for (int i = 0; i < 200; ++i) pressure.observe(kStart + minutes(i), i < 100 ? 7.0 : 0.5);
  for (const float bin : pressure.hour_until(kStart + minutes(200))) EXPECT_EQ(bin, 0.5F);
  EXPECT_TRUE(pressure.hour_until(kStart + minutes(60)).empty()) << "that hour is forgotten";
  pressure.observe(kStart + minutes(10), 9.0);
  pressure.observe(kStart + minutes(199), -1.0);
  pressure.observe(kStart + minutes(199), std::numeric_limits<double>::infinity());
  EXPECT_EQ(pressure.hour_until(kStart + minutes(200)).back(), 0.5F);
  EXPECT_TRUE(pressure.hour_until(kStart + hours(8)).empty());
}

}  // namespace
}  // namespace proteus::forecast
