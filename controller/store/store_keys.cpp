#include "controller/store/store_keys.h"

#include <fmt/core.h>

#include "controller/store/bytes.h"

namespace proteus::store::keys {
namespace {

Error corrupt(const char* what) {
  return {ErrorCode::kCorrupt, fmt::format("{} does not have the shape that it is stored in", what)};
}

template <typename T>
Result<T> whole(const ByteReader& in, T value, const char* what) {
  if (!in.ok() || !in.at_end()) return corrupt(what);
  return value;
}

void write_totals(ByteWriter& out, const Totals& totals) {
  out.integer(totals.raw_messages).integer(totals.raw_bytes).integer(totals.journal_entries);
}

Totals read_totals(ByteReader& in) {
  Totals totals;
  totals.raw_messages = in.integer<std::uint64_t>();
  totals.raw_bytes = in.integer<std::uint64_t>();
  totals.journal_entries = in.integer<std::uint64_t>();
  return totals;
}

std::string prefixed(std::string_view prefix, std::uint64_t number) {
  std::string key(prefix);
  ByteWriter(key).integer(number);
  return key;
}

Result<std::uint64_t> parse_prefixed(std::string_view prefix, std::string_view key, const char* what) {
  if (!key.starts_with(prefix)) return corrupt(what);
  ByteReader in(key.substr(prefix.size()));
  const auto number = in.integer<std::uint64_t>();
  return whole(in, number, what);
}

}  // namespace

std::string lsn_key(std::uint64_t lsn) {
  return prefixed("", lsn);
}

Result<std::uint64_t> parse_lsn_key(std::string_view key) {
  return parse_prefixed("", key, "a key of raw or journal");
}

std::string raw_value(const RawMessage& message) {
  std::string value;
  value.reserve(38 + message.host.value.size() + message.bytes.size());
  ByteWriter(value)
      .integer(to_unix_ns(message.received))
      .text(message.host.value)
      .integer(message.boot_id)
      .integer(message.sequence)
      .integer(message.base_sequence)
      .integer(message.catalog_version)
      .bytes(message.bytes);
  return value;
}

Result<RawMessage> parse_raw_value(std::uint64_t lsn, std::string_view value) {
  ByteReader in(value);
  RawMessage message;
  message.lsn = lsn;
  message.received = from_unix_ns(in.integer<std::int64_t>());
  message.host = HostId(std::string(in.text()));
  message.boot_id = in.integer<std::uint64_t>();
  message.sequence = in.integer<std::uint64_t>();
  message.base_sequence = in.integer<std::uint64_t>();
  message.catalog_version = in.integer<std::uint32_t>();
  message.bytes = std::string(in.rest());
  if (!in.ok()) return corrupt("a telemetry message");
  return message;
}

Result<Timestamp> raw_received(std::string_view value) {
  ByteReader in(value);
  const auto received = in.integer<std::int64_t>();
  if (!in.ok()) return corrupt("a telemetry message");
  return from_unix_ns(received);
}

std::string boot_prefix(const Boot& boot) {
  std::string key;
  ByteWriter(key).text(boot.host.value).integer(boot.boot_id);
  return key;
}

std::string frame_key(const Boot& boot, std::uint64_t sequence) {
  std::string key = boot_prefix(boot);
  ByteWriter(key).integer(sequence);
  return key;
}

Result<std::uint64_t> parse_frame_sequence(std::string_view key) {
  ByteReader in(key);
  in.text();
  in.integer<std::uint64_t>();
  const auto sequence = in.integer<std::uint64_t>();
  return whole(in, sequence, "a frame's key");
}

std::string frame_value(const FramePlace& place) {
  std::string value;
  ByteWriter(value).integer(place.lsn).integer(place.base_sequence).integer(place.catalog_version);
  return value;
}

Result<FramePlace> parse_frame_value(std::string_view value) {
  ByteReader in(value);
  FramePlace place;
  place.lsn = in.integer<std::uint64_t>();
  place.base_sequence = in.integer<std::uint64_t>();
  place.catalog_version = in.integer<std::uint32_t>();
  return whole(in, place, "a frame's place");
}

std::string catalog_key(const Boot& boot, std::uint32_t version) {
  std::string key = boot_prefix(boot);
  ByteWriter(key).integer(version);
  return key;
}

std::string catalog_value(const RawMessage& message) {
  std::string value;
  ByteWriter(value).integer(message.lsn).integer(to_unix_ns(message.received)).bytes(message.bytes);
  return value;
}

Result<RawMessage> parse_catalog(std::string_view key, std::string_view value) {
  RawMessage message;
  ByteReader key_in(key);
  message.host = HostId(std::string(key_in.text()));
  message.boot_id = key_in.integer<std::uint64_t>();
  message.catalog_version = key_in.integer<std::uint32_t>();
  ByteReader in(value);
  message.lsn = in.integer<std::uint64_t>();
  message.received = from_unix_ns(in.integer<std::int64_t>());
  message.bytes = std::string(in.rest());
  if (!key_in.ok() || !key_in.at_end() || !in.ok()) return corrupt("a catalog");
  return message;
}

std::string journal_value(const JournalEntry& entry) {
  std::string value;
  ByteWriter(value)
      .integer(static_cast<std::uint8_t>(entry.payload.index()))
      .integer(to_unix_ns(entry.time))
      .bytes(encode(entry));
  return value;
}

Result<JournalValue> parse_journal_value(std::string_view value) {
  ByteReader in(value);
  JournalValue parsed;
  parsed.kind = in.integer<std::uint8_t>();
  parsed.time = from_unix_ns(in.integer<std::int64_t>());
  parsed.bytes = in.rest();
  if (!in.ok() || parsed.kind >= std::variant_size_v<JournalPayload>) return corrupt("a journal entry");
  return parsed;
}

bool is_state_kind(std::uint8_t kind) {
  static const auto forecasts = static_cast<std::uint8_t>(JournalPayload(ForecastState{}).index());
  static const auto profile = static_cast<std::uint8_t>(JournalPayload(ProfileState{}).index());
  return kind == forecasts || kind == profile;
}

std::int64_t second_of(Timestamp time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

std::string time_key(std::int64_t second, std::uint64_t lsn) {
  std::string key;
  ByteWriter(key).ordered(second).integer(lsn);
  return key;
}

Result<std::uint64_t> parse_time_lsn(std::string_view key) {
  ByteReader in(key);
  in.ordered();
  const auto lsn = in.integer<std::uint64_t>();
  return whole(in, lsn, "a run of the time family");
}

std::string action_prefix(ActionId action) {
  return prefixed(kActionPrefix, action);
}

std::string action_key(ActionId action, std::uint64_t lsn) {
  return prefixed(action_prefix(action), lsn);
}

Result<ActionEntry> parse_action_key(std::string_view key) {
  if (!key.starts_with(kActionPrefix)) return corrupt("an action's key");
  ByteReader in(key.substr(kActionPrefix.size()));
  ActionEntry entry;
  entry.action = in.integer<std::uint64_t>();
  entry.lsn = in.integer<std::uint64_t>();
  return whole(in, entry, "an action's key");
}

std::string started_key(std::uint64_t lsn) {
  return prefixed(kStartedPrefix, lsn);
}

Result<std::uint64_t> parse_started_key(std::string_view key) {
  return parse_prefixed(kStartedPrefix, key, "the key of a start");
}

std::string started_value(Timestamp time) {
  std::string value;
  ByteWriter(value).integer(to_unix_ns(time));
  return value;
}

Result<Timestamp> parse_started_value(std::string_view value) {
  ByteReader in(value);
  const auto time = from_unix_ns(in.integer<std::int64_t>());
  return whole(in, time, "the time of a start");
}

std::string newest_key(const Boot& boot) {
  return std::string(kNewestPrefix) + boot_prefix(boot);
}

Result<Boot> parse_newest_key(std::string_view key) {
  if (!key.starts_with(kNewestPrefix)) return corrupt("the key of a boot");
  ByteReader in(key.substr(kNewestPrefix.size()));
  Boot boot;
  boot.host = HostId(std::string(in.text()));
  boot.boot_id = in.integer<std::uint64_t>();
  return whole(in, boot, "the key of a boot");
}

std::string newest_value(const NewestFrame& newest) {
  std::string value;
  ByteWriter(value).integer(newest.sequence).integer(newest.lsn).integer(to_unix_ns(newest.received));
  return value;
}

Result<NewestFrame> parse_newest_value(std::string_view value) {
  ByteReader in(value);
  NewestFrame newest;
  newest.sequence = in.integer<std::uint64_t>();
  newest.lsn = in.integer<std::uint64_t>();
  newest.received = from_unix_ns(in.integer<std::int64_t>());
  return whole(in, newest, "the newest frame of a boot");
}

std::string open_key(ActionId action) {
  return prefixed(kOpenPrefix, action);
}

Result<ActionId> parse_open_key(std::string_view key) {
  return parse_prefixed(kOpenPrefix, key, "the key of an open action");
}

std::string state_value(const State& state) {
  std::string value;
  ByteWriter out(value);
  out.integer(kFormat).integer(state.next_lsn);
  write_totals(out, state.appended);
  write_totals(out, state.expired);
  out.integer(state.raw_floor_lsn).integer(state.journal_floor_lsn);
  return value;
}

Result<State> parse_state(std::string_view value) {
  ByteReader in(value);
  const auto format = in.integer<std::uint32_t>();
  if (in.ok() && format != kFormat) {
    return Error{ErrorCode::kUnsupported, fmt::format("store has format {}, this program knows {}", format, kFormat)};
  }
  State state;
  state.next_lsn = in.integer<std::uint64_t>();
  state.appended = read_totals(in);
  state.expired = read_totals(in);
  state.raw_floor_lsn = in.integer<std::uint64_t>();
  state.journal_floor_lsn = in.integer<std::uint64_t>();
  return whole(in, state, "the store's state");
}

std::string kept_value(const Kept& kept) {
  std::string value;
  ByteWriter out(value);
  for (const std::int64_t from_us : {kept.pages_from_us, kept.minutes_from_us, kept.hours_from_us}) {
    out.integer(static_cast<std::uint64_t>(from_us));
  }
  return value;
}

Result<Kept> parse_kept(std::string_view value) {
  ByteReader in(value);
  Kept kept;
  for (std::int64_t* from_us : {&kept.pages_from_us, &kept.minutes_from_us, &kept.hours_from_us}) {
    *from_us = static_cast<std::int64_t>(in.integer<std::uint64_t>());
  }
  return whole(in, kept, "the times that are kept");
}

std::string user_key(std::string_view key) {
  return "u" + std::string(key);
}

}  // namespace proteus::store::keys
