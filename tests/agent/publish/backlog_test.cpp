#include "agent/publish/backlog.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>

#include "tests/common/wire/telemetry_samples.h"
#include "tests/temporary_directory.h"

namespace proteus::publish {
namespace {

using namespace std::chrono_literals;

/// Stands in for a disk that fails: whoever has `file` open reads and writes `other` until back() is called.
class Diverted {
 public:
  Diverted(const std::filesystem::path& file, const char* other, int flags) {
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code ignored;
      if (std::filesystem::equivalent(entry.path(), file, ignored)) descriptor_ = std::stoi(entry.path().filename());
    }
    EXPECT_GE(descriptor_, 0) << file << " is not open";
    saved_ = ::dup(descriptor_);
    const int opened = ::open(other, flags);
    EXPECT_EQ(::dup2(opened, descriptor_), descriptor_) << other;
    ::close(opened);
  }
  ~Diverted() { ::close(saved_); }
  Diverted(const Diverted&) = delete;
  Diverted& operator=(const Diverted&) = delete;

  /// Precondition: who had it open still has.
  void back() { EXPECT_EQ(::dup2(saved_, descriptor_), descriptor_); }

 private:
  int descriptor_ = -1;
  int saved_ = -1;
};

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
  /// Sends all that is to be sent, where some of it cannot be read.
  std::vector<std::uint64_t> send_what_can_be_read(Backlog& backlog) {
    std::vector<std::uint64_t> sequences;
    for (int i = 0; i < 100 && backlog.sent() < backlog.size(); ++i) {
      const auto more = send_all(backlog);
      sequences.insert(sequences.end(), more.begin(), more.end());
    }
    return sequences;
  }
  /// The spool's files, oldest first.
  std::vector<std::filesystem::path> files() const {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path() + "/spool")) {
      if (entry.path().extension() == ".spool") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
  }
  /// What a process before this one left: these frames, in a file of their own. Returns: how large the spool then is.
  std::uint64_t leave(std::uint64_t from, std::uint64_t to) {
    Backlog backlog({}, open_spool());
    push(backlog, from, to);
    backlog.spool_all();
    return backlog.spool_bytes();
  }
  static std::vector<std::uint64_t> join(std::vector<std::uint64_t> front, const std::vector<std::uint64_t>& back) {
    front.insert(front.end(), back.begin(), back.end());
    return front;
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
  for (const auto& file : files()) std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
  const auto sent = send_what_can_be_read(backlog);
  ASSERT_FALSE(sent.empty());
  EXPECT_LT(sent.size(), 200u);
  EXPECT_EQ(sent.front(), 1u);
  EXPECT_TRUE(std::is_sorted(sent.begin(), sent.end())) << "the spool may have several files, each cut in half";
  EXPECT_EQ(backlog.dropped_count(), 200 - sent.size());
  EXPECT_TRUE(backlog.acknowledge(1, sent.back()));
  EXPECT_EQ(backlog.size(), 0u);
}

// Each frame for which memory had no room took a file of the spool with it, until nothing was left to be sent.
TEST_F(BacklogTest, ADiskThatTakesNothingMoreKeepsWhatItHolds) {
  leave(1, 10);
  leave(11, 20);
  Backlog backlog({.spool_after = 1h, .memory_frames_max = 10}, open_spool());
  std::filesystem::remove_all(directory_.path() + "/spool");  // no file can be made any more, those open can be read
  push(backlog, 21, 40);
  EXPECT_EQ(backlog.dropped_count(), 10u);
  EXPECT_EQ(send_all(backlog), join(range(1, 20), range(31, 40)));
}

