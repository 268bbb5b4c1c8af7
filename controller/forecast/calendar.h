#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "common/units.h"

namespace proteus::forecast {

/// Holidays, business cycles and single events, from a file (packaging/config/calendar.toml shows every key). Each
/// entry is one signal: the share of a step that it covers, 0 … 1, known for all times. Thread: immutable.
struct Calendar {
  enum class DaylightSaving : std::uint8_t { kNone, kEu, kUs };
  enum class Kind : std::uint8_t { kHoliday, kCycle, kEvent };

  /// month, day: of each year if year is 0.
  struct Date {
    int year = 0;
    int month = 0;
    int day = 0;
  };
  struct Entry {
    Kind kind = Kind::kCycle;
    std::string name;
    Nanoseconds lead{};       ///< demand follows so much later
    std::vector<Date> dates;  ///< holiday
    // Of a cycle: the days that it is on; a day must meet each condition that is given.
    std::uint8_t weekdays = 0;       ///< bit 0: Monday … bit 6: Sunday; 0: any
    std::vector<int> days_of_month;  ///< 1 … 31, or −1 … −31 from the end; empty: any
    bool not_on_holidays = false;    ///< of any holiday entry
    Nanoseconds from_of_day{};       ///< local time
    Nanoseconds to_of_day{};         ///< later than from_of_day, at most 24 h
    Timestamp from{};                ///< event
    Timestamp to{};
  };

  Nanoseconds utc_offset{};  ///< local standard time minus UTC
  DaylightSaving daylight_saving = DaylightSaving::kNone;
  std::vector<Entry> entries;

  /// Local time minus UTC at `time`.
  Nanoseconds offset_at(Timestamp time) const;
  /// Share of [begin, end) that an entry covers, its lead taken into account. begin < end.
  double share(const Entry& entry, Timestamp begin, Timestamp end) const;

 private:
  bool is_holiday(std::int64_t local_day) const;
  bool on_day(const Entry& entry, std::int64_t local_day) const;
};

/// Errors: kInvalidArgument with every problem and its line.
Result<Calendar> parse_calendar(std::string_view toml_text, std::string_view file_name);

}  // namespace proteus::forecast
