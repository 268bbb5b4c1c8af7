#include "controller/forecast/calendar.h"

#include <algorithm>
#include <chrono>

namespace proteus::forecast {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::sys_days;
using std::chrono::year;
using std::chrono::year_month_day;

std::int64_t day_of(Timestamp time) {
  return std::chrono::floor<days>(time).time_since_epoch().count();
}

/// The moment, in UTC, at which a rule that is given for a Sunday of a month applies.
Timestamp sunday(int in_year, std::chrono::month month, unsigned index, Nanoseconds time_of_day) {
  using std::chrono::Sunday;
  const sys_days day = index == 0 ? sys_days(year(in_year) / month / Sunday[std::chrono::last])
                                  : sys_days(year(in_year) / month / Sunday[index]);
  return Timestamp(day) + time_of_day;
}

bool is_on(const Calendar::Date& date, const year_month_day& day) {
  return (date.year == 0 || date.year == static_cast<int>(day.year())) &&
         date.month == static_cast<int>(static_cast<unsigned>(day.month())) &&
         date.day == static_cast<int>(static_cast<unsigned>(day.day()));
}

Nanoseconds overlap(Timestamp a_from, Timestamp a_to, Timestamp b_from, Timestamp b_to) {
  return std::max(Nanoseconds{0}, std::min(a_to, b_to) - std::max(a_from, b_from));
}

}  // namespace

Nanoseconds Calendar::offset_at(Timestamp time) const {
  if (daylight_saving == DaylightSaving::kNone) return utc_offset;
  const int in_year = static_cast<int>(year_month_day(std::chrono::floor<days>(time + utc_offset)).year());
  // European Union: from the last Sunday of March to that of October, 1:00 UTC. United States: from the second Sunday
  // of March, 2:00 local standard time, to the first Sunday of November, 2:00 daylight time.
  const bool eu = daylight_saving == DaylightSaving::kEu;
  const Timestamp from = eu ? sunday(in_year, std::chrono::March, 0, hours(1))
                            : sunday(in_year, std::chrono::March, 2, hours(2)) - utc_offset;
  const Timestamp to = eu ? sunday(in_year, std::chrono::October, 0, hours(1))
                          : sunday(in_year, std::chrono::November, 1, hours(1)) - utc_offset;
  return time >= from && time < to ? utc_offset + hours(1) : utc_offset;
}

bool Calendar::is_holiday(std::int64_t local_day) const {
  const year_month_day day{sys_days(days(local_day))};
  return std::any_of(entries.begin(), entries.end(), [&](const Entry& entry) {
    return entry.kind == Kind::kHoliday &&
           std::any_of(entry.dates.begin(), entry.dates.end(), [&](const Date& date) { return is_on(date, day); });
  });
}

bool Calendar::on_day(const Entry& entry, std::int64_t local_day) const {
  const sys_days date{days(local_day)};
  const year_month_day day(date);
  if (entry.kind == Kind::kHoliday) {
    return std::any_of(entry.dates.begin(), entry.dates.end(), [&](const Date& d) { return is_on(d, day); });
  }
  const unsigned weekday = std::chrono::weekday(date).iso_encoding() - 1;
  if (entry.weekdays != 0 && (entry.weekdays >> weekday & 1) == 0) return false;
  if (!entry.days_of_month.empty()) {
    const auto from_start = static_cast<int>(static_cast<unsigned>(day.day()));
    const year_month_day last(day.year() / day.month() / std::chrono::last);
    const int from_end = from_start - static_cast<int>(static_cast<unsigned>(last.day())) - 1;
    const bool named = std::any_of(entry.days_of_month.begin(), entry.days_of_month.end(),
                                   [&](int d) { return d == from_start || d == from_end; });
    if (!named) return false;
  }
  return !entry.not_on_holidays || !is_holiday(local_day);
}

double Calendar::share(const Entry& entry, Timestamp begin, Timestamp end) const {
  begin -= entry.lead;
  end -= entry.lead;
  const double length = to_seconds(end - begin);
  if (entry.kind == Kind::kEvent) return to_seconds(overlap(begin, end, entry.from, entry.to)) / length;
  const Nanoseconds offset = offset_at(begin);  // a step in which the clocks change is taken as one that does not
  begin += offset;
  end += offset;
  Nanoseconds covered{0};
  for (std::int64_t day = day_of(begin); day <= day_of(end - Nanoseconds{1}); ++day) {
    if (!on_day(entry, day)) continue;
    const Timestamp midnight{days(day)};
    covered += overlap(begin, end, midnight + entry.from_of_day, midnight + entry.to_of_day);
  }
  return to_seconds(covered) / length;
}

}  // namespace proteus::forecast
