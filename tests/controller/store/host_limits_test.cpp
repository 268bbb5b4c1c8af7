// What a host can make the store remember, and that nothing it says ends the program.

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <set>

#include "controller/store/rocks_store.h"
#include "tests/controller/store/series_feed.h"
#include "tests/temporary_directory.h"

namespace proteus::store {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

const Timestamp kStart = from_unix_ns(1'700'000'400'000'000'000);  // 2023-11-14 22:20:00
const HostId kHost("h1");
constexpr std::size_t kEntitiesBytes = 100'000;

class HostLimits : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    store_.reset();
    auto opened = RocksStore::open({.directory = directory_ / "store", .host_entities_bytes_max = kEntitiesBytes});
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
  }
  void append(std::vector<RawMessage> messages) {
    std::move(messages.begin(), messages.end(), std::back_inserter(unwritten_));
    if (unwritten_.size() >= 5000) flush();
  }
  void flush() {
    ASSERT_TRUE(store_->append(unwritten_));
    unwritten_.clear();
    ASSERT_TRUE(store_->write_pages());
  }
  /// One tick of a hundred VMs with these names, each with one series.
  void tick_of_vms(int first, Timestamp time) {
    std::vector<std::pair<Entity, std::vector<Series>>> entities;
    for (int i = first; i < first + 100; ++i) {
      entities.emplace_back(vm_entity(name_of(i), fmt::format("0f0e7a52-93b1-4c7c-8a55-{:012}", i)),
                            std::vector<Series>{{0, Kpi::kEmulatorTimeNs, 0}});
    }
    feed_.set_entities(std::move(entities));
    append(feed_.tick(time, std::vector<std::optional<std::int64_t>>(100, 1)));
    flush();
  }
  static std::string name_of(int vm) { return fmt::format("vm{}", vm); }
  bool knows(int vm) const {
    SeriesSelector selector;
    selector.vms = {name_of(vm)};
    return !store_->pages().select(kHost, selector).empty();
  }
  std::size_t known_count() const { return store_->pages().select(kHost, {}).size(); }
  std::size_t samples_count(const std::string& vm) const {
    SeriesSelector selector;
    selector.kpi = Kpi::kEmulatorTimeNs;
    if (!vm.empty()) selector.vms = {vm};
    std::size_t count = 0;
    const Status read = store_->series()->read_samples(selector, 0, to_us(kStart + hours(24 * 100)),
                                                       [&](const SeriesReader::HostSamples& host) {
                                                         for (const auto& one : host.series) {
                                                           count += one.second.values.size();
                                                         }
                                                         return true;
                                                       });
    EXPECT_TRUE(read) << read.error().message;
    return count;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<RocksStore> store_;
  std::vector<RawMessage> unwritten_;
  SeriesFeed feed_{"h1"};
};

TEST_F(HostLimits, OfEverNewVmsTheOldestAreForgottenBeforeTheirTime) {
  for (int day = 0; day < 20; ++day) tick_of_vms(100 * day, kStart + hours(24 * day));
  EXPECT_LE(known_count(), kEntitiesBytes / 200);
  EXPECT_FALSE(knows(0));
  EXPECT_TRUE(knows(1999)) << "the newest are there";
  EXPECT_TRUE(knows(1850));
  const Store::Figures figures = store_->figures();
  EXPECT_GE(figures.entities_forgotten_early, 1000u);
  EXPECT_EQ(figures.frames_not_placed, 0u);
  // And they have left the disk.
  ASSERT_TRUE(store_->expire(kStart + hours(24 * 19) + minutes(20)));  // it is idle: what waits is sealed
  const std::size_t known = known_count();
  open();
  EXPECT_EQ(known_count(), known);
  EXPECT_FALSE(knows(0));
  EXPECT_TRUE(knows(1999));
  EXPECT_EQ(samples_count("vm1999"), 1u);
}

