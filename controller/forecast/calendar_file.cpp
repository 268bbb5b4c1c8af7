#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <optional>

#include "common/toml_document.h"
#include "controller/forecast/calendar.h"

namespace proteus::forecast {
namespace {

constexpr std::size_t kEntriesMax = 32;
constexpr std::array<std::string_view, 7> kWeekdays = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
constexpr Nanoseconds kLeadMax = std::chrono::hours(24 * 7);

/// The digits in text[from, from + count), if it is that and nothing else.
std::optional<int> digits(std::string_view text, std::size_t from, std::size_t count) {
  if (from + count > text.size()) return std::nullopt;
  const std::string_view part = text.substr(from, count);
  if (part.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  int value = 0;
  std::from_chars(part.data(), part.data() + part.size(), value);
  return value;
}

/// "08:30"; 24:00 is the end of the day.
std::optional<Nanoseconds> time_of_day(std::string_view text) {
  const auto hour = digits(text, 0, 2);
  const auto minute = digits(text, 3, 2);
  if (text.size() != 5 || text[2] != ':' || !hour || !minute || *minute > 59) return std::nullopt;
  const Nanoseconds time = std::chrono::hours(*hour) + std::chrono::minutes(*minute);
  return time <= std::chrono::hours(24) ? std::optional(time) : std::nullopt;
}

/// "2026-04-03", or "12-25" for each year.
std::optional<Calendar::Date> date(std::string_view text) {
  Calendar::Date date;
  if (text.size() == 10 && text[4] == '-') {
    const auto year = digits(text, 0, 4);
    if (!year || *year < 1970) return std::nullopt;
    date.year = *year;
    text.remove_prefix(5);
  }
  const auto month = digits(text, 0, 2);
  const auto day = digits(text, 3, 2);
  if (text.size() != 5 || text[2] != '-' || !month || !day) return std::nullopt;
  date.month = *month;
  date.day = *day;
  const std::chrono::year_month_day day_of_year{std::chrono::year(date.year == 0 ? 2000 : date.year),
                                                std::chrono::month(static_cast<unsigned>(*month)),
                                                std::chrono::day(static_cast<unsigned>(*day))};
  return day_of_year.ok() ? std::optional(date) : std::nullopt;
}

/// "2026-03-01T08:00Z".
std::optional<Timestamp> moment(std::string_view text) {
  if (text.size() != 17 || text[10] != 'T' || text[16] != 'Z') return std::nullopt;
  const auto on = date(text.substr(0, 10));
  const auto at = time_of_day(text.substr(11, 5));
  if (!on || !at) return std::nullopt;
  return Timestamp(std::chrono::sys_days(std::chrono::year(on->year) / on->month / on->day)) + *at;
}

/// "+01:00", "-03:30".
std::optional<Nanoseconds> utc_offset(std::string_view text) {
  if (text.empty() || (text[0] != '+' && text[0] != '-')) return std::nullopt;
  const auto size = time_of_day(text.substr(1));
  if (!size || *size > std::chrono::hours(14)) return std::nullopt;
  return text[0] == '-' ? -*size : *size;
}

using Table = TomlDocument::Table;

/// Reads a string under `key` with `parse`; what is wrong with it is reported as "'key' must be …".
template <typename T, typename Parse>
void read_as(Table& table, const char* key, T& out, const Parse& parse, const char* form) {
  std::string text;
  table.read(key, text);
  if (!table.has(key)) return;
  if (const auto value = parse(text)) {
    out = *value;
  } else {
    table.problem(key, fmt::format("'{}' must be {}", key, form));
  }
}

Calendar::Entry begin_entry(Table& table, Calendar::Kind kind) {
  Calendar::Entry entry;
  entry.kind = kind;
  table.require("name");
  table.read("name", entry.name);
  if (table.has("name") && (entry.name.empty() || entry.name.size() > 64)) {
    table.problem("name", "'name' must have 1 to 64 characters");
  }
  table.read_duration("lead", entry.lead, Nanoseconds{0}, kLeadMax);
  return entry;
}

Calendar::Entry read_holiday(Table& table) {
  Calendar::Entry entry = begin_entry(table, Calendar::Kind::kHoliday);
  entry.to_of_day = std::chrono::hours(24);
  std::vector<std::string> dates;
  table.require("dates");
  table.read("dates", dates);
  for (const std::string& text : dates) {
    if (const auto day = date(text)) {
      entry.dates.push_back(*day);
    } else {
      table.problem("dates", fmt::format("'{}' is not a day: give \"2026-04-03\", or \"12-25\" for each year", text));
    }
  }
  return entry;
}

Calendar::Entry read_cycle(Table& table) {
  Calendar::Entry entry = begin_entry(table, Calendar::Kind::kCycle);
  std::vector<std::string> weekdays;
  table.read("weekdays", weekdays);
  for (const std::string& text : weekdays) {
    const auto found = std::find(kWeekdays.begin(), kWeekdays.end(), text);
    if (found == kWeekdays.end()) {
      table.problem("weekdays", fmt::format("'{}' is not one of mon, tue, wed, thu, fri, sat, sun", text));
    } else {
      entry.weekdays = static_cast<std::uint8_t>(entry.weekdays | 1 << (found - kWeekdays.begin()));
    }
  }
  std::vector<std::string> month_days;
  table.read("days_of_month", month_days);
  for (const std::string& text : month_days) {
    int day = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), day);
    if (error != std::errc{} || rest != text.data() + text.size() || day == 0 || day > 31 || day < -31) {
      table.problem("days_of_month", fmt::format("'{}' must be \"1\" to \"31\", or \"-1\" for the last day", text));
    } else {
      entry.days_of_month.push_back(day);
    }
  }
  table.read("not_on_holidays", entry.not_on_holidays);
  entry.to_of_day = std::chrono::hours(24);
  read_as(table, "from", entry.from_of_day, time_of_day, "a time like \"08:00\"");
  read_as(table, "to", entry.to_of_day, time_of_day, "a time like \"18:00\", at most \"24:00\"");
  if (entry.from_of_day >= entry.to_of_day) table.problem("to", "'to' must be later in the day than 'from'");
  return entry;
}

Calendar::Entry read_event(Table& table) {
  Calendar::Entry entry = begin_entry(table, Calendar::Kind::kEvent);
  table.require("from");
  table.require("to");
  read_as(table, "from", entry.from, moment, "a time like \"2026-03-01T08:00Z\"");
  read_as(table, "to", entry.to, moment, "a time like \"2026-03-08T20:00Z\"");
  if (table.has("from") && table.has("to") && entry.from >= entry.to) {
    table.problem("to", "'to' must be later than 'from'");
  }
  return entry;
}

}  // namespace

