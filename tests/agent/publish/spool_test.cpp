#include "agent/publish/spool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>

#include "tests/common/wire/telemetry_samples.h"
#include "tests/temporary_directory.h"

namespace proteus::publish {
namespace {

class SpoolTest : public ::testing::Test {
 protected:
  std::unique_ptr<Spool> open(std::uint64_t bytes_max = 1 << 20, const std::string& host = "h1") {
    auto spool = Spool::open({path_, bytes_max, HostId(host)});
    EXPECT_TRUE(spool) << spool.error().message;
    return spool ? std::move(*spool) : nullptr;
  }
  void fill(Spool& spool, std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t sequence = from; sequence <= to; ++sequence) {
      samples_[sequence] = make_sample(catalog_, sequence, random_);
      ASSERT_TRUE(spool.append(samples_[sequence]));
    }
  }
  /// Reads every frame in order and compares it with what was put in.
  void expect_readable(Spool& spool) {
    for (std::size_t i = 0; i < spool.size(); ++i) {
      const auto sample = spool.read(i);
      ASSERT_TRUE(sample) << sample.error().message;
      EXPECT_EQ(sample->frame, samples_[spool.key(i).sequence].frame);
      EXPECT_EQ(sample->catalog->series, samples_[spool.key(i).sequence].catalog->series);
    }
  }
  std::vector<std::filesystem::path> files() const {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      if (entry.path().extension() == ".spool") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
  }

