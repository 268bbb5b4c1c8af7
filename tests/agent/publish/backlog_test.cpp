#include "agent/publish/backlog.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/common/wire/telemetry_samples.h"
#include "tests/temporary_directory.h"

namespace proteus::publish {
namespace {

using namespace std::chrono_literals;

class BacklogTest : public ::testing::Test {
 protected:
  std::unique_ptr<Spool> open_spool(std::uint64_t bytes_max = 1 << 20) {
    return std::move(Spool::open({directory_.path() + "/spool", bytes_max, HostId("h1")})).value();
  }
  void push(Backlog& backlog, std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t sequence = from; sequence <= to; ++sequence) {
      backlog.push(std::make_shared<const Sample>(make_sample(catalog_, sequence, random_)), now_);
    }
  }
  /// Sends all that is to be sent. Returns: the sequences.
  std::vector<std::uint64_t> send_all(Backlog& backlog) {
    std::vector<std::uint64_t> sequences;
    while (const auto sample = backlog.next()) {
      sequences.push_back(sample->frame.sequence);
      backlog.advance();
    }
    return sequences;
  }
  static std::vector<std::uint64_t> range(std::uint64_t from, std::uint64_t to) {
    std::vector<std::uint64_t> numbers;
    for (std::uint64_t n = from; n <= to; ++n) numbers.push_back(n);
    return numbers;
  }

  TemporaryDirectory directory_;
  std::mt19937_64 random_{3};
  SteadyTime now_{1h};
  std::shared_ptr<const Catalog> catalog_ = make_catalog("h1", 1, 1, 1);
};

TEST_F(BacklogTest, WhatIsAcknowledgedInTimeNeverSeesTheDisk) {
  Backlog backlog({}, open_spool());
  for (std::uint64_t sequence = 1; sequence <= 20; ++sequence) {
    push(backlog, sequence, sequence);
    EXPECT_EQ(send_all(backlog), range(sequence, sequence));
    now_ += 1s;
    EXPECT_TRUE(backlog.acknowledge(1, sequence));
    backlog.spool_aged(now_);
  }
  EXPECT_EQ(backlog.size(), 0u);
  EXPECT_EQ(backlog.spool_bytes(), 0u);
}

TEST_F(BacklogTest, WhileTheDiskTakesNothingMemoryIsBoundedInBytes) {
  const std::size_t frame_bytes = 9 * catalog_->series.size();
  Backlog backlog({.spool_after = 1h, .memory_bytes_max = 5 * frame_bytes}, open_spool());
  std::filesystem::remove_all(directory_.path() + "/spool");
  push(backlog, 1, 3);
  EXPECT_EQ(send_all(backlog), range(1, 3));
  push(backlog, 4, 10);
  EXPECT_EQ(backlog.size(), 4u);
  EXPECT_EQ(backlog.dropped_count(), 6u);
  EXPECT_EQ(send_all(backlog), range(7, 10));
}

TEST_F(BacklogTest, TheOldGoesToDiskAndOrderIsKept) {
  Backlog backlog({}, open_spool());
  push(backlog, 1, 5);
  EXPECT_EQ(send_all(backlog), range(1, 5));
  now_ += 3s;
  backlog.spool_aged(now_);
  push(backlog, 6, 8);
  EXPECT_GT(backlog.spool_bytes(), 0u);
  EXPECT_EQ(send_all(backlog), range(6, 8));  // the cursor moved with the frames
  backlog.rewind();
  EXPECT_EQ(send_all(backlog), range(1, 8));
  EXPECT_TRUE(backlog.acknowledge(1, 3));
  EXPECT_FALSE(backlog.acknowledge(1, 3));  // no news
  backlog.rewind();
  EXPECT_EQ(send_all(backlog), range(4, 8));
  EXPECT_TRUE(backlog.acknowledge(1, 8));
  EXPECT_EQ(backlog.size(), 0u);
  EXPECT_EQ(backlog.sent(), 0u);
}

TEST_F(BacklogTest, TheNextProcessSendsWhatThisOneLeft) {
  {
    Backlog backlog({}, open_spool());
    push(backlog, 1, 5);
    backlog.spool_all();
  }
  Backlog backlog({}, open_spool());
  catalog_ = make_catalog("h1", 2, 1, 1);
  push(backlog, 1, 2);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> sent;
  while (const auto sample = backlog.next()) {
    sent.emplace_back(sample->frame.boot_id, sample->frame.sequence);
    backlog.advance();
  }
  const std::vector<std::pair<std::uint64_t, std::uint64_t>> wanted = {{1, 1}, {1, 2}, {1, 3}, {1, 4},
                                                                       {1, 5}, {2, 1}, {2, 2}};
  EXPECT_EQ(sent, wanted);
  EXPECT_TRUE(backlog.acknowledge(2, 2));  // says nothing of the former boot
  EXPECT_EQ(backlog.size(), 7u);
  backlog.rewind();
  EXPECT_EQ(send_all(backlog), range(1, 5));
  EXPECT_TRUE(backlog.acknowledge(1, 5));
  EXPECT_EQ(backlog.size(), 0u);
}

TEST_F(BacklogTest, AFullSpoolDropsTheOldestAndCounts) {
  Backlog backlog({}, open_spool(32 << 10));
  for (std::uint64_t sequence = 1; sequence <= 1000; ++sequence) {
    push(backlog, sequence, sequence);
    now_ += 1s;
    backlog.spool_aged(now_);
  }
  const std::uint64_t dropped = backlog.dropped_count();
  EXPECT_GT(dropped, 0u);
  EXPECT_EQ(backlog.size() + dropped, 1000u);
  EXPECT_EQ(send_all(backlog), range(dropped + 1, 1000));
}

TEST_F(BacklogTest, WithoutADiskMemoryIsTheBound) {
  auto spool = open_spool();
  std::filesystem::remove_all(directory_.path() + "/spool");  // no file can be made any more
  Backlog backlog({.spool_after = 2s, .memory_frames_max = 10}, std::move(spool));
  push(backlog, 1, 4);
  EXPECT_EQ(send_all(backlog), range(1, 4));
  push(backlog, 5, 25);
  EXPECT_EQ(backlog.size(), 10u);
  EXPECT_EQ(backlog.dropped_count(), 15u);
  EXPECT_EQ(backlog.sent(), 0u);
  EXPECT_EQ(send_all(backlog), range(16, 25));
}

TEST_F(BacklogTest, AFrameThatTheDiskDoesNotGiveBackIsPassedOver) {
  Backlog backlog({}, open_spool());
  push(backlog, 1, 200);
  now_ += 3s;
  backlog.spool_aged(now_);
  for (const auto& entry : std::filesystem::directory_iterator(directory_.path() + "/spool")) {
    if (entry.path().extension() != ".spool") continue;
    std::filesystem::resize_file(entry.path(), std::filesystem::file_size(entry.path()) / 2);
  }
  const auto sent = send_all(backlog);
  ASSERT_FALSE(sent.empty());
  EXPECT_LT(sent.size(), 200u);
  EXPECT_EQ(sent.front(), 1u);
  EXPECT_TRUE(std::is_sorted(sent.begin(), sent.end())) << "the spool may have several files, each cut in half";
  EXPECT_EQ(backlog.dropped_count(), 200 - sent.size());
  EXPECT_TRUE(backlog.acknowledge(1, sent.back()));
  EXPECT_EQ(backlog.size(), 0u);
}

}  // namespace
}  // namespace proteus::publish
