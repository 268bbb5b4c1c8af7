#include "controller/store/store_keys.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/controller/store/journal_samples.h"
#include "tests/hex.h"

namespace proteus::store::keys {
namespace {

const Boot kBoot{HostId("h1"), 0x1122334455667788};

RawMessage frame() {
  return {.lsn = 258,
          .received = from_unix_ns(1'700'000'000'000'000'001),
          .host = kBoot.host,
          .boot_id = kBoot.boot_id,
          .sequence = 10,
          .catalog_version = 3,
          .base_sequence = 8,
          .bytes = "frame"};
}

State state() {
  return {.next_lsn = 300,
          .appended = {200, 5000, 99},
          .expired = {10, 250, 9},
          .raw_floor_lsn = 20,
          .journal_floor_lsn = 5};
}

std::vector<std::pair<std::string, std::string>> drawing() {
  RawMessage catalog = frame();
  catalog.sequence = 0;
  catalog.base_sequence = 0;
  catalog.bytes = "catalog";
  const JournalEntry cycle{259, from_unix_ns(1'700'000'000'500'000'000), Cycle{12, 34, 258}};
  return {
      {"raw.key", lsn_key(258)},
      {"raw.value", raw_value(frame())},
      {"frame.key", frame_key(kBoot, 10)},
      {"frame.value", frame_value({258, 8, 3})},
      {"catalog.key", catalog_key(kBoot, 3)},
      {"catalog.value", catalog_value(catalog)},
      {"journal.key", lsn_key(259)},
      {"journal.value", journal_value(cycle)},
      {"time.key", time_key(1'700'000'000, 258)},
      {"time.key_before_epoch", time_key(-1, 258)},
      {"meta.a", action_key(7, 259)},
      {"meta.b", started_key(1)},
      {"meta.b.value", started_value(from_unix_ns(1'700'000'000'000'000'000))},
      {"meta.h", newest_key(kBoot)},
      {"meta.h.value", newest_value({10, 258, from_unix_ns(1'700'000'000'000'000'001)})},
      {"meta.k", std::string(kKeptKey)},
      {"meta.k.value", kept_value({1, -2, 3})},
      {"meta.o", open_key(7)},
      {"meta.s", std::string(kStateKey)},
      {"meta.s.value", state_value(state())},
      {"meta.u", user_key("signal")},
  };
}

// If this fails, stores that exist can no longer be read: raise kFormat, or undo the change.
TEST(StoreKeys, AreAsDrawn) {
  std::ifstream file(PROTEUS_FIXTURES "/store/keys.golden");
  ASSERT_TRUE(file);
  std::map<std::string, std::string> golden;
  for (std::string name, bytes; file >> name >> bytes;) golden[name] = bytes;
  for (const auto& [name, bytes] : drawing()) {
    EXPECT_EQ(golden[name], hex(bytes)) << name << " " << hex(bytes);
    golden.erase(name);
  }
  EXPECT_TRUE(golden.empty()) << golden.begin()->first << " is not drawn any more";
}

TEST(StoreKeys, GiveBackWhatWentIn) {
  const auto message = parse_raw_value(258, raw_value(frame()));
  ASSERT_TRUE(message);
  EXPECT_EQ(message->lsn, 258u);
  EXPECT_EQ(message->received, frame().received);
  EXPECT_EQ(message->host, kBoot.host);
  EXPECT_EQ(message->boot_id, kBoot.boot_id);
  EXPECT_EQ(message->sequence, 10u);
  EXPECT_EQ(message->catalog_version, 3u);
  EXPECT_EQ(message->base_sequence, 8u);
  EXPECT_EQ(message->bytes, "frame");
  EXPECT_EQ(*parse_frame_value(frame_value({1, 2, 3})), (FramePlace{1, 2, 3}));
  EXPECT_EQ(*parse_frame_sequence(frame_key(kBoot, 10)), 10u);
  EXPECT_EQ(*parse_newest_key(newest_key(kBoot)), kBoot);
  EXPECT_EQ(*parse_newest_value(newest_value({1, 2, from_unix_ns(3)})), (NewestFrame{1, 2, from_unix_ns(3)}));
  EXPECT_EQ(*parse_state(state_value(state())), state());
  EXPECT_EQ(*parse_kept(kept_value({1, -2, 3})), (Kept{1, -2, 3}));
  EXPECT_EQ(parse_action_key(action_key(7, 9))->lsn, 9u);
  EXPECT_EQ(parse_action_key(action_key(7, 9))->action, 7u);
  EXPECT_EQ(*parse_started_key(started_key(4)), 4u);
  EXPECT_EQ(*parse_open_key(open_key(4)), 4u);
  EXPECT_EQ(*parse_time_lsn(time_key(-5, 77)), 77u);
  const auto catalog = parse_catalog(catalog_key(kBoot, 3), catalog_value(frame()));
  ASSERT_TRUE(catalog);
  EXPECT_EQ(catalog->host, kBoot.host);
  EXPECT_EQ(catalog->catalog_version, 3u);
  EXPECT_EQ(catalog->sequence, 0u);
}

TEST(StoreKeys, SortAsTheirNumbersDo) {
  EXPECT_LT(lsn_key(255), lsn_key(256));
  EXPECT_LT(frame_key(kBoot, 255), frame_key(kBoot, 256));
  EXPECT_LT(time_key(-1, 9), time_key(0, 1));
  EXPECT_LT(time_key(4, 9), time_key(5, 1));
  EXPECT_EQ(second_of(from_unix_ns(-1)), -1);
  EXPECT_EQ(second_of(from_unix_ns(1'999'999'999)), 1);
}

TEST(StoreKeys, ShortOrLongValuesAreCorrupt) {
  const std::string raw = raw_value(frame());
  EXPECT_EQ(parse_raw_value(1, std::string_view(raw).substr(0, 20)).error().code, ErrorCode::kCorrupt);
  const std::string whole_state = state_value(state());
  EXPECT_EQ(parse_state(std::string_view(whole_state).substr(1)).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(parse_state(whole_state.substr(0, 40)).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(parse_state(whole_state + "x").error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(parse_kept(std::string(23, '\0')).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(parse_kept(std::string(25, '\0')).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(parse_lsn_key("1234567").error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(parse_journal_value("").error().code, ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace proteus::store::keys
