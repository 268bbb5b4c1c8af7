// A disk that takes what is written and then says that it could not: a program of its own, since it stands in the place
// of the C library's fdatasync(), which RocksDB makes its log durable with.
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <vector>

#include "controller/store/rocks_store.h"
#include "tests/controller/store/journal_samples.h"
#include "tests/temporary_directory.h"

namespace {
std::atomic<bool> fails{false};
std::atomic<int> failures{0};
}  // namespace

extern "C" int fdatasync(int file) {
  if (!fails) return static_cast<int>(::syscall(SYS_fdatasync, file));
  ++failures;
  errno = EIO;
  return -1;
}

namespace proteus::store {
namespace {

std::vector<RawMessage> frames(std::uint64_t from, std::uint64_t to) {
  std::vector<RawMessage> messages;
  for (std::uint64_t sequence = from; sequence < to; ++sequence) {
    messages.push_back({.received = from_unix_ns(1'700'000'000'000'000'000),
                        .host = HostId("h1"),
                        .boot_id = 1,
                        .sequence = sequence,
                        .catalog_version = 1,
                        .base_sequence = 0,
                        .bytes = "frame " + std::to_string(sequence)});
  }
  return messages;
}

void expect_each_once(const Store& store, std::uint64_t count) {
  std::uint64_t sequence = 0;
  std::uint64_t lsn = 0;
  const Status scanned = store.scan(Timestamp::min(), Timestamp::max(),
                                    {.raw =
                                         [&](const RawMessage& message) {
                                           EXPECT_EQ(message.sequence, ++sequence);
                                           EXPECT_GT(message.lsn, lsn);
                                           lsn = message.lsn;
                                           return true;
                                         },
                                     .journal = nullptr});
  EXPECT_TRUE(scanned) << scanned.error().message;
  EXPECT_EQ(sequence, count);
  EXPECT_EQ(store.figures().raw_messages, count);
}

constexpr Timestamp kTime = from_unix_ns(1'700'000'000'000'000'000);

std::unique_ptr<RocksStore> open(const StoreOptions& options) {
  auto opened = RocksStore::open(options);
  EXPECT_TRUE(opened) << opened.error().message;
  return opened ? std::move(*opened) : nullptr;
}

/// Whoever makes pages may be reading; then a stopped database is not opened again yet.
template <typename Entry>
Status append_at_last(RocksStore& store, std::vector<Entry>& entries) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  Status taken = store.append(entries);
  while (!taken && std::chrono::steady_clock::now() < deadline) taken = store.append(entries);
  return taken;
}

/// The journal holds these and no others, and leaves one action open.
void expect_journal(const Store& store, const std::vector<JournalEntry>& entries) {
  std::size_t next = 0;
  const Status scanned = store.scan(Timestamp::min(), Timestamp::max(),
                                    {.raw = nullptr, .journal = [&](const JournalEntry& entry) {
                                       EXPECT_LT(next, entries.size());
                                       if (next == entries.size()) return false;
                                       EXPECT_TRUE(same(entry, entries[next])) << next << ", lsn " << entry.lsn;
                                       ++next;
                                       return true;
                                     }});
  EXPECT_TRUE(scanned) << scanned.error().message;
  EXPECT_EQ(next, entries.size());
  EXPECT_EQ(store.figures().journal_entries, entries.size());
  const auto open = store.open_actions();
  ASSERT_TRUE(open) << open.error().message;
  ASSERT_EQ(open->size(), 1u);
  EXPECT_EQ(open->front().state, drs::ActionState::kRunning);
}

TEST(StoreSync, AJournalEntryThatARefusedAppendWroteAllTheSameIsThereOnce) {
  using enum drs::ActionState;
  const TemporaryDirectory directory;
  StoreOptions options{.directory = directory / "store"};
  options.reserve_bytes = 0;
  auto store = open(options);
  ASSERT_TRUE(store);
  std::vector<JournalEntry> all{{0, kTime, intent(1, kTime)}, {0, kTime, intent(2, kTime)}};
  ASSERT_TRUE(store->append(all));

  fails = true;
  std::vector<JournalEntry> waiting;
  const auto wait = [&](drs::Transition transition) {
    waiting.push_back({0, kTime, std::move(transition)});
    EXPECT_FALSE(store->append(waiting));
    for (const JournalEntry& entry : waiting) EXPECT_EQ(entry.lsn, 0u);
  };
  // As a controller does: what was refused comes again, and more with it.
  wait(step(1, kIntended, kSent, kTime));
  wait(step(2, kIntended, kExpired, kTime));
  wait(step(1, kSent, kAccepted, kTime));
  fails = false;
  waiting.push_back({0, kTime, step(1, kAccepted, kRunning, kTime)});
  const Status taken = append_at_last(*store, waiting);
  ASSERT_TRUE(taken) << taken.error().message;
  all.insert(all.end(), waiting.begin(), waiting.end());
  expect_journal(*store, all);
  std::vector<JournalEntry> same_again{{0, kTime, step(1, kRunning, kRunning, kTime)},
                                       {0, kTime, step(1, kRunning, kRunning, kTime)}};
  ASSERT_TRUE(store->append(same_again));
  all.insert(all.end(), same_again.begin(), same_again.end());
  expect_journal(*store, all);

  store.reset();
  store = open(options);
  ASSERT_TRUE(store);
  expect_journal(*store, all);
}

TEST(StoreSync, WhatARefusedAppendWroteAllTheSameIsThereOnce) {
  const TemporaryDirectory directory;
  StoreOptions options{.directory = directory / "store"};
  options.reserve_bytes = 0;
  std::unique_ptr<RocksStore> store = open(options);
  ASSERT_TRUE(store);
  auto first = frames(1, 11);
  ASSERT_TRUE(store->append(first));

  fails = true;
  auto second = frames(11, 21);
  for (int attempt = 0; attempt < 3; ++attempt) {
    const Status refused = store->append(second);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable) << refused.error().message;
    for (const RawMessage& message : second) EXPECT_EQ(message.lsn, 0u);
  }
  EXPECT_GT(failures, 0) << "RocksDB makes its log durable in another way";
  fails = false;
  const Status taken = append_at_last(*store, second);
  ASSERT_TRUE(taken) << taken.error().message;
  for (const RawMessage& message : second) EXPECT_GT(message.lsn, first.back().lsn);
  expect_each_once(*store, 20);
  auto third = frames(21, 31);
  ASSERT_TRUE(store->append(third));
  EXPECT_GT(third.front().lsn, second.back().lsn);
  expect_each_once(*store, 30);

  store.reset();
  store = open(options);
  ASSERT_TRUE(store);
  expect_each_once(*store, 30);
}

}  // namespace
}  // namespace proteus::store
