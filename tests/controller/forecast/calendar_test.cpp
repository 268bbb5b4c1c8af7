#include "controller/forecast/calendar.h"

#include <gtest/gtest.h>

namespace proteus::forecast {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::sys_days;

Timestamp at(int year, unsigned month, unsigned day, int hour, int minute = 0) {
  return Timestamp(sys_days(std::chrono::year(year) / static_cast<int>(month) / static_cast<int>(day))) + hours(hour) +
         minutes(minute);
}

Calendar parsed(const char* text) {
  const Result<Calendar> calendar = parse_calendar(text, "calendar.toml");
  EXPECT_TRUE(calendar) << calendar.error().message;
  return *calendar;
}

double share(const Calendar& calendar, std::size_t entry, Timestamp begin, Nanoseconds step = minutes(10)) {
  return calendar.share(calendar.entries[entry], begin, begin + step);
}

constexpr const char* kOffice = R"(
utc_offset = "+01:00"
daylight_saving = "eu"
[[holiday]]
name = "holidays"
dates = ["12-25", "2026-04-03"]
[[cycle]]
name = "office hours"
weekdays = ["mon", "tue", "wed", "thu", "fri"]
from = "08:00"
to = "18:00"
not_on_holidays = true
[[cycle]]
name = "month end"
days_of_month = ["-1", "1"]
[[event]]
name = "sale"
from = "2026-03-01T08:00Z"
to = "2026-03-02T08:00Z"
lead = "1h"
)";

TEST(Calendar, OfficeHoursFollowLocalTime) {
  const Calendar calendar = parsed(kOffice);
  // Monday 2 February 2026, standard time: 8:00 is 7:00 UTC.
  EXPECT_EQ(share(calendar, 1, at(2026, 2, 2, 6, 50)), 0);
  EXPECT_EQ(share(calendar, 1, at(2026, 2, 2, 7)), 1);
  EXPECT_EQ(share(calendar, 1, at(2026, 2, 2, 6, 55)), 0.5);
  EXPECT_EQ(share(calendar, 1, at(2026, 2, 2, 17)), 0);
  // In summer an hour earlier; clocks change on 29 March and 25 October 2026.
  EXPECT_EQ(share(calendar, 1, at(2026, 7, 6, 6)), 1);
  EXPECT_EQ(share(calendar, 1, at(2026, 7, 6, 16)), 0);
  EXPECT_EQ(calendar.offset_at(at(2026, 3, 29, 0, 59)), hours(1));
  EXPECT_EQ(calendar.offset_at(at(2026, 3, 29, 1)), hours(2));
  EXPECT_EQ(calendar.offset_at(at(2026, 10, 25, 0, 59)), hours(2));
  EXPECT_EQ(calendar.offset_at(at(2026, 10, 25, 1)), hours(1));
  // Not at week-ends, not on Good Friday, which is a day of one year, not on Christmas of any.
  EXPECT_EQ(share(calendar, 1, at(2026, 2, 1, 10)), 0);
  EXPECT_EQ(share(calendar, 1, at(2026, 4, 3, 10)), 0);
  EXPECT_EQ(share(calendar, 1, at(2028, 4, 3, 10)), 1);
  EXPECT_EQ(share(calendar, 1, at(2028, 12, 25, 10)), 0);
}

TEST(Calendar, TheUnitedStatesChangeTheirClocksOnOtherDays) {
  const Calendar calendar = parsed("utc_offset = \"-05:00\"\ndaylight_saving = \"us\"");
  EXPECT_EQ(calendar.offset_at(at(2026, 3, 8, 6, 59)), hours(-5));
  EXPECT_EQ(calendar.offset_at(at(2026, 3, 8, 7)), hours(-4));
  EXPECT_EQ(calendar.offset_at(at(2026, 11, 1, 5, 59)), hours(-4));
  EXPECT_EQ(calendar.offset_at(at(2026, 11, 1, 6)), hours(-5));
}

TEST(Calendar, HolidaysMonthEndsAndEvents) {
  const Calendar calendar = parsed(kOffice);
  EXPECT_EQ(share(calendar, 0, at(2026, 12, 24, 22, 50)), 0);
  EXPECT_EQ(share(calendar, 0, at(2026, 12, 24, 23)), 1) << "local midnight";
  EXPECT_EQ(share(calendar, 0, at(2026, 12, 24, 0), hours(48)), 0.5);
  EXPECT_EQ(share(calendar, 2, at(2026, 2, 28, 12)), 1);
  EXPECT_EQ(share(calendar, 2, at(2028, 2, 28, 12)), 0) << "a leap year";
  EXPECT_EQ(share(calendar, 2, at(2028, 2, 29, 12)), 1);
  EXPECT_EQ(share(calendar, 2, at(2026, 3, 1, 12)), 1);
  EXPECT_EQ(share(calendar, 3, at(2026, 3, 1, 8)), 0) << "demand follows an hour later";
  EXPECT_EQ(share(calendar, 3, at(2026, 3, 1, 9)), 1);
}

TEST(Calendar, EveryProblemHasItsLine) {
  const Result<Calendar> calendar = parse_calendar(R"(utc_offset = "1h"
daylight_saving = "mars"
colour = "red"
[[holiday]]
name = "x"
dates = ["02-30"]
[[cycle]]
name = "y"
weekdays = ["monday"]
days_of_month = ["0"]
from = "18:00"
to = "08:00"
[[event]]
name = "x"
from = "tomorrow"
)",
                                                   "c.toml");
  ASSERT_FALSE(calendar);
  const std::string& text = calendar.error().message;
  for (const char* problem :
       {"c.toml:1: 'utc_offset'", "c.toml:2: 'daylight_saving'", "c.toml:3:", "c.toml:6: '02-30'", "c.toml:9: 'monday'",
        "c.toml:10: '0'", "c.toml:12: 'to'", "c.toml:15: 'from'", "two entries are named 'x'"}) {
    EXPECT_NE(text.find(problem), std::string::npos) << problem << "\n" << text;
  }
}

}  // namespace
}  // namespace proteus::forecast