TEST_F(HostLimits, WhatWasSeenTodayIsNotForgottenAndMoreFindsNoRoom) {
  tick_of_vms(0, kStart - hours(24));
  for (int i = 1; i < 20; ++i) tick_of_vms(100 * i, kStart + seconds(i));
  EXPECT_FALSE(knows(0)) << "it was not seen today";
  EXPECT_TRUE(knows(100));
  EXPECT_FALSE(knows(1999));
  EXPECT_LE(known_count(), kEntitiesBytes / 200);
  EXPECT_GT(store_->figures().frames_not_placed, 10u);
  EXPECT_EQ(store_->figures().raw_messages, 40u) << "the telemetry itself is there";
  // Those that are known go on, and tomorrow there is room again.
  tick_of_vms(100, kStart + seconds(30));
  EXPECT_EQ(samples_count("vm100"), 2u);
  ASSERT_TRUE(store_->expire(kStart + hours(24)));  // it is idle: what waits is sealed
  tick_of_vms(3000, kStart + hours(24));
  EXPECT_TRUE(knows(3000));
}

TEST_F(HostLimits, AHostThatWasFullByAClockFarAheadHasRoomOnceItIsRight) {
  for (int i = 0; i < 20; ++i) tick_of_vms(100 * i, kStart + hours(24 * 365) + seconds(i));
  ASSERT_FALSE(knows(1999));
  ASSERT_TRUE(store_->expire(kStart));
  const auto not_placed = store_->figures().frames_not_placed;
  tick_of_vms(3000, kStart + hours(24));
  EXPECT_TRUE(knows(3000));
  EXPECT_EQ(store_->figures().frames_not_placed, not_placed);
}

TEST_F(HostLimits, ACatalogThatFoundNoRoomHasItTomorrow) {
  tick_of_vms(0, kStart);
  for (int i = 1; i < 6; ++i) tick_of_vms(100 * i, kStart + seconds(i));
  ASSERT_FALSE(knows(500));
  const auto go_on = [&](Timestamp time) {
    append(feed_.tick(time, std::vector<std::optional<std::int64_t>>(100, 1)));
    flush();
  };
  const auto looked_for = store_->pages().counters().catalogs;
  for (int i = 6; i < 100; ++i) go_on(kStart + seconds(i));
  EXPECT_FALSE(knows(500));
  EXPECT_EQ(store_->pages().counters().catalogs, looked_for) << "room is not looked for at each tick";
  ASSERT_TRUE(store_->expire(kStart + hours(24)));  // it is idle: what waits is sealed
  go_on(kStart + hours(24));
  EXPECT_TRUE(knows(500));
}

TEST_F(HostLimits, TicksCloserToEachOtherThanAnyAgentTicksAreKept) {
  feed_.set_entities({{vm_entity("web1", "11111111-1111-4111-8111-111111111111"), {{0, Kpi::kEmulatorTimeNs, 0}}}});
  constexpr std::size_t kTicks = 70'000;  // more than a page has
  for (std::size_t i = 0; i < kTicks; ++i) {
    append(feed_.tick(kStart + milliseconds(i), {static_cast<std::int64_t>(1000 * i)}));
  }
  append(feed_.tick(kStart + minutes(30), {0}));  // their window has ended
  flush();
  EXPECT_EQ(samples_count("web1"), kTicks + 1);
}

TEST_F(HostLimits, TwoEntitiesThatNothingTellsApartAreOne) {
  const std::string uuid = "11111111-1111-4111-8111-111111111111";
  feed_.set_entities({{vm_entity("web1", uuid), {{0, Kpi::kEmulatorTimeNs, 0}}},
                      {vm_entity("web2", uuid), {{0, Kpi::kEmulatorTimeNs, 0}}}});
  for (int i = 0; i < 10; ++i) append(feed_.tick(kStart + seconds(i), {1000, 2000}));
  flush();
  ASSERT_TRUE(store_->expire(kStart + hours(1)));  // it is idle: what waits is sealed
  EXPECT_EQ(samples_count(""), 10u);
}

}  // namespace
}  // namespace proteus::store
