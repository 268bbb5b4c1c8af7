#include <fmt/core.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/controller/store/series_store_fixture.h"

namespace proteus::store {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

TEST_F(SeriesStore, WhatWasMeasuredIsThereOnceWhereverItIs) {
  for (const Kpi kpi : {Kpi::kMemoryResidentBytes, Kpi::kEmulatorTimeNs}) {
    SeriesFeed feed("h1", static_cast<std::uint64_t>(kpi));
    std::mt19937_64 random(1);
    // Read in the midst: some in joined pages, some in chunks, some in the head.
    const Samples expected = play(
        feed, 2000, random, [&](std::vector<RawMessage> messages) { append(std::move(messages)); }, kpi);
    flush();
    ASSERT_TRUE(store_->write_pages());
    EXPECT_EQ(samples(kpi), expected);
    EXPECT_GT(store_->pages().counters().pages, 10u);
    // Again from the disk: what was in memory is read from the raw telemetry.
    open();
    ASSERT_TRUE(store_->write_pages());
    EXPECT_EQ(samples(kpi), expected);
    // And when everything has been put away.
    ASSERT_TRUE(store_->expire(kStart + hours(2)));
    EXPECT_EQ(samples(kpi), expected);
    EXPECT_FALSE(store_->pages().oldest_in_head());
    store_.reset();
    std::filesystem::remove_all(directory_ / "store");
    open();
  }
}

/// A window of which there is no end: 136 chunks of 640 ticks, a tick each millisecond.
TEST_F(SeriesStore, ChunksOfAWindowAreJoinedBeforeTheyAreTooMany) {
  constexpr int kTicks = 136 * 640 + 1;
  SeriesFeed feed("h1");
  feed.set_entities({{Entity{}, {{0, Kpi::kHostCpuTimeNs, 0}}}});
  for (int i = 0; i < kTicks; ++i) append(feed.tick(kStart + std::chrono::milliseconds(i), {i * 1000}));
  flush();
  ASSERT_TRUE(store_->write_pages());
  store_.reset();
  {
    auto db = RocksDb::open({.directory = directory_ / "store"});
    ASSERT_TRUE(db);
    const auto stored = (*db)->get(Family::kMeta, keys::progress_key(kHost));
    ASSERT_TRUE(stored && *stored);
    const auto progress = keys::parse_progress(**stored);
    ASSERT_TRUE(progress) << progress.error().message;
    EXPECT_LT(progress->chunks.size(), 20u);
  }
  open();
  ASSERT_TRUE(store_->write_pages());
  const Samples found = samples(Kpi::kHostCpuTimeNs);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found.begin()->second.size(), static_cast<std::size_t>(kTicks));
}

/// Three ticks of a million series with values that differ widely are more than a page may have.
TEST_F(SeriesStore, APageThatWouldBeTooLargeIsMadeOfFewerTicks) {
  constexpr std::size_t kVcpus = 32'768;
  std::vector<std::pair<Entity, std::vector<Series>>> entities = {{vm_entity("web1", kWeb), {}}};
  std::vector<Series> buckets;
  for (int bucket = 0; bucket < kHistogramBucketCount; ++bucket) {
    buckets.push_back({0, Kpi::kHaltWaitNs, static_cast<std::uint8_t>(bucket)});
  }
  for (std::size_t i = 0; i < kVcpus; ++i) {
    entities.emplace_back(Entity{EntityKind::kVcpu, 1, std::to_string(i), "", {}}, buckets);
  }
  const std::size_t count = kVcpus * kHistogramBucketCount;
  SeriesFeed feed("h1");
  feed.set_entities(std::move(entities));
  std::mt19937_64 random(7);
  std::vector<std::optional<std::int64_t>> values(count);
  for (const int bits : {38, 61, 62}) {  // of 6, 9 and 10 bytes
    for (auto& value : values) {
      const auto least = std::int64_t{1} << (bits - 1);
      value = least + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(least));
      if (bits == 62) value = -*value;
    }
    append(feed.tick(kStart + std::chrono::seconds(bits), values));
  }
  const std::int64_t last_value = *values.back();
  append(feed.tick(kStart + std::chrono::minutes(30), values));
  flush();
  ASSERT_TRUE(store_->write_pages());
  SeriesSelector selector;
  selector.kpi = Kpi::kHaltWaitNs;
  selector.entity = std::to_string(kVcpus - 1);
  std::size_t found = 0;
  const Status read = store_->series()->read_samples(selector, to_us(kStart), to_us(kStart + std::chrono::hours(1)),
                                                     [&](const SeriesReader::HostSamples& host) {
                                                       for (const auto& [key, series] : host.series) {
                                                         found += series.values.size();
                                                         if (key.bucket + 1 == kHistogramBucketCount) {
                                                           EXPECT_EQ(series.values.back(), last_value);
                                                         }
                                                       }
                                                       return true;
                                                     });
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(found, std::size_t{4 * kHistogramBucketCount});
}

