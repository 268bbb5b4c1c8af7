#pragma once

#include <capnp/common.h>
#include <fmt/core.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/result.h"
#include "common/wire/command_fields.h"

/// How the fields of journal entries are written to Cap'n Proto and read back, for the journal_*.cpp alone. Equal
/// entries give equal bytes: what is empty is left out. Readers throw Error for a value that no writer of this version
/// leaves; decode_journal_entry() catches it.
namespace proteus::store {

using wire::read_text;

/// Of a list that is read back; far above what a controller writes.
constexpr unsigned kListItemsMax = 1u << 20;

inline capnp::Text::Reader text(const std::string& s) {
  return {s.data(), s.size()};
}

/// −0 equals 0, so both are written as 0.
inline double number(double v) {
  return v == 0 ? 0.0 : v;
}

// Setters have a name each, which no function can be given.
#define JOURNAL_SET_TEXT(builder, Name, value)              \
  do {                                                      \
    if (!(value).empty()) (builder).set##Name(text(value)); \
  } while (false)

/// write_one(builder of the item, item).
#define JOURNAL_SET_LIST(builder, Name, values, write_one)                        \
  do {                                                                            \
    if (!(values).empty()) {                                                      \
      auto list = (builder).init##Name(static_cast<unsigned>((values).size()));   \
      for (unsigned i = 0; i < list.size(); ++i) write_one(list[i], (values)[i]); \
    }                                                                             \
  } while (false)

template <typename Builder>
void fill_optional_time(Builder to, const std::optional<Timestamp>& from) {
  if (from) to.setNs(to_unix_ns(*from));
}

template <typename T>
T need(Result<T> result) {
  if (!result) throw result.error();
  return std::move(*result);
}

template <typename Enum>
Enum read_enum(std::uint8_t value, Enum last, const char* what) {
  if (value > static_cast<std::uint8_t>(last)) {
    throw Error{ErrorCode::kCorrupt, fmt::format("{} {} is unknown", what, value)};
  }
  return static_cast<Enum>(value);
}

template <typename Reader>
std::optional<Timestamp> read_optional_time(Reader from) {
  if (from.isNs()) return from_unix_ns(from.getNs());
  if (from.isNone()) return std::nullopt;
  throw Error{ErrorCode::kCorrupt, "time of an unknown kind"};
}

template <typename List, typename ReadOne>
auto read_list(List from, ReadOne read_one) {
  if (from.size() > kListItemsMax) throw Error{ErrorCode::kCorrupt, fmt::format("list of {} items", from.size())};
  std::vector<decltype(read_one(from[0]))> to;
  to.reserve(from.size());
  for (auto item : from) to.push_back(read_one(item));
  return to;
}

}  // namespace proteus::store
