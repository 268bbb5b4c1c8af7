#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"
#include "controller/store/store.h"

/// Keys and values of the store, byte by byte. Each family is a RocksDB column family of that name (bytewise
/// comparator, no merge operator), but meta, which is `default`. Integers are big-endian, so that keys sort as their
/// numbers do; `len` is two bytes; `sec` is eight with the sign bit flipped; times in values are plain two's
/// complement. tests/fixtures/store/ holds one of each as the golden truth.
///
/// raw      what came off the wire, in order of arrival
///          ┌───────┐    ┌────────────┬────────┬───────────┬────────┬────────────┬────────────┬──────────┬───────┐
///          │ lsn 8 │ ─▶ │ received 8 │ host   │ host …    │ boot 8 │ sequence 8 │ base       │ catalog  │ bytes │
///          │       │    │ ns         │ len 2  │           │        │ 0: catalog │ sequence 8 │ version 4│ …     │
///          └───────┘    └────────────┴────────┴───────────┴────────┴────────────┴────────────┴──────────┴───────┘
/// frame    where a frame is, and what decoding it takes
///          ┌───────┬────────┬────────┬────────────┐    ┌───────┬─────────────────┬───────────────────┐
///          │ len 2 │ host … │ boot 8 │ sequence 8 │ ─▶ │ lsn 8 │ base sequence 8 │ catalog version 4 │
///          └───────┴────────┴────────┴────────────┘    └───────┴─────────────────┴───────────────────┘
/// catalog  a copy of the first of its version (later ones are in raw only) that outlives it for as long as frames
///          need it; of the next one, if none need it any more
///          ┌───────┬────────┬────────┬───────────┐    ┌───────┬───────────────┬─────────┐
///          │ len 2 │ host … │ boot 8 │ version 4 │ ─▶ │ lsn 8 │ received 8 ns │ bytes … │
///          └───────┴────────┴────────┴───────────┘    └───────┴───────────────┴─────────┘
/// journal  kind = discriminant of Entry's union, so that entries are passed over without decoding
///          ┌───────┐    ┌────────┬───────────┬──────────────────────────────────┐
///          │ lsn 8 │ ─▶ │ kind 1 │ time 8 ns │ Entry of schemas/journal.capnp … │
///          └───────┘    └────────┴───────────┴──────────────────────────────────┘
/// time     a run: from this lsn on, everything is of this second, until the next run
///          ┌───────┬───────┐
///          │ sec 8 │ lsn 8 │ ─▶ (empty)
///          └───────┴───────┘
/// model    a name that the controller gives ─▶ what it keeps of a learned model, in that model's own format
///          (controller/forecast_store.h, controller/profile_store.h, "learning" of ham/learning/agent.h)
/// meta     'a' action 8, lsn 8      ─▶ (empty)                          journal entries of the action's life
///          'b' lsn 8                ─▶ time 8 ns                        a Started entry
///          'h' len 2, host, boot 8  ─▶ sequence 8, lsn 8, received 8    newest frame of a boot
///          'k'                      ─▶ pages from 8, minutes from 8, hours from 8: microseconds; what begins earlier
///                                      is expired, whether or not it is still there
///          'o' action 8             ─▶ (empty)                          the action is open
///          's'                      ─▶ State, below
///          'u' key …                ─▶ value …                          get_meta, put_meta (controller/kept_facts.h)
namespace proteus::store::keys {

constexpr std::uint32_t kFormat = 1;

struct Totals {
  std::uint64_t raw_messages = 0;
  std::uint64_t raw_bytes = 0;
  std::uint64_t journal_entries = 0;
  bool operator==(const Totals&) const = default;
};

/// Written with every append: format 4, next lsn 8, appended 24, expired 24, raw floor 8, journal floor 8; of each 24:
/// raw messages 8, their bytes alone (RawMessage::bytes) 8, journal entries without states (is_state) 8.
/// What lies below a floor is expired, whether or not it has left the disk.
struct State {
  std::uint64_t next_lsn = 1;
  Totals appended;  ///< ever
  Totals expired;   ///< of these
  std::uint64_t raw_floor_lsn = 0;
  std::uint64_t journal_floor_lsn = 0;
  bool operator==(const State&) const = default;
};

struct FramePlace {
  std::uint64_t lsn = 0;
  std::uint64_t base_sequence = 0;
  std::uint32_t catalog_version = 0;
  bool operator==(const FramePlace&) const = default;
};

struct NewestFrame {
  std::uint64_t sequence = 0;
  std::uint64_t lsn = 0;
  Timestamp received;
  bool operator==(const NewestFrame&) const = default;
};

struct Boot {
  HostId host;
  std::uint64_t boot_id = 0;
  bool operator==(const Boot&) const = default;
};

/// raw, journal
std::string lsn_key(std::uint64_t lsn);
Result<std::uint64_t> parse_lsn_key(std::string_view key);

std::string raw_value(const RawMessage& message);
Result<RawMessage> parse_raw_value(std::uint64_t lsn, std::string_view value);
/// Time alone, for passing over.
Result<Timestamp> raw_received(std::string_view value);

std::string boot_prefix(const Boot& boot);
std::string frame_key(const Boot& boot, std::uint64_t sequence);
Result<std::uint64_t> parse_frame_sequence(std::string_view key);
std::string frame_value(const FramePlace& place);
Result<FramePlace> parse_frame_value(std::string_view value);

std::string catalog_key(const Boot& boot, std::uint32_t version);
std::string catalog_value(const RawMessage& message);
/// host, boot_id and catalog_version come from the key.
Result<RawMessage> parse_catalog(std::string_view key, std::string_view value);

std::string journal_value(const JournalEntry& entry);
struct JournalValue {
  std::uint8_t kind = 0;
  Timestamp time;
  std::string_view bytes;
};
Result<JournalValue> parse_journal_value(std::string_view value);
/// Of JournalValue::kind: whether is_state() holds for such an entry.
bool is_state_kind(std::uint8_t kind);

/// The second that a time belongs to in the time family.
std::int64_t second_of(Timestamp time);
std::string time_key(std::int64_t second, std::uint64_t lsn);
Result<std::uint64_t> parse_time_lsn(std::string_view key);

std::string action_prefix(ActionId action);
std::string action_key(ActionId action, std::uint64_t lsn);
/// The action and lsn of an 'a' key.
struct ActionEntry {
  ActionId action = 0;
  std::uint64_t lsn = 0;
};
Result<ActionEntry> parse_action_key(std::string_view key);
constexpr std::string_view kActionPrefix = "a";

std::string started_key(std::uint64_t lsn);
Result<std::uint64_t> parse_started_key(std::string_view key);
std::string started_value(Timestamp time);
Result<Timestamp> parse_started_value(std::string_view value);
constexpr std::string_view kStartedPrefix = "b";

std::string newest_key(const Boot& boot);
Result<Boot> parse_newest_key(std::string_view key);
std::string newest_value(const NewestFrame& newest);
Result<NewestFrame> parse_newest_value(std::string_view value);
constexpr std::string_view kNewestPrefix = "h";

std::string open_key(ActionId action);
Result<ActionId> parse_open_key(std::string_view key);
constexpr std::string_view kOpenPrefix = "o";

/// From when on pages and roll-ups by the minute and the hour were kept when expire() was called last: microseconds
/// since the Unix epoch, 8 bytes each. A store that has never expired anything has none.
struct Kept {
  std::int64_t pages_from_us = 0;
  std::int64_t minutes_from_us = 0;
  std::int64_t hours_from_us = 0;
  bool operator==(const Kept&) const = default;
};
constexpr std::string_view kKeptKey = "k";
std::string kept_value(const Kept& kept);
Result<Kept> parse_kept(std::string_view value);

constexpr std::string_view kStateKey = "s";
std::string state_value(const State& state);
/// Errors: kCorrupt; kUnsupported if another format wrote it.
Result<State> parse_state(std::string_view value);

std::string user_key(std::string_view key);

}  // namespace proteus::store::keys