Result<Calendar> parse_calendar(std::string_view toml_text, std::string_view file_name) {
  TomlDocument document(toml_text, file_name);
  auto root = document.root();
  Calendar calendar;
  read_as(root, "utc_offset", calendar.utc_offset, utc_offset, "like \"+01:00\", at most 14 hours");
  std::string saving = "none";
  root.read("daylight_saving", saving);
  if (saving == "eu") {
    calendar.daylight_saving = Calendar::DaylightSaving::kEu;
  } else if (saving == "us") {
    calendar.daylight_saving = Calendar::DaylightSaving::kUs;
  } else if (saving != "none") {
    root.problem("daylight_saving", "'daylight_saving' must be none, eu or us");
  }
  for (auto& table : root.tables("holiday")) calendar.entries.push_back(read_holiday(table));
  for (auto& table : root.tables("cycle")) calendar.entries.push_back(read_cycle(table));
  for (auto& table : root.tables("event")) calendar.entries.push_back(read_event(table));
  if (calendar.entries.size() > kEntriesMax) {
    root.problem("holiday", fmt::format("more than {} entries", kEntriesMax));
  }
  for (std::size_t i = 0; i < calendar.entries.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (calendar.entries[i].name == calendar.entries[k].name && !calendar.entries[i].name.empty()) {
        root.problem("", fmt::format("two entries are named '{}'", calendar.entries[i].name));
      }
    }
  }
  if (Status done = document.finish(); !done) return done.error();
  return calendar;
}

}  // namespace proteus::forecast
