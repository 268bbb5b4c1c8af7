#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "controller/store/store.h"
#include "tests/controller/store/journal_samples.h"
#include "tests/temporary_directory.h"

namespace proteus::store {
namespace {

using drs::ActionState;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

const Timestamp kStart = from_unix_ns(1'700'000'000'000'000'000);

RawMessage frame(const std::string& host, std::uint64_t boot, std::uint64_t sequence, std::uint64_t base,
                 Timestamp received, std::uint32_t version = 1) {
  return {.lsn = 0,
          .received = received,
          .host = HostId(host),
          .boot_id = boot,
          .sequence = sequence,
          .catalog_version = version,
          .base_sequence = base,
          .bytes = host + "/" + std::to_string(boot) + "/" + std::to_string(sequence)};
}
RawMessage catalog(const std::string& host, std::uint64_t boot, std::uint32_t version, Timestamp received) {
  RawMessage message = frame(host, boot, 0, 0, received, version);
  message.bytes = "catalog " + std::to_string(version) + " of " + host;
  return message;
}

/// So that what is gone from the disk shows.
std::string incompressible(std::mt19937_64& random, std::size_t size) {
  std::string bytes(size, ' ');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

class RocksStoreTest : public testing::Test {
 protected:
  void SetUp() override { reopen(); }

  void reopen() {
    store_.reset();
    auto opened = Store::open(options_);
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
  }
  std::uint64_t add(RawMessage message) {
    std::vector<RawMessage> one = {std::move(message)};
    const Status status = store_->append(one);
    EXPECT_TRUE(status) << status.error().message;
    return one[0].lsn;
  }
  std::uint64_t add(Timestamp time, JournalPayload payload) {
    std::vector<JournalEntry> one = {{0, time, std::move(payload)}};
    const Status status = store_->append(one);
    EXPECT_TRUE(status) << status.error().message;
    return one[0].lsn;
  }
  /// What a scan gives, in order: bytes of telemetry, "journal LSN" of entries.
  std::vector<std::string> scanned(Timestamp from, Timestamp to) {
    std::vector<std::string> seen;
    const Status status = store_->scan(from, to, collect(seen));
    EXPECT_TRUE(status) << status.error().message;
    return seen;
  }
  std::vector<std::string> scanned_lsn(std::uint64_t from, std::uint64_t to) {
    std::vector<std::string> seen;
    const Status status = store_->scan_lsn(from, to, collect(seen));
    EXPECT_TRUE(status) << status.error().message;
    return seen;
  }
  static Store::Visitor collect(std::vector<std::string>& seen) {
    return {.raw =
                [&seen](const RawMessage& m) {
                  seen.push_back(m.bytes);
                  return true;
                },
            .journal =
                [&seen](const JournalEntry& e) {
                  seen.push_back("journal " + std::to_string(e.lsn));
                  return true;
                }};
  }

  TemporaryDirectory directory_;
  StoreOptions options_{.directory = directory_ / "store"};
  std::unique_ptr<Store> store_;
};

using Seen = std::vector<std::string>;

TEST_F(RocksStoreTest, OneNumberOrdersTelemetryAndJournal) {
  std::vector<RawMessage> messages = {catalog("h1", 1, 1, kStart), frame("h1", 1, 1, 0, kStart)};
  ASSERT_TRUE(store_->append(messages));
  EXPECT_EQ(messages[0].lsn, 1u);
  EXPECT_EQ(messages[1].lsn, 2u);
  EXPECT_EQ(add(kStart, Cycle{1, 2, 2}), 3u);
  EXPECT_EQ(add(frame("h1", 1, 2, 1, kStart)), 4u);
  const Seen all = {"catalog 1 of h1", "h1/1/1", "journal 3", "h1/1/2"};
  EXPECT_EQ(scanned(kStart, kStart + seconds(1)), all);
  EXPECT_EQ(scanned(Timestamp::min(), Timestamp::max()), all);
  EXPECT_EQ(scanned_lsn(0, 100), all);
  reopen();
  EXPECT_EQ(scanned(Timestamp::min(), Timestamp::max()), all);
  EXPECT_EQ(add(kStart, Cycle{2, 2, 4}), 5u);
}

TEST_F(RocksStoreTest, ScanGivesMessagesWhole) {
  const RawMessage sent = frame("h1", 77, 5, 4, kStart + Nanoseconds(123), 9);
  add(sent);
  int count = 0;
  ASSERT_TRUE(store_->scan(kStart, kStart + seconds(1),
                           {.raw =
                                [&](const RawMessage& m) {
                                  ++count;
                                  EXPECT_EQ(m.lsn, 1u);
                                  EXPECT_EQ(m.received, sent.received);
                                  EXPECT_EQ(m.host, sent.host);
                                  EXPECT_EQ(m.boot_id, sent.boot_id);
                                  EXPECT_EQ(m.sequence, sent.sequence);
                                  EXPECT_EQ(m.catalog_version, sent.catalog_version);
                                  EXPECT_EQ(m.base_sequence, sent.base_sequence);
                                  EXPECT_EQ(m.bytes, sent.bytes);
                                  return true;
                                },
                            .journal = nullptr}));
  EXPECT_EQ(count, 1);
}

TEST_F(RocksStoreTest, ScanEndsWhenTheVisitorHasEnough) {
  for (std::uint64_t i = 1; i <= 10; ++i) add(frame("h1", 1, i, 0, kStart));
  int count = 0;
  ASSERT_TRUE(store_->scan(kStart, kStart + seconds(1),
                           {.raw = [&](const RawMessage&) { return ++count < 3; }, .journal = nullptr}));
  EXPECT_EQ(count, 3);
}

TEST_F(RocksStoreTest, ScanTakesExactlyTheRange) {
  for (std::uint64_t i = 1; i <= 100; ++i) add(frame("h1", 1, i, 0, kStart + milliseconds(100 * i)));
  const Seen seen = scanned(kStart + milliseconds(1250), kStart + milliseconds(2000));
  ASSERT_EQ(seen.size(), 7u);
  EXPECT_EQ(seen.front(), "h1/1/13");
  EXPECT_EQ(seen.back(), "h1/1/19");
  EXPECT_TRUE(scanned(kStart + seconds(11), kStart + seconds(20)).empty());
  EXPECT_TRUE(scanned(kStart + seconds(5), kStart + seconds(5)).empty());
}

TEST_F(RocksStoreTest, AClockSetBackLosesNothing) {
  add(frame("h1", 1, 1, 0, kStart + seconds(10)));
  add(frame("h1", 1, 2, 0, kStart + seconds(11)));
  add(frame("h1", 1, 3, 0, kStart + seconds(2)));  // set back
  add(frame("h1", 1, 4, 0, kStart + seconds(3)));
  add(frame("h1", 1, 5, 0, kStart + seconds(10)));
  EXPECT_EQ(scanned(kStart + seconds(10), kStart + seconds(11)), (Seen{"h1/1/1", "h1/1/5"}));
  EXPECT_EQ(scanned(kStart, kStart + seconds(5)), (Seen{"h1/1/3", "h1/1/4"}));
}

// Frames are differences against acknowledged ones, which may lie before a keyframe that was not yet acknowledged.
TEST_F(RocksStoreTest, ScanLeadsWithCatalogsAndBaseFrames) {
  add(catalog("h1", 1, 1, kStart));
  add(frame("h1", 1, 1, 0, kStart));  // not needed
  add(catalog("h1", 1, 2, kStart + seconds(1)));
  add(catalog("h2", 5, 1, kStart + seconds(1)));
  add(frame("h1", 1, 2, 0, kStart + seconds(1), 2));  // root
  add(frame("h2", 5, 1, 0, kStart + seconds(1)));     // root of the other host
  add(frame("h1", 1, 3, 2, kStart + seconds(2), 2));
  add(frame("h1", 1, 4, 0, kStart + seconds(3), 2));  // a keyframe that nothing below refers to
  add(frame("h1", 1, 5, 3, kStart + seconds(4), 2));
  const std::uint64_t from_lsn = add(frame("h1", 1, 6, 5, kStart + seconds(10), 2));
  add(frame("h1", 1, 7, 5, kStart + seconds(11), 2));
  add(frame("h1", 1, 8, 6, kStart + seconds(12), 2));
  add(frame("h2", 5, 2, 1, kStart + seconds(12)));
  const Seen expected = {"catalog 2 of h1", "catalog 1 of h2", "h1/1/2", "h2/5/1", "h1/1/3",
                         "h1/1/5",          "h1/1/6",          "h1/1/7", "h1/1/8", "h2/5/2"};
  EXPECT_EQ(scanned(kStart + seconds(10), kStart + seconds(20)), expected);
  EXPECT_EQ(scanned_lsn(from_lsn, 1000), expected);
}

TEST_F(RocksStoreTest, ScanKnowsACatalogThatNoFrameHasUsedYet) {
  add(catalog("h1", 1, 1, kStart));
  add(frame("h1", 1, 1, 0, kStart));
  add(catalog("h1", 1, 2, kStart + seconds(1)));
  add(frame("h1", 1, 2, 1, kStart + seconds(10), 1));
  add(frame("h1", 1, 3, 0, kStart + seconds(11), 2));
  EXPECT_EQ(scanned(kStart + seconds(10), kStart + seconds(20)),
            (Seen{"catalog 1 of h1", "h1/1/1", "catalog 2 of h1", "h1/1/2", "h1/1/3"}));
}

TEST_F(RocksStoreTest, LeavesOutBootsThatHaveNothingInTheRange) {
  add(catalog("h1", 1, 1, kStart));
  add(frame("h1", 1, 1, 0, kStart));
  add(catalog("h2", 1, 1, kStart + seconds(5)));
  add(frame("h2", 1, 1, 0, kStart + seconds(5)));
  add(frame("h1", 1, 2, 1, kStart + seconds(50)));
  EXPECT_EQ(scanned(kStart + seconds(5), kStart + seconds(10)), (Seen{"catalog 1 of h2", "h2/1/1"}));
}

TEST_F(RocksStoreTest, LastSequenceIsPerBoot) {
  EXPECT_EQ(*store_->last_sequence(HostId("h1"), 1), std::nullopt);
  std::vector<RawMessage> batch = {frame("h1", 1, 8, 0, kStart), frame("h1", 1, 9, 8, kStart),
                                   frame("h1", 2, 1, 0, kStart), frame("h", 1, 77, 0, kStart)};
  ASSERT_TRUE(store_->append(batch));
  EXPECT_EQ(*store_->last_sequence(HostId("h1"), 1), 9u);
  EXPECT_EQ(*store_->last_sequence(HostId("h1"), 2), 1u);
  reopen();
  EXPECT_EQ(*store_->last_sequence(HostId("h1"), 1), 9u);
  EXPECT_EQ(*store_->last_sequence(HostId("h1"), 3), std::nullopt);
}

TEST_F(RocksStoreTest, JournalTailIsNewestFirst) {
  for (std::uint64_t i = 1; i <= 5; ++i) add(kStart, Cycle{i, 0, 0});
  const auto tail = store_->journal_tail(3);
  ASSERT_TRUE(tail);
  ASSERT_EQ(tail->size(), 3u);
  EXPECT_EQ(std::get<Cycle>((*tail)[0].payload).number, 5u);
  EXPECT_EQ(std::get<Cycle>((*tail)[2].payload).number, 3u);
}

TEST_F(RocksStoreTest, JournalGivesBackEveryKind) {
  std::mt19937_64 random(5);
  std::vector<JournalEntry> entries;
  for (std::size_t kind = 0; kind < std::variant_size_v<JournalPayload>; ++kind) {
    entries.push_back({0, kStart, random_payload(random, kind)});
  }
  ASSERT_TRUE(store_->append(entries));
  std::size_t i = 0;
  ASSERT_TRUE(store_->scan(kStart, kStart + seconds(1), {.raw = nullptr, .journal = [&](const JournalEntry& entry) {
                                                           EXPECT_TRUE(same(entry, entries[i])) << i;
                                                           ++i;
                                                           return true;
                                                         }}));
  EXPECT_EQ(i, entries.size());
}

TEST_F(RocksStoreTest, LastStartedLooksBack) {
  EXPECT_FALSE(store_->last_started(kStart)->has_value());
  EXPECT_FALSE(store_->first_started()->has_value());
  Started started;
  started.term = 1;
  add(kStart, started);
  add(kStart, Cycle{});
  started.term = 2;
  add(kStart + seconds(10), started);
  EXPECT_FALSE(store_->last_started(kStart - seconds(1))->has_value());
  EXPECT_EQ(std::get<Started>((*store_->last_started(kStart + seconds(9)))->payload).term, 1u);
  EXPECT_EQ(std::get<Started>((*store_->last_started(kStart + seconds(10)))->payload).term, 2u);
  EXPECT_EQ(std::get<Started>((*store_->first_started())->payload).term, 1u);
}

TEST_F(RocksStoreTest, OpenActionsHaveTheirTransitionsApplied) {
  add(kStart, intent(1, kStart));
  std::vector<JournalEntry> entries = {{0, kStart, intent(2, kStart)}, {0, kStart, intent(3, kStart)}};
  ASSERT_TRUE(store_->append(entries));
  add(kStart, step(1, ActionState::kIntended, ActionState::kSent, kStart + seconds(1)));
  add(kStart, step(2, ActionState::kIntended, ActionState::kSent, kStart + seconds(1)));
  auto accepted = step(2, ActionState::kSent, ActionState::kAccepted, kStart + seconds(2));
  accepted.agent_time = kStart + milliseconds(1900);
  accepted.message = "begun";
  add(kStart, accepted);
  add(kStart, step(1, ActionState::kSent, ActionState::kFailed, kStart + seconds(2)));
  reopen();
  const auto open = store_->open_actions();
  ASSERT_TRUE(open) << open.error().message;
  ASSERT_EQ(open->size(), 2u);
  const drs::ActionRecord& second = (*open)[0];
  EXPECT_EQ(second.action.id, 2u);
  EXPECT_EQ(second.state, ActionState::kAccepted);
  EXPECT_EQ(second.executed_at, kStart + milliseconds(1900));
  EXPECT_EQ(second.message, "begun");
  EXPECT_EQ(second.transitions.size(), 2u);
  EXPECT_TRUE(same_record((*open)[1], intent(3, kStart)));
}

TEST_F(RocksStoreTest, AnActionThatBeginsAndEndsInOneBatchIsNotOpen) {
  std::vector<JournalEntry> entries = {{0, kStart, intent(1, kStart)},
                                       {0, kStart, step(1, ActionState::kIntended, ActionState::kExpired, kStart)}};
  ASSERT_TRUE(store_->append(entries));
  EXPECT_TRUE(store_->open_actions()->empty());
}

TEST_F(RocksStoreTest, MetaIsKept) {
  EXPECT_FALSE(store_->get_meta("term")->has_value());
  ASSERT_TRUE(store_->put_meta("term", std::string("4\0 2", 4)));
  reopen();
  EXPECT_EQ(**store_->get_meta("term"), std::string("4\0 2", 4));
  EXPECT_FALSE(store_->get_meta("s")->has_value());  // none of the store's own keys
}

TEST_F(RocksStoreTest, FiguresCount) {
  add(frame("h1", 1, 1, 0, kStart));
  add(frame("h1", 1, 2, 0, kStart));
  add(kStart, Cycle{});
  const Store::Figures figures = store_->figures();
  EXPECT_EQ(figures.raw_messages, 2u);
  EXPECT_EQ(figures.raw_bytes, 12u);
  EXPECT_EQ(figures.journal_entries, 1u);
  EXPECT_GT(figures.disk_bytes, 100u);
}

TEST_F(RocksStoreTest, ExpireForgetsWhatIsOld) {
  options_.raw_retention = hours(1);
  options_.journal_retention = hours(2);
  reopen();
  std::vector<RawMessage> messages = {catalog("h1", 1, 1, kStart), catalog("h0", 1, 1, kStart),
                                      frame("h0", 1, 1, 0, kStart)};
  std::mt19937_64 random(3);
  for (std::uint64_t i = 1; i <= 2000; ++i) {
    messages.push_back(frame("h1", 1, i, i - 1, kStart + seconds(5 * i)));
    messages.back().bytes = incompressible(random, 2000);
  }
  ASSERT_TRUE(store_->append(messages));
  std::vector<JournalEntry> entries;
  for (std::uint64_t i = 1; i <= 1000; ++i) entries.push_back({0, kStart + seconds(10 * i), Cycle{i, 0, 0}});
  ASSERT_TRUE(store_->append(entries));
  const Timestamp now = kStart + seconds(10'000);
  const auto before = store_->figures();
  ASSERT_TRUE(store_->expire(now));
  const auto after = store_->figures();
  EXPECT_EQ(before.raw_messages, 2003u);
  EXPECT_EQ(after.raw_messages, 721u);     // 6400 s to 10000 s, every 5 s
  EXPECT_EQ(after.journal_entries, 721u);  // 2800 s to 10000 s, every 10 s
  reopen();                                // a new log and no memtable: the disk shows what is left
  EXPECT_LT(store_->figures().disk_bytes, before.disk_bytes / 2);
  EXPECT_EQ(store_->figures().raw_messages, 721u);

  const Seen seen = scanned(Timestamp::min(), Timestamp::max());
  EXPECT_EQ(std::count_if(seen.begin(), seen.end(), [](const auto& s) { return s.starts_with("journal"); }), 721);
  EXPECT_EQ(seen.size(), 1 + 721u + 721u);  // the catalog outlives its raw copy
  EXPECT_EQ(seen.at(0).substr(0, 20), "catalog 1 of h1");
  EXPECT_EQ(*store_->last_sequence(HostId("h0"), 1), 1u);  // repeats are still known
  ASSERT_TRUE(store_->expire(now + hours(24 * 60)));
  EXPECT_EQ(store_->figures().raw_messages, 0u);
  EXPECT_EQ(*store_->last_sequence(HostId("h0"), 1), std::nullopt);
  EXPECT_TRUE(scanned(Timestamp::min(), Timestamp::max()).empty());
  const std::uint64_t next = add(frame("h1", 1, 3000, 0, now + hours(24 * 60)));
  EXPECT_EQ(next, 3004u);  // numbers are never used again
}

// Repeats of frames that are there are always known, of others not without end.
TEST_F(RocksStoreTest, OfBootsWithoutFramesTheNewestAreRemembered) {
  options_.raw_retention = hours(1);
  reopen();
  constexpr std::uint64_t kOld = 5000;
  constexpr std::uint64_t kYoung = 5000;
  const Timestamp now = kStart + hours(3);
  std::vector<RawMessage> messages = {frame("h0", 1, 1, 0, kStart), catalog("h1", 1, 1, kStart)};
  for (std::uint64_t boot = 1; boot <= kOld + kYoung; ++boot) {
    messages.push_back(frame("h1", boot, 1, 0, boot <= kOld ? kStart : now));
  }
  messages.push_back(frame("h2", 1, 1, 0, now));
  ASSERT_TRUE(store_->append(messages));
  ASSERT_TRUE(store_->expire(now));
  const auto known = [&](std::uint64_t from, std::uint64_t to) {
    std::uint64_t count = 0;
    for (std::uint64_t boot = from; boot <= to; ++boot) count += *store_->last_sequence(HostId("h1"), boot) ? 1 : 0;
    return count;
  };
  EXPECT_EQ(known(1, kOld), 4096u);
  EXPECT_EQ(known(kOld - 4095, kOld), 4096u) << "the newest";
  EXPECT_EQ(known(kOld + 1, kOld + kYoung), kYoung) << "they have frames";
  EXPECT_EQ(*store_->last_sequence(HostId("h0"), 1), 1u) << "one host's boots are not another's";
  EXPECT_EQ(*store_->last_sequence(HostId("h2"), 1), 1u);
  ASSERT_TRUE(store_->expire(now + hours(24 * 60)));
  EXPECT_EQ(*store_->last_sequence(HostId("h0"), 1), std::nullopt);
}

TEST_F(RocksStoreTest, StatesExpireWithTheTelemetryOfTheirTime) {
  options_.raw_retention = hours(1);
  reopen();
  add(kStart, store::ForecastState{});
  add(kStart, store::ProfileState{});
  add(kStart, Cycle{1, 0, 0});
  add(frame("h1", 1, 1, 0, kStart));
  add(kStart, store::ForecastState{});  // of a run that telemetry is left of
  add(frame("h1", 1, 2, 0, kStart + hours(2)));
  EXPECT_EQ(store_->figures().journal_entries, 1u) << "they are not counted";
  const auto states = [&] {
    int count = 0;
    EXPECT_TRUE(store_->scan_lsn(0, UINT64_MAX, {.raw = nullptr, .journal = [&](const JournalEntry& entry) {
                                                   if (is_state(entry.payload)) ++count;
                                                   return true;
                                                 }}));
    return count;
  };
  EXPECT_EQ(states(), 3);
  ASSERT_TRUE(store_->expire(kStart + hours(2)));
  EXPECT_EQ(states(), 1);
  EXPECT_EQ(store_->figures().journal_entries, 1u);
}

TEST_F(RocksStoreTest, HostsAreHeardOfUntilTheirTelemetryHasExpired) {
  options_.raw_retention = hours(1);
  reopen();
  add(frame("h1", 1, 1, 0, kStart));
  add(frame("h2", 1, 1, 0, kStart + seconds(5)));
  add(frame("h1", 2, 1, 0, kStart + hours(2)));
  EXPECT_EQ(*store_->last_heard(),
            (std::map<HostId, Timestamp>{{HostId("h1"), kStart + hours(2)}, {HostId("h2"), kStart + seconds(5)}}));
  ASSERT_TRUE(store_->expire(kStart + hours(3)));
  EXPECT_EQ(*store_->last_heard(), (std::map<HostId, Timestamp>{{HostId("h1"), kStart + hours(2)}}));
}

TEST_F(RocksStoreTest, WhatAClockThatWasAheadHasStampedExpiresWithWhatCameAfterIt) {
  options_.raw_retention = hours(1);
  options_.journal_retention = hours(1);
  reopen();
  for (std::uint64_t i = 1; i <= 300; ++i) {
    const bool ahead = i > 100 && i <= 150;
    const Timestamp time = kStart + seconds(30 * i) + (ahead ? hours(24 * 365) : hours(0));
    add(frame("h1", 1, i, i - 1, time));
    add(time, Cycle{i, 0, 0});
  }
  const auto left_at = [&](std::uint64_t i) {
    EXPECT_TRUE(store_->expire(kStart + seconds(30 * i) + hours(1)));
    EXPECT_EQ(store_->figures().journal_entries, store_->figures().raw_messages);
    return store_->figures().raw_messages;
  };
  EXPECT_EQ(left_at(51), 250u);
  EXPECT_EQ(left_at(101), 200u) << "what came before them; nothing after them is old";
  EXPECT_EQ(left_at(151), 200u);
  EXPECT_EQ(left_at(201), 100u);
  EXPECT_EQ(left_at(301), 0u);
  EXPECT_TRUE(scanned(Timestamp::min(), Timestamp::max()).empty());
}

TEST_F(RocksStoreTest, ExpireSparesOpenActionsAndTheLastStart) {
  Started started;
  started.term = 9;
  add(kStart, started);
  add(kStart, intent(1, kStart));
  add(kStart, intent(2, kStart));
  add(kStart, step(1, ActionState::kIntended, ActionState::kExpired, kStart));
  add(kStart, step(2, ActionState::kIntended, ActionState::kSent, kStart));
  const Timestamp now = kStart + hours(24 * 365);
  add(now, Cycle{});
  ASSERT_TRUE(store_->expire(now));
  reopen();
  ASSERT_TRUE(store_->expire(now + seconds(1)));
  const auto open = store_->open_actions();
  ASSERT_TRUE(open) << open.error().message;
  ASSERT_EQ(open->size(), 1u);
  EXPECT_EQ((*open)[0].state, ActionState::kSent);
  ASSERT_TRUE(store_->last_started(now)->has_value());
  EXPECT_EQ(store_->journal_tail(100)->size(), 1u);
}

TEST_F(RocksStoreTest, ReadsBesideTheWriter) {
  add(frame("h1", 1, 1, 0, kStart));
  StoreOptions beside = options_;
  beside.read_only = true;
  auto reader = Store::open(beside);
  ASSERT_TRUE(reader) << reader.error().message;
  std::vector<std::string> seen;
  ASSERT_TRUE((*reader)->scan(kStart, kStart + seconds(1), collect(seen)));
  EXPECT_EQ(seen, Seen{"h1/1/1"});
  std::vector<RawMessage> one = {frame("h1", 1, 2, 0, kStart)};
  const Status refused = (*reader)->append(one);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_FALSE((*reader)->expire(kStart + hours(1000)));
}

TEST_F(RocksStoreTest, OpeningNothingSaysSo) {
  StoreOptions options{.directory = directory_ / "none"};
  options.create = false;
  const auto opened = Store::open(options);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(options.directory));
}

class DamagedStore : public RocksStoreTest {
 protected:
  /// Frames 1 to 500, a second apart, of which some in the middle cannot be read, and behind them as many cycles.
  /// Leaves the store closed. in_journal: it is cycles that cannot be read.
  void make(bool in_journal = false) {
    options_.raw_retention = hours(1);
    options_.journal_retention = hours(1);
    reopen();
    std::vector<RawMessage> messages;
    std::vector<JournalEntry> entries;
    std::mt19937_64 random(4);
    for (std::uint64_t i = 1; i <= 500; ++i) {
      messages.push_back(frame("h1", 1, i, 0, kStart + seconds(i)));
      if (!in_journal) messages.back().bytes = incompressible(random, 2000);
      entries.push_back({0, kStart + seconds(i), Cycle{i, 0, 0}});
      if (!in_journal) continue;
      ham::Decision decision;
      for (int j = 0; j < 500; ++j) decision.summary += fmt::format("{:08x}", static_cast<std::uint32_t>(random()));
      entries.back().payload = std::move(decision);
    }
    ASSERT_TRUE(store_->append(messages));
    ASSERT_TRUE(store_->append(entries));
    ASSERT_TRUE(store_->expire(kStart + seconds(3605)));  // moves telemetry from the log into a file
    store_.reset();
    int damaged = 0;
    for (const auto& file : std::filesystem::directory_iterator(options_.directory)) {
      if (file.path().extension() != ".sst" || file.file_size() < 500'000) continue;
      std::fstream bytes(file.path(), std::ios::in | std::ios::out | std::ios::binary);
      bytes.seekp(300'000);
      bytes.write("damage", 6);
      ++damaged;
    }
    ASSERT_EQ(damaged, 1);
  }
};

TEST_F(DamagedStore, DamageInTheJournalStopsTheDatabaseOnceAtMost) {
  ASSERT_NO_FATAL_FAILURE(make(true));
  reopen();
  std::uint64_t sequence = 500;
  int refused = 0;
  for (const int second : {300, 310, 320, 330}) {
    (void)store_->expire(kStart + seconds(3600 + second));
    std::vector<RawMessage> messages{frame("h1", 1, ++sequence, 0, kStart + seconds(3600 + second))};
    refused += store_->append(messages) ? 0 : 1;
  }
  EXPECT_LE(refused, 1);
  const Seen seen = scanned(Timestamp::min(), Timestamp::max());
  EXPECT_EQ(std::count_if(seen.begin(), seen.end(), [](const auto& s) { return s.starts_with("journal"); }), 171)
      << "what lies behind the damage, and is young";
}

TEST_F(DamagedStore, DamageIsFoundWhenItIsRead) {
  ASSERT_NO_FATAL_FAILURE(make());
  auto opened = Store::open(options_);
  ASSERT_TRUE(opened) << opened.error().message;
  std::vector<std::string> seen;
  const Status status = (*opened)->scan(Timestamp::min(), Timestamp::max(), collect(seen));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kCorrupt) << status.error().message;
  EXPECT_GT(seen.size(), 100u);  // what lies in front of it is good
}

TEST_F(DamagedStore, DamageHoldsUpNeitherPagesNorRetention) {
  ASSERT_NO_FATAL_FAILURE(make());
  reopen();
  const Status expired = store_->expire(kStart + seconds(3600 + 300));
  ASSERT_TRUE(expired) << expired.error().message;
  EXPECT_TRUE(store_->figures().series_problem.empty()) << store_->figures().series_problem;
  EXPECT_EQ(store_->figures().series_unread, 0u);
  EXPECT_EQ(store_->figures().journal_entries, 201u);
  const Seen seen = scanned(Timestamp::min(), Timestamp::max());
  EXPECT_EQ(std::count_if(seen.begin(), seen.end(), [](const auto& s) { return !s.starts_with("journal"); }), 201)
      << "what lies behind the damage, and is young";
  EXPECT_EQ(seen.size(), 402u);
  add(frame("h1", 1, 501, 0, kStart + seconds(501)));
  ASSERT_TRUE(store_->expire(kStart + hours(3)));
  EXPECT_TRUE(scanned(Timestamp::min(), Timestamp::max()).empty());
  EXPECT_LT(store_->figures().raw_messages, 50u) << "of what could not be read nobody knows how much it was";
}

}  // namespace
}  // namespace proteus::store