  /// Of the first file: a byte in the middle of a record, or so far from its beginning.
  void turn_byte_of_record(int record, std::optional<int> from_begin = {}) const {
    std::fstream file(files().at(0), std::ios::in | std::ios::out | std::ios::binary);
    std::streamoff begin = SpoolSegment::kHeadBytes + 12;
    std::uint32_t length = 0;
    for (int i = 0;; ++i) {
      file.seekg(begin - 12);
      ASSERT_TRUE(file.read(reinterpret_cast<char*>(&length), sizeof length));
      if (i == record) break;
      begin += length + 12;
    }
    const std::streamoff at = begin + from_begin.value_or(static_cast<int>(length / 2));
    file.seekg(at);
    const int byte = file.get();
    file.seekp(at);
    file.put(static_cast<char>(byte ^ 0x5a));
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.path() + "/spool";
  std::mt19937_64 random_{7};
  std::shared_ptr<const Catalog> catalog_ = make_catalog("h1", 1, 1, 2);
  std::map<std::uint64_t, Sample> samples_;
};

TEST_F(SpoolTest, FramesComeBackInAnyOrder) {
  const auto spool = open();
  fill(*spool, 1, 70);
  catalog_ = make_catalog("h1", 1, 2, 3);
  fill(*spool, 71, 150);
  ASSERT_EQ(spool->size(), 150u);
  expect_readable(*spool);
  for (int i = 0; i < 50; ++i) {
    const std::size_t index = random_() % spool->size();
    const auto sample = spool->read(index);
    ASSERT_TRUE(sample) << sample.error().message;
    EXPECT_EQ(sample->frame, samples_[index + 1].frame);
  }
  for (int i = 0; i < 100; ++i) spool->pop_front();
  EXPECT_EQ(spool->key(0).sequence, 101u);
  expect_readable(*spool);  // also where the keyframe was removed before
}

TEST_F(SpoolTest, ItOutlivesItsProcess) {
  fill(*open(), 1, 30);
  const auto spool = open();
  ASSERT_EQ(spool->size(), 30u);
  EXPECT_EQ(spool->key(0).boot_id, 1u);
  catalog_ = make_catalog("h1", 2, 1, 1);  // the next boot
  const auto before = samples_;
  fill(*spool, 1, 10);
  ASSERT_EQ(spool->size(), 40u);
  EXPECT_EQ(spool->key(39).boot_id, 2u);
  EXPECT_EQ(spool->read(39)->frame, samples_[10].frame);
  EXPECT_EQ(spool->read(5)->frame, before.at(6).frame);
}

TEST_F(SpoolTest, AFileGoesWhenAllItsFramesWent) {
  const auto spool = open();
  fill(*spool, 1, 10);
  ASSERT_EQ(files().size(), 1u);
  for (int i = 0; i < 10; ++i) spool->pop_front();
  EXPECT_TRUE(files().empty());
  EXPECT_LT(spool->bytes(), 100u);
  fill(*spool, 11, 12);
  EXPECT_EQ(spool->size(), 2u);
  expect_readable(*spool);
}

TEST_F(SpoolTest, ItIsBoundedAndDropsTheOldest) {
  constexpr std::uint64_t kBytesMax = 64 << 10;
  const auto spool = open(kBytesMax);
  std::size_t dropped = 0;
  constexpr std::uint64_t kFrames = 400;
  for (std::uint64_t sequence = 1; sequence <= kFrames; ++sequence) {
    samples_[sequence] = make_sample(catalog_, sequence, random_);
    const auto appended = spool->append(samples_[sequence]);
    ASSERT_TRUE(appended);
    dropped += *appended;
    ASSERT_LE(spool->bytes(), kBytesMax);
  }
  EXPECT_GT(dropped, 0u);
  EXPECT_EQ(spool->size() + dropped, kFrames);
  EXPECT_EQ(spool->key(spool->size() - 1).sequence, kFrames);
  EXPECT_EQ(spool->key(0).sequence, dropped + 1);
  expect_readable(*spool);
  std::uint64_t on_disk = 0;
  for (const auto& file : files()) on_disk += std::filesystem::file_size(file);
  EXPECT_EQ(on_disk, spool->bytes());
}

TEST_F(SpoolTest, ATailCutOffByACrashLosesOnlyTheLastFrames) {
  fill(*open(), 1, 20);
  const auto file = files().at(0);
  const auto whole = std::filesystem::file_size(file);
  std::size_t frames_before = 20;
  for (std::uintmax_t cut = 1; cut < whole / 4; cut += 371) {
    std::filesystem::resize_file(file, whole - cut);
    const auto spool = open();
    ASSERT_LE(spool->size(), frames_before);
    ASSERT_GT(spool->size(), 10u);
    frames_before = spool->size();
    EXPECT_TRUE(cut > 1 || spool->dropped_at_open() == 0) << "what a crash cuts off was never whole";
    expect_readable(*spool);
  }
  EXPECT_LT(frames_before, 20u);
}

constexpr std::uint64_t kOneFile = 1 << 30;  // a file takes an eighth

TEST_F(SpoolTest, DamageInTheMiddleLosesFramesUpToTheNextKeyframe) {
  fill(*open(kOneFile), 1, 1000);
  ASSERT_EQ(files().size(), 1u);
  turn_byte_of_record(100);  // frame 100, of which those up to the next keyframe need know
  const auto spool = open(kOneFile);
  EXPECT_EQ(spool->size(), 979u);
  EXPECT_EQ(spool->dropped_at_open(), 21u);
  EXPECT_EQ(spool->key(98).sequence, 99u);
  EXPECT_EQ(spool->key(99).sequence, 121u);
  expect_readable(*spool);
}

TEST_F(SpoolTest, WithoutItsCatalogNothingIsReadUpToTheNextOne) {
  fill(*open(kOneFile), 1, 70);
  turn_byte_of_record(0);
  EXPECT_EQ(open(kOneFile)->size(), 0u);
  EXPECT_TRUE(files().empty());

  const auto fill_two = [&] {
    const auto spool = open(kOneFile);
    catalog_ = make_catalog("h1", 1, 1, 2);
    fill(*spool, 1, 70);
    catalog_ = make_catalog("h1", 1, 2, 3);
    fill(*spool, 71, 150);
  };
  fill_two();
  turn_byte_of_record(0);
  {
    const auto spool = open(kOneFile);
    EXPECT_EQ(spool->size(), 80u);
    EXPECT_EQ(spool->dropped_at_open(), 71u) << "and it";
    expect_readable(*spool);
  }
  for (const auto& file : files()) std::filesystem::remove(file);
  fill_two();
  turn_byte_of_record(71);  // the second catalog
  const auto spool = open(kOneFile);
  EXPECT_EQ(spool->size(), 70u);
  EXPECT_EQ(spool->dropped_at_open(), 81u);
  expect_readable(*spool);
}

TEST_F(SpoolTest, WhatDamageLeavesNoWayBehindIsCutOffAndCounted) {
  fill(*open(kOneFile), 1, 20);
  turn_byte_of_record(10, -12);  // its length
  {
    const auto spool = open(kOneFile);
    EXPECT_EQ(spool->size(), 9u);
    EXPECT_GE(spool->dropped_at_open(), 1u);
    expect_readable(*spool);
  }
  EXPECT_EQ(open(kOneFile)->dropped_at_open(), 0u) << "it is gone";
}

TEST_F(SpoolTest, WhatIsNoSpoolOrOfAnotherHostIsDeleted) {
  fill(*open(), 1, 5);
  std::ofstream(path_ + "/00000000000000ff.spool") << "nonsense";
  EXPECT_EQ(open()->size(), 5u);
  EXPECT_EQ(files().size(), 1u);
  EXPECT_EQ(open(1 << 20, "h2")->size(), 0u);
  EXPECT_TRUE(files().empty());
}

TEST_F(SpoolTest, WhatIsDeletedAtTheStartIsCounted) {
  fill(*open(), 1, 5);
  std::ofstream(path_ + "/00000000000000ff.spool") << "nonsense of some length";
  EXPECT_EQ(open()->dropped_at_open(), 1u) << "one at least, nobody knows how many";
  for (const char* begun : {"", "PRTSPL01"}) {  // by an agent that was killed
    std::ofstream(path_ + "/00000000000000ff.spool") << begun;
    EXPECT_EQ(open()->dropped_at_open(), 0u);
  }
  EXPECT_EQ(open(1 << 20, "h2")->dropped_at_open(), 5u);
}

TEST_F(SpoolTest, TwoAgentsDoNotShareOne) {
  const auto spool = open();
  const auto second = Spool::open({path_, 1 << 20, HostId("h1")});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
}

TEST_F(SpoolTest, AFullDiskTakesNothingAndLosesNothing) {
  // A limit on file size stands for the full disk: both make a write fall short.
  const auto spool = open();
  fill(*spool, 1, 5);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit full{std::filesystem::file_size(files().at(0)) + 10, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
  const auto refused = spool->append(make_sample(catalog_, 6, random_));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(spool->size(), 5u);
  fill(*spool, 7, 9);
  EXPECT_EQ(spool->size(), 8u);
  expect_readable(*spool);
}

}  // namespace
}  // namespace proteus::publish
