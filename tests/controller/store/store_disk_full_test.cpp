#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "controller/store/rocks_store.h"
#include "controller/store/series_reader.h"
#include "controller/store/store.h"
#include "tests/controller/store/series_feed.h"
#include "tests/temporary_directory.h"

namespace proteus::store {
namespace {

const Timestamp kStart = from_unix_ns(1'700'000'000'000'000'000);

/// A small disk of its own in a mount namespace that ends with the process. Made before RocksDB starts its threads,
/// which would stay in the namespace that they were born in; hence a program of its own.
class StoreDiskFull : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_.emplace();
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("proteus", directory_->path().c_str(), "tmpfs", 0, "size=160m") != 0) {
      why_not_ = std::string("cannot mount a small disk: ") + std::strerror(errno);
    }
  }
  static void TearDownTestSuite() {
    if (why_not_.empty()) umount2(directory_->path().c_str(), MNT_DETACH);
    directory_.reset();
  }
  void SetUp() override {
    if (!why_not_.empty()) GTEST_SKIP() << why_not_;
  }

  /// Takes what space there is. RocksDB's threads may give some back at any time.
  static void fill() {
    const int file = open(ballast().c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    ASSERT_GE(file, 0);
    const std::string block(4096, 'x');
    while (write(file, block.data(), block.size()) > 0) {
    }
    EXPECT_EQ(errno, ENOSPC);
    close(file);
  }
  static std::string ballast() { return *directory_ / "ballast"; }

  static std::optional<TemporaryDirectory> directory_;
  static std::string why_not_;
};

std::optional<TemporaryDirectory> StoreDiskFull::directory_;
std::string StoreDiskFull::why_not_;

std::vector<std::uint64_t> sequences(const Store& store) {
  std::vector<std::uint64_t> found;
  std::uint64_t previous_lsn = 0;
  const Status status = store.scan(Timestamp::min(), Timestamp::max(),
                                   {.raw =
                                        [&](const RawMessage& m) {
                                          EXPECT_GT(m.lsn, previous_lsn);
                                          previous_lsn = m.lsn;
                                          found.push_back(m.sequence);
                                          return true;
                                        },
                                    .journal = nullptr});
  EXPECT_TRUE(status) << status.error().message;
  return found;
}

class StoreDiskFullAt : public StoreDiskFull, public testing::WithParamInterface<std::uint64_t> {};

// With a reserve, and without: then RocksDB itself runs into the full disk, in the middle of whatever it is writing.
TEST_P(StoreDiskFullAt, RefusesTakesNothingAndGoesOnWhenThereIsSpace) {
  StoreOptions options{.directory = *directory_ / std::to_string(GetParam())};
  options.reserve_bytes = GetParam();
  auto opened = Store::open(options);
  ASSERT_TRUE(opened) << opened.error().message;
  std::unique_ptr<Store> store = std::move(*opened);
  std::mt19937_64 random(1);
  std::vector<std::uint64_t> taken;
  std::uint64_t sequence = 0;
  const auto append_ten = [&]() -> Status {
    std::vector<RawMessage> messages;
    for (int i = 0; i < 10; ++i) {
      std::string bytes(2000, ' ');
      for (char& c : bytes) c = static_cast<char>(random());
      messages.push_back({.received = kStart,
                          .host = HostId("h1"),
                          .boot_id = 1,
                          .sequence = ++sequence,
                          .catalog_version = 1,
                          .base_sequence = 0,
                          .bytes = std::move(bytes)});
    }
    Status status = store->append(messages);
    for (const RawMessage& m : messages) {
      EXPECT_EQ(m.lsn != 0, status.has_value());
      if (status) taken.push_back(m.sequence);
    }
    return status;
  };

  // Without a reserve RocksDB may find out only now, or some appends later, that a write of its own has failed.
  const auto append_once_it_recovers = [&]() -> Status {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    Status status = append_ten();
    while (!status && GetParam() == 0 && std::chrono::steady_clock::now() < deadline) status = append_ten();
    return status;
  };

  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 20; ++i) {
      const Status status = append_once_it_recovers();
      ASSERT_TRUE(status) << status.error().message;
    }
    int refused = 0;
    for (int i = 0; i < 1000 && refused < 5; ++i) {
      fill();
      const Status status = append_ten();
      if (status) continue;
      ++refused;
      EXPECT_EQ(status.error().code, ErrorCode::kUnavailable);
      EXPECT_NE(status.error().message.find("disk full"), std::string::npos) << status.error().message;
    }
    ASSERT_EQ(refused, 5) << "the disk never filled";
    EXPECT_EQ(sequences(*store), taken) << "round " << round;

    std::filesystem::remove(ballast());
    const Status status = append_once_it_recovers();
    ASSERT_TRUE(status) << status.error().message;
    EXPECT_EQ(sequences(*store), taken) << "round " << round;
    EXPECT_EQ(store->figures().raw_messages, taken.size());
  }
  store.reset();
  auto reopened = Store::open(options);
  ASSERT_TRUE(reopened) << reopened.error().message;
  EXPECT_EQ(sequences(**reopened), taken);
  EXPECT_EQ(*(*reopened)->last_sequence(HostId("h1"), 1), sequence);
  reopened->reset();
  std::filesystem::remove_all(options.directory);
}
INSTANTIATE_TEST_SUITE_P(Reserve, StoreDiskFullAt, testing::Values(0u, 16u << 20));