/// Frames of several catalogs in turns, as of two agents.
TEST_F(SeriesStore, CatalogsThatTakeTurnsArePlacedOnce) {
  SeriesFeed one("h1", 1);
  SeriesFeed other("h1", 2);
  one.set_entities({{vm_entity("web1", kWeb), vm_series()}});
  other.set_entities({{vm_entity("db1", kDb), vm_series()}, {vm_entity("web1", kWeb), vm_series()}});
  const auto before = store_->pages().counters().catalogs;
  for (int i = 0; i < 200; ++i) {
    append(one.tick(kStart + std::chrono::seconds(2 * i), {4096, 1000 * i, 0, 0}));
    append(other.tick(kStart + std::chrono::seconds(2 * i + 1), {8192, 2000 * i, 0, 0, 12288, 3000 * i, 0, 0}));
  }
  append(one.tick(kStart + std::chrono::minutes(30), {4096, 200'000, 0, 0}));
  flush();
  ASSERT_TRUE(store_->write_pages());
  EXPECT_EQ(store_->pages().counters().catalogs - before, 2u);
  const Samples found = samples(Kpi::kEmulatorTimeNs);
  ASSERT_EQ(found.size(), 2u);
  const auto& db = found.at("h1/db1/0");
  const auto& web = found.at("h1/web1/0");
  ASSERT_EQ(db.size(), 200u);
  ASSERT_EQ(web.size(), 401u);
  for (std::size_t i = 0; i < 200; ++i) {
    ASSERT_EQ(db[i].second, static_cast<std::int64_t>(2000 * i));
    ASSERT_EQ(web[2 * i].second, static_cast<std::int64_t>(1000 * i));
    ASSERT_EQ(web[2 * i + 1].second, static_cast<std::int64_t>(3000 * i));
  }
}

/// Chunks of a window that are joined when it has ended.
TEST_F(SeriesStore, OfAHostThatSendsMuchEverythingIsThereOnce) {
  constexpr int kVms = 500;
  constexpr int kTicks = 700;
  SeriesFeed feed("h1");
  std::vector<std::pair<Entity, std::vector<Series>>> entities;
  for (int vm = 0; vm < kVms; ++vm) {
    const std::string uuid = fmt::format("6f3c1a52-93b1-4c7c-8a55-{:012}", vm);
    entities.push_back({vm_entity(fmt::format("vm-{}", vm), uuid), vm_series()});
  }
  feed.set_entities(std::move(entities));
  std::mt19937_64 random(1);
  std::vector<std::int64_t> sent;
  for (int i = 0; i < kTicks; ++i) {
    std::vector<std::optional<std::int64_t>> values(4 * kVms);
    for (auto& value : values) value = static_cast<std::int64_t>(random() >> 2) / 1000 * 1000;
    sent.push_back(*values[4 * 7 + 1]);
    append(feed.tick(kStart + seconds(i), values));
  }
  flush();
  ASSERT_TRUE(store_->write_pages());
  EXPECT_GE(store_->pages().counters().pages, 5u * 4) << "several chunks of four pages each, and joined ones";
  for (const bool again : {false, true}) {
    if (again) open();
    ASSERT_TRUE(store_->write_pages());
    const Samples found = samples(Kpi::kEmulatorTimeNs);
    ASSERT_EQ(found.size(), static_cast<std::size_t>(kVms));
    std::vector<std::int64_t> values;
    for (const auto& [time, value] : found.at("h1/vm-7/0")) values.push_back(value);
    EXPECT_EQ(values, sent);
  }
}

/// An agent that connects again sends its catalog again, perhaps before the first copy has been written.
TEST_F(SeriesStore, ACatalogThatComesTwiceAtOnceExplainsTheFramesBetween) {
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", kWeb), vm_series()}});
  for (int i = 0; i < 20; ++i) {
    if (i == 10) feed.begin_stream();
    append(feed.tick(kStart + seconds(i), {i, i * 1000, i, i}));
  }
  // Of another host pages are made, so that what comes next is read from those frames on.
  SeriesFeed other("h2");
  other.set_entities({{vm_entity("db1", kDb), vm_series()}});
  for (int i = 0; i < 700; ++i) append(other.tick(kStart + seconds(i), {i, i * 1000, i, i}));
  flush();
  ASSERT_TRUE(store_->write_pages());
  open();
  ASSERT_TRUE(store_->write_pages());
  EXPECT_EQ(samples(Kpi::kEmulatorTimeNs).at("h1/web1/0").size(), 20u);
  EXPECT_EQ(store_->pages().counters().undecoded, 0u);
}

TEST_F(SeriesStore, WhatIsStreamedIsWhatIsHeld) {
  SeriesFeed feed("h1");
  std::mt19937_64 random(5);
  (void)play(
      feed, 5000, random, [&](std::vector<RawMessage> messages) { append(std::move(messages)); }, Kpi::kEmulatorTimeNs);
  flush();
  ASSERT_TRUE(store_->write_pages());  // the newest ticks are in no page
  using enum keys::Figure;
  const std::int64_t from = to_us(kStart) + 1'234'567;
  for (const Kpi kpi : {Kpi::kEmulatorTimeNs, Kpi::kMemoryResidentBytes, Kpi::kRunQueueLatencyNs}) {
    SeriesSelector selector;
    selector.kpi = kpi;
    for (const std::int64_t step : {700'000LL, 17'000'000LL, 3000'000'000LL, 10'000'000'000LL}) {
      const StepGrid grid{from, from + 4900'000'000LL, step};
      expect_streamed_alike(selector, grid, {kSum, kWeight});
      expect_streamed_alike(selector, grid, {kSum, kWeight, kMin, kMax, kP95});
    }
    // Whole minutes are rolled up.
    const std::int64_t hour = (to_us(kStart) / kHourUs + 1) * kHourUs;
    expect_streamed_alike(selector, {hour, hour + kHourUs, kMinuteUs}, {kSum, kWeight});
  }
}

TEST_F(SeriesStore, DamageIsSaidNotShown) {
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", kWeb), vm_series()}});
  for (int i = 0; i < 300; ++i) append(feed.tick(kStart + seconds(i), {i, i * 1000, i, i}));
  flush();
  ASSERT_TRUE(store_->write_pages());
  ASSERT_NO_FATAL_FAILURE(damage_page(Kpi::kEmulatorTimeNs, [](std::string& page) {
    page[page.size() / 2] = static_cast<char>(page[page.size() / 2] ^ 4);
  }));
  SeriesSelector selector;
  selector.kpi = Kpi::kEmulatorTimeNs;
  const Status read = store_->series()->read_samples(selector, to_us(kStart), to_us(kStart + hours(1)),
                                                     [](SeriesReader::HostSamples) { return true; });
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kCorrupt);
  EXPECT_NE(read.error().message.find("checksum"), std::string::npos) << read.error().message;
  EXPECT_FALSE(samples(Kpi::kMemoryResidentBytes).empty());
}

TEST_F(SeriesStore, FramesWhoseBaseIsMissingAreLeftOutUntilTheNextKeyframe) {
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", kWeb), vm_series()}});
  constexpr int kTicks = 400;  // a keyframe every 60
  for (int i = 0; i < kTicks; ++i) {
    const std::int64_t value = i;
    auto messages = feed.tick(kStart + seconds(i), {value * 4096, value * 1000, value, value});
    if (i != 70) append(std::move(messages));
  }
  flush();
  ASSERT_TRUE(store_->write_pages());
  std::vector<std::pair<std::int64_t, std::int64_t>> expected;
  for (std::int64_t i = 0; i < kTicks; ++i) {
    if (i < 70 || i >= 120) expected.emplace_back(to_us(kStart + seconds(i)), i * 1000);
  }
  EXPECT_EQ(samples(Kpi::kEmulatorTimeNs).at("h1/web1/0"), expected);  // pages and what is in memory
  EXPECT_EQ(store_->pages().counters().undecoded, 49u);
  open();
  ASSERT_TRUE(store_->write_pages());
  ASSERT_TRUE(store_->expire(kStart + hours(2)));
  EXPECT_EQ(samples(Kpi::kEmulatorTimeNs).at("h1/web1/0"), expected);
}

TEST_F(SeriesStore, TelemetryThatCannotBeReadIsLeftOut) {
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", kWeb), vm_series()}});
  constexpr int kTicks = 200;  // a keyframe every 60; all in memory yet
  for (int i = 0; i < kTicks; ++i) append(feed.tick(kStart + seconds(i), {i * 4096, i * 1000, i, i}));
  flush();
  store_.reset();
  {
    auto db = RocksDb::open({.directory = directory_ / "store"});
    ASSERT_TRUE(db);
    RocksDb::Batch batch;
    batch.put(Family::kRaw, keys::lsn_key(2 + 70), "damage");  // tick 70: the catalog is the first
    ASSERT_TRUE((*db)->write(batch));
  }
  open();
  const Status written = store_->write_pages();
  ASSERT_TRUE(written) << written.error().message;
  ASSERT_TRUE(store_->expire(kStart + hours(1)));  // it is idle: what waits is sealed
  std::vector<std::pair<std::int64_t, std::int64_t>> expected;
  for (std::int64_t i = 0; i < kTicks; ++i) {
    if (i < 70 || i >= 120) expected.emplace_back(to_us(kStart + seconds(i)), i * 1000);
  }
  EXPECT_EQ(samples(Kpi::kEmulatorTimeNs).at("h1/web1/0"), expected);
  EXPECT_EQ(store_->pages().counters().undecoded, 50u);
  ASSERT_TRUE(store_->expire(kStart + hours(72)));
  EXPECT_LE(store_->figures().raw_messages, 1u);
}

TEST_F(SeriesStore, FramesWithoutTheirCatalogAreCounted) {
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", kWeb), vm_series()}});
  for (int i = 0; i < 200; ++i) append(feed.tick(kStart + seconds(i), {i * 4096, i * 1000, i, i}));
  flush();
  ASSERT_TRUE(store_->write_pages());
  ASSERT_TRUE(store_->expire(kStart + hours(1)));  // it is idle: what waits is sealed
  for (int i = 200; i < 205; ++i) append(feed.tick(kStart + hours(2) + seconds(i), {i * 4096, i * 1000, i, i}));
  flush();
  store_.reset();
  {
    auto db = RocksDb::open({.directory = directory_ / "store"});
    ASSERT_TRUE(db);
    RocksDb::Batch batch;
    batch.erase(Family::kCatalog, keys::catalog_key({kHost, 1}, 1));
    ASSERT_TRUE((*db)->write(batch));
  }
  open();
  ASSERT_TRUE(store_->write_pages());
  EXPECT_EQ(store_->figures().frames_undecoded, 5u);
}

TEST_F(SeriesStore, ADamagedCatalogHoldsUpNobodyAndIsPutAnew) {
  SeriesFeed feed("h1");
  SeriesFeed other("h2");
  for (SeriesFeed* one : {&feed, &other}) one->set_entities({{vm_entity("web1", kWeb), vm_series()}});
  for (int i = 0; i < 200; ++i) append(feed.tick(kStart + seconds(i), {i * 4096, i * 1000, i, i}));
  flush();
  ASSERT_TRUE(store_->write_pages());
  ASSERT_TRUE(store_->expire(kStart + hours(1)));  // it is idle: what waits is sealed, and what follows needs the copy
  for (int i = 200; i < 205; ++i) append(feed.tick(kStart + hours(2) + seconds(i), {i * 4096, i * 1000, i, i}));
  flush();
  ASSERT_NO_FATAL_FAILURE(damage_file(Family::kCatalog, "catalog"));
  open();
  ASSERT_TRUE(store_->write_pages());
  feed.begin_stream();
  std::vector<RawMessage> both = feed.tick(kStart + hours(2) + seconds(205), {1, 205'000, 1, 1});
  for (RawMessage& message : other.tick(kStart + hours(2), {1, 1000, 1, 1})) both.push_back(std::move(message));
  const Status appended = store_->append(both);
  ASSERT_TRUE(appended) << appended.error().message;
  ASSERT_TRUE(store_->write_pages());
  EXPECT_EQ(samples(Kpi::kEmulatorTimeNs).at("h2/web1/0").size(), 1u);
  open();
  ASSERT_TRUE(store_->write_pages());
  EXPECT_EQ(store_->pages().counters().undecoded, 0u) << "the copy explains what stands in front of it, too";
  EXPECT_EQ(samples(Kpi::kEmulatorTimeNs).at("h1/web1/0").size(), 206u);
  const Status expired = store_->expire(kStart + hours(72));
  ASSERT_TRUE(expired) << expired.error().message;
  EXPECT_EQ(store_->figures().raw_messages, 0u);
}

TEST_F(SeriesStore, AReaderBesideSeesWhatIsInMemoryToo) {
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", kWeb), vm_series()}});
  for (int i = 0; i < 200; ++i) append(feed.tick(kStart + seconds(i), {i, i * 1000, i, i}));
  flush();
  ASSERT_TRUE(store_->write_pages());
  auto options = StoreOptions{.directory = directory_ / "store"};
  options.read_only = true;
  const auto reader = RocksStore::open(options);
  ASSERT_TRUE(reader) << reader.error().message;
  std::size_t count = 0;
  SeriesSelector selector;
  selector.kpi = Kpi::kEmulatorTimeNs;
  ASSERT_TRUE((*reader)->series()->read_samples(selector, to_us(kStart), to_us(kStart + hours(1)),
                                                [&](SeriesReader::HostSamples host) {
                                                  for (const auto& [key, s] : host.series) count += s.values.size();
                                                  return true;
                                                }));
  EXPECT_EQ(count, 200u);
}

}  // namespace
}  // namespace proteus::store
