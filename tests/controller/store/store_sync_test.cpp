// A disk that takes what is written and then says that it could not: a program of its own, since it stands in the place of
// the C library's fdatasync(), which RocksDB makes its log durable with.
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <vector>

#include "controller/store/rocks_store.h"
#include "tests/controller/store/temporary_directory.h"

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
}

TEST(StoreSync, WhatARefusedAppendWroteAllTheSameIsThereOnce) {
  const TemporaryDirectory directory;
  StoreOptions options{.directory = directory / "store"};
  options.reserve_bytes = 0;
  auto opened = RocksStore::open(options);
  ASSERT_TRUE(opened) << opened.error().message;
  std::unique_ptr<RocksStore> store = std::move(*opened);
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
  Status taken = store->append(second);
  // Whoever makes pages may be reading; then it is not opened again yet.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!taken && std::chrono::steady_clock::now() < deadline) taken = store->append(second);
  ASSERT_TRUE(taken) << taken.error().message;
  for (const RawMessage& message : second) EXPECT_GT(message.lsn, first.back().lsn);
  expect_each_once(*store, 20);
  auto third = frames(21, 31);
  ASSERT_TRUE(store->append(third));
  EXPECT_GT(third.front().lsn, second.back().lsn);
  expect_each_once(*store, 30);

  store.reset();
  auto reopened = RocksStore::open(options);
  ASSERT_TRUE(reopened) << reopened.error().message;
  expect_each_once(**reopened, 30);
}

}  // namespace
}  // namespace proteus::store