// Pages of what was taken before the disk filled are written once there is room, and hold each tick once.
TEST_F(StoreDiskFull, PagesGoOnWhereTheyStopped) {
  StoreOptions options{.directory = *directory_ / "series"};
  options.reserve_bytes = 8u << 20;
  auto opened = RocksStore::open(options);
  ASSERT_TRUE(opened) << opened.error().message;
  std::unique_ptr<RocksStore> store = std::move(*opened);
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", "00000000-0000-4000-8000-000000000001"), {{0, Kpi::kEmulatorTimeNs, 0}}}});
  std::vector<std::int64_t> taken;
  std::int64_t tick = 0;
  const auto append = [&]() -> Status {
    ++tick;
    std::vector<RawMessage> messages = feed.tick(kStart + std::chrono::seconds(tick), {tick * 1000});
    Status status = store->append(messages);
    if (status) {
      taken.push_back(tick * 1000);
    } else {
      feed.begin_stream();  // as an agent whose frames were not taken does
    }
    return status;
  };
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 500; ++i) ASSERT_TRUE(append());
    fill();
    EXPECT_FALSE(append());
    (void)store->write_pages();  // may find that there is nothing to write, or no room
    EXPECT_FALSE(append());
    std::filesystem::remove(ballast());
    ASSERT_TRUE(append());
    const Status written = store->write_pages();
    ASSERT_TRUE(written) << written.error().message;
    EXPECT_TRUE(store->figures().series_problem.empty());
  }
  std::vector<std::int64_t> values;
  SeriesSelector selector;
  selector.kpi = Kpi::kEmulatorTimeNs;
  ASSERT_TRUE(store->series()->read_samples(selector, to_us(kStart), to_us(kStart) + 24 * kHourUs,
                                            [&](const SeriesReader::HostSamples& host) {
                                              for (const auto& [key, series] : host.series) values = series.values;
                                              return true;
                                            }));
  EXPECT_EQ(values, taken);
  EXPECT_GE(store->pages().counters().pages, 3u) << "each round has written some";
  store.reset();
  std::filesystem::remove_all(options.directory);
}

// What has passed its retention is what makes room.
TEST_F(StoreDiskFull, WhatIsOldLeavesAFullDisk) {
  StoreOptions options{.directory = *directory_ / "old"};
  options.reserve_bytes = 24u << 20;
  options.raw_retention = options.page_retention = std::chrono::hours(1);
  auto opened = RocksStore::open(options);
  ASSERT_TRUE(opened) << opened.error().message;
  std::unique_ptr<RocksStore> store = std::move(*opened);
  std::mt19937_64 random(1);
  const auto append = [&](std::uint64_t sequence, Timestamp at) {
    std::string bytes(200'000, ' ');
    for (char& c : bytes) c = static_cast<char>(random());
    std::vector<RawMessage> messages{{.received = at,
                                      .host = HostId("h1"),
                                      .boot_id = 1,
                                      .sequence = sequence,
                                      .catalog_version = 1,
                                      .base_sequence = 0,
                                      .bytes = std::move(bytes)}};
    return store->append(messages);
  };
  std::uint64_t count = 0;
  Status status;
  while (count < 2000 && (status = append(count + 1, kStart))) ++count;
  ASSERT_FALSE(status) << "the disk never filled";
  ASSERT_GT(count, 100u);
  const auto free_bytes = [&] { return std::filesystem::space(options.directory).available; };
  ASSERT_LT(free_bytes(), options.reserve_bytes);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  do {
    status = store->expire(kStart + std::chrono::hours(3));
    if (status) status = append(count + 1, kStart + std::chrono::hours(3));
  } while (!status && std::chrono::steady_clock::now() < deadline);  // some of it is in memory and in the log
  EXPECT_TRUE(status) << status.error().message;
  EXPECT_GT(free_bytes(), options.reserve_bytes);
  EXPECT_EQ(store->figures().raw_messages, 1u);
  store.reset();
  std::filesystem::remove_all(options.directory);
}

// Whoever reads for long would keep a stopped database from being opened again.
TEST_F(StoreDiskFull, AScanLetsGoWhenTheStoreIsToBeOpenedAgain) {
  StoreOptions options{.directory = *directory_ / "read"};
  options.reserve_bytes = 0;
  auto opened = Store::open(options);
  ASSERT_TRUE(opened) << opened.error().message;
  std::unique_ptr<Store> store = std::move(*opened);
  std::uint64_t sequence = 0;
  const auto append = [&]() -> Status {
    std::vector<RawMessage> messages{{.received = kStart,
                                      .host = HostId("h1"),
                                      .boot_id = 1,
                                      .sequence = ++sequence,
                                      .catalog_version = 1,
                                      .base_sequence = 0,
                                      .bytes = std::string(20'000, 'x')}};
    return store->append(messages);
  };
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(append());
  int seen = 0;
  Status refused;
  const Status scanned = store->scan(Timestamp::min(), Timestamp::max(),
                                     {.raw =
                                          [&](const RawMessage&) {
                                            if (++seen > 1) return true;
                                            for (int i = 0; i < 1000 && (refused = append()); ++i) fill();
                                            std::filesystem::remove(ballast());
                                            EXPECT_FALSE(append()) << "it is being read";
                                            fill();
                                            EXPECT_FALSE(append()) << "full again";
                                            EXPECT_TRUE(store->first_started()) << "it answers for as long";
                                            std::filesystem::remove(ballast());
                                            EXPECT_FALSE(append());
                                            return true;
                                          },
                                      .journal = nullptr});
  EXPECT_FALSE(refused) << "the disk never filled";
  ASSERT_FALSE(scanned);
  EXPECT_EQ(scanned.error().code, ErrorCode::kUnavailable);
  EXPECT_LT(seen, 50);
  EXPECT_TRUE(append());
  store.reset();
  std::filesystem::remove_all(options.directory);
}

}  // namespace
}  // namespace proteus::store