TEST_F(BacklogTest, AFullDiskThatGainsNothingByItLosesOneFileOfTheSpool) {
  leave(1, 10);
  leave(11, 20);
  Backlog backlog({.spool_after = 2s, .memory_frames_max = 5}, open_spool());
  push(backlog, 21, 22);
  now_ += 3s;
  backlog.spool_aged(now_);
  ASSERT_EQ(files().size(), 3u);
  Diverted disk(files().back(), "/dev/full", O_RDWR);
  push(backlog, 23, 40);
  disk.back();
  EXPECT_EQ(backlog.dropped_count(), 10u + 13u);
  EXPECT_EQ(send_all(backlog), join(range(11, 22), range(36, 40)));
  push(backlog, 41, 60);  // there is room again
  EXPECT_EQ(backlog.dropped_count(), 23u);
  backlog.rewind();
  EXPECT_EQ(send_all(backlog), join(range(11, 22), range(36, 60)));
}

TEST_F(BacklogTest, WhereTheDiskIsFullTheOldestMakesRoom) {
  Backlog backlog({.spool_after = 1h, .memory_frames_max = 5}, open_spool());
  push(backlog, 1, 10);
  ASSERT_EQ(files().size(), 1u);
  const Diverted disk(files().front(), "/dev/full", O_RDWR);
  push(backlog, 11, 11);
  EXPECT_EQ(backlog.dropped_count(), 5u);
  EXPECT_EQ(send_all(backlog), range(6, 11));
}

TEST_F(BacklogTest, WhatASmallerSpoolHasNoRoomForIsCounted) {
  std::uint64_t bytes = 0;
  for (const std::uint64_t first : {1, 21, 41, 61}) bytes = leave(first, first + 19);
  Backlog backlog({}, open_spool(bytes / 2));
  EXPECT_GT(backlog.dropped_count(), 0u);
  EXPECT_LT(backlog.dropped_count(), 80u);
  EXPECT_EQ(send_all(backlog), range(backlog.dropped_count() + 1, 80));
}

TEST_F(BacklogTest, WhatTheDiskDoesNotTakeAtTheEndIsCounted) {
  leave(1, 10);
  Backlog backlog({}, open_spool());
  std::filesystem::remove_all(directory_.path() + "/spool");
  catalog_ = make_catalog("h1", 2, 1, 1);
  push(backlog, 1, 7);
  EXPECT_TRUE(backlog.acknowledge(2, 3));
  backlog.spool_all();
  EXPECT_EQ(backlog.dropped_count(), 4u) << "three of them the controller has";
  EXPECT_EQ(backlog.size(), 10u);
  backlog.spool_all();
  EXPECT_EQ(backlog.dropped_count(), 4u);
}

TEST_F(BacklogTest, WhatTheDiskDoesNotGiveBackJustNowIsSentLater) {
  leave(1, 20);
  Backlog backlog({}, open_spool());
  Diverted disk(files().front(), "/", O_RDONLY);
  for (int i = 0; i < 29; ++i, now_ += 1s) {
    backlog.spool_aged(now_);
    EXPECT_EQ(backlog.next(), nullptr);
  }
  EXPECT_EQ(backlog.dropped_count(), 0u);
  disk.back();
  EXPECT_EQ(send_all(backlog), range(1, 20));
  EXPECT_EQ(backlog.dropped_count(), 0u);
}

TEST_F(BacklogTest, ADiskThatGivesNothingBackCostsTheFramesOfOneKeyframeAtATime) {
  Backlog backlog({}, open_spool(64 << 20));  // in one file
  push(backlog, 1, 3 * wire::kKeyframeInterval);
  now_ += 3s;
  backlog.spool_aged(now_);
  ASSERT_EQ(files().size(), 1u);
  Diverted disk(files().front(), "/", O_RDONLY);
  for (int i = 0; i < 31; ++i, now_ += 1s) {
    backlog.spool_aged(now_);
    EXPECT_EQ(backlog.next(), nullptr);
  }
  EXPECT_EQ(backlog.dropped_count(), wire::kKeyframeInterval);
  disk.back();
  EXPECT_EQ(send_all(backlog), range(wire::kKeyframeInterval + 1, 3 * wire::kKeyframeInterval));
  EXPECT_EQ(backlog.dropped_count(), wire::kKeyframeInterval);
}

}  // namespace
}  // namespace proteus::publish
