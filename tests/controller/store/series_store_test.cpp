#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "controller/store/rocks_store.h"
#include "controller/store/series_reader.h"
#include "tests/controller/store/series_feed.h"
#include "tests/controller/store/temporary_directory.h"

namespace proteus::store {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const Timestamp kStart = from_unix_ns(1'700'000'400'000'000'000);  // 2023-11-14 22:20:00
const HostId kHost("h1");
const std::string kWeb = "11111111-1111-4111-8111-111111111111";
const std::string kDb = "22222222-2222-4222-8222-222222222222";

using Samples = std::map<std::string, std::vector<std::pair<std::int64_t, std::int64_t>>>;  // by "vm/kpi/bucket"

class SeriesStore : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    store_.reset();
    auto opened = RocksStore::open({.directory = directory_ / "store"});
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
  }
  /// Collects: a synced write for each tick would take minutes.
  void append(std::vector<RawMessage> messages) {
    std::move(messages.begin(), messages.end(), std::back_inserter(unwritten_));
    if (unwritten_.size() >= 300) flush();
  }
  void flush() {
    ASSERT_TRUE(store_->append(unwritten_));
    unwritten_.clear();
  }

  /// Everything of one KPI, with times in microseconds.
  Samples samples(Kpi kpi) const {
    Samples all;
    SeriesSelector selector;
    selector.kpi = kpi;
    const Status read = store_->series()->read_samples(
        selector, to_us(kStart - hours(10)), to_us(kStart + hours(100)), [&](SeriesReader::HostSamples host) {
          for (const auto& [key, series] : host.series) {
            auto& one = all[host.host.value + "/" + host.entities.at(key.entity).entity.name + "/" +
                            std::to_string(key.bucket)];
            for (std::size_t i = 0; i < series.values.size(); ++i) {
              one.emplace_back(series.times_us[i], series.values[i]);
            }
          }
          return true;
        });
    EXPECT_TRUE(read) << read.error().message;
    return all;
  }
  std::map<SeriesKey, std::vector<StepFigures>> steps(const SeriesSelector& selector, const StepGrid& grid,
                                                      const std::vector<keys::Figure>& figures) const {
    std::map<SeriesKey, std::vector<StepFigures>> all;
    Allowance unlimited;
    const Status read =
        store_->series()->read_steps(selector, grid, figures, unlimited, [&](SeriesReader::HostSteps host) {
          all.insert(host.series.begin(), host.series.end());
          return true;
        });
    EXPECT_TRUE(read) << read.error().message;
    return all;
  }

  /// What is streamed, put together, is what is held: each step once, ascending.
  void expect_streamed_alike(const SeriesSelector& selector, const StepGrid& grid,
                             const std::vector<keys::Figure>& figures) const {
    const auto whole = steps(selector, grid, figures);
    std::map<SeriesKey, std::vector<StepFigures>> streamed;
    SeriesReader::Joiner joiner;
    joiner.take = [&](const SeriesReader::Stretch& stretch) {
      auto& all = streamed[stretch.key];
      EXPECT_LE(all.size(), stretch.first);
      all.resize(stretch.first);
      all.insert(all.end(), stretch.steps.begin(), stretch.steps.end());
      return true;
    };
    joiner.end_part = [] { return true; };
    Allowance unlimited;
    const Status read = store_->series()->stream_steps(selector, grid, figures, unlimited, joiner);
    ASSERT_TRUE(read) << read.error().message;
    const auto is_empty = [](const StepFigures& f) { return f.weight == 0; };
    for (auto& [key, all] : streamed) all.resize(grid.size());
    std::erase_if(streamed, [&](const auto& s) { return std::all_of(s.second.begin(), s.second.end(), is_empty); });
    ASSERT_EQ(streamed.size(), whole.size());
    for (const auto& [key, all] : whole) {
      for (std::size_t i = 0; i < all.size(); ++i) {
        const StepFigures& one = streamed.at(key)[i];
        ASSERT_EQ(one.weight, all[i].weight) << "step " << i;
        if (one.weight == 0) continue;
        ASSERT_EQ(std::tie(one.sum, one.min, one.max, one.last, one.p95),
                  std::tie(all[i].sum, all[i].min, all[i].max, all[i].last, all[i].p95));
      }
    }
  }

  TemporaryDirectory directory_;
  std::unique_ptr<RocksStore> store_;
  std::vector<RawMessage> unwritten_;
};

std::vector<Series> vm_series() {
  return {{0, Kpi::kMemoryResidentBytes, 0},
          {0, Kpi::kEmulatorTimeNs, 0},
          {0, Kpi::kRunQueueLatencyNs, 3},
          {0, Kpi::kRunQueueLatencyNs, 9}};
}

/// An hour and a half of two VMs, with what real life has: gaps, a VM that comes and goes, a counter that restarts.
/// Calls `tick` for each second; returns what must be there.
Samples play(SeriesFeed& feed, int ticks, std::mt19937_64& random,
             const std::function<void(std::vector<RawMessage>)>& tick, Kpi kpi) {
  Samples expected;
  std::int64_t counter = 0;
  std::int64_t memory = 1 << 30;
  bool two = false;
  for (int i = 0; i < ticks; ++i) {
    if (i == 0 || (i % 700 == 350)) {
      two = i % 1400 == 350;
      std::vector<std::pair<Entity, std::vector<Series>>> entities = {{vm_entity("web1", kWeb), vm_series()}};
      if (two) entities.push_back({vm_entity("db1", kDb), vm_series()});
      feed.set_entities(entities);
    }
    if (i == 1000) counter = 0;
    counter += static_cast<std::int64_t>(random() % 1'000'000) * 1000;
    memory += static_cast<std::int64_t>(random() % 3) * 4096;
    const Timestamp time = kStart + seconds(i) + Nanoseconds(random() % 1'000'000);
    std::vector<std::optional<std::int64_t>> values;
    for (int vm = 0; vm < (two ? 2 : 1); ++vm) {
      const bool measured = random() % 20 != 0;
      values.push_back(measured ? std::optional(memory + vm) : std::nullopt);
      values.push_back(counter + vm * 1000);
      values.push_back(i / 2);
      values.push_back(i);
      const std::string name = vm == 0 ? "h1/web1" : "h1/db1";
      if (kpi == Kpi::kMemoryResidentBytes && measured) expected[name + "/0"].emplace_back(to_us(time), memory + vm);
      if (kpi == Kpi::kEmulatorTimeNs) expected[name + "/0"].emplace_back(to_us(time), counter + vm * 1000);
    }
    tick(feed.tick(time, values));
  }
  return expected;
}

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

TEST_F(SeriesStore, AClockSetBackByAnHourLosesNothing) {
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", kWeb), vm_series()}});
  std::size_t ticks = 0;
  const auto run = [&](Timestamp from, int count) {
    for (int i = 0; i < count; ++i, ++ticks) {
      const auto value = static_cast<std::int64_t>(ticks);
      append(feed.tick(from + seconds(i), {value * 4096, value * 1000, value, value}));
    }
  };
  run(kStart, 4000);
  run(kStart + seconds(4000) - hours(1), 4000);  // walks through the same hour again
  flush();
  ASSERT_TRUE(store_->write_pages());
  const auto found = samples(Kpi::kEmulatorTimeNs);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found.begin()->second.size(), ticks);
  std::vector<std::int64_t> values;
  for (const auto& [time, value] : found.begin()->second) values.push_back(value);
  std::sort(values.begin(), values.end());
  for (std::size_t i = 0; i < ticks; ++i) ASSERT_EQ(values[i], static_cast<std::int64_t>(i) * 1000);
  SeriesSelector counter;
  counter.kpi = Kpi::kEmulatorTimeNs;
  const std::int64_t begin = to_us(kStart) - 600'000'000;
  expect_streamed_alike(counter, {begin, begin + 3 * kHourUs, 17'000'000}, {keys::Figure::kSum, keys::Figure::kWeight});

  ASSERT_TRUE(store_->expire(kStart + hours(3)));
  // The hour that was lived through twice was rolled up with both: 2,400 seconds from 22:20, 2,000 from 22:26:40.
  const std::int64_t hour = to_us(kStart) / kHourUs;
  const StepGrid grid{hour * kHourUs, (hour + 1) * kHourUs, kHourUs};
  SeriesSelector selector;
  selector.kpi = Kpi::kMemoryResidentBytes;
  const auto rolled = steps(selector, grid, {keys::Figure::kSum, keys::Figure::kWeight});
  ASSERT_EQ(rolled.size(), 1u);
  EXPECT_EQ(rolled.begin()->second[0].weight, 4400);
}

/// A counter's pages of before and after lie between each other then.
TEST_F(SeriesStore, AClockThatIsSetMakesNoIncrease) {
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", kWeb), vm_series()}});
  std::int64_t ticks = 0;
  const auto run = [&](Timestamp from, int count) {
    for (int i = 0; i < count; ++i, ++ticks) {
      append(feed.tick(from + seconds(i), {4096, 1'000'000'000'000 + ticks * 1000, 0, 0}));
    }
  };
  const auto expect_rates = [&] {
    SeriesSelector selector;
    selector.kpi = Kpi::kEmulatorTimeNs;
    const std::int64_t begin = (to_us(kStart) / kHourUs - 1) * kHourUs;
    for (const std::int64_t step : {1'000'000LL, 17'000'000LL, 60'000'000LL, 3600'000'000LL}) {
      const StepGrid grid{begin, begin + 6 * kHourUs, step};
      const auto found = steps(selector, grid, {keys::Figure::kSum, keys::Figure::kWeight});
      ASSERT_EQ(found.size(), 1u);
      std::int64_t increase = 0;
      for (const StepFigures& one : found.begin()->second) {
        ASSERT_EQ(one.sum * 1'000'000, one.weight * 1000);
        increase += one.sum;
      }
      EXPECT_EQ(increase, (ticks - 4) * 1000) << "all but the first, and where it was set";
      expect_streamed_alike(selector, grid, {keys::Figure::kSum, keys::Figure::kWeight});
    }
  };
  run(kStart, 4000);
  run(kStart + seconds(4000) - hours(1) + std::chrono::milliseconds(500), 5000);  // back
  run(kStart + hours(3), 2000);                                                   // ahead, for a while
  run(kStart + seconds(5400 + 2000), 7000);
  flush();
  ASSERT_TRUE(store_->write_pages());
  expect_rates();
  ASSERT_TRUE(store_->expire(kStart + hours(10)));
  expect_rates();
  open();
  ASSERT_TRUE(store_->write_pages());
  expect_rates();
}

TEST_F(SeriesStore, AClockSetBackWithinAWindowHidesNothing) {
  constexpr int kHosts = 10;  // whose windows begin at different moments
  for (int n = 0; n < kHosts; ++n) {
    SeriesFeed feed("h" + std::to_string(n));
    feed.set_entities({{vm_entity("web1", kWeb), vm_series()}});
    // As many ticks as fill a chunk, and its window goes on.
    for (int i = 0; i < 640; ++i) append(feed.tick(kStart + std::chrono::milliseconds(500 * i), {i, i * 1000, i, i}));
    for (int i = 0; i < 20; ++i) append(feed.tick(kStart + seconds(10 + i), {i, i * 1000, i, i}));
  }
  flush();
  ASSERT_TRUE(store_->write_pages());
  ASSERT_TRUE(store_->expire(kStart + hours(1)));
  std::size_t count = 0;
  SeriesSelector selector;
  selector.kpi = Kpi::kEmulatorTimeNs;
  ASSERT_TRUE(store_->series()->read_samples(selector, to_us(kStart + seconds(100)), to_us(kStart + hours(1)),
                                             [&](SeriesReader::HostSamples host) {
                                               for (const auto& [key, s] : host.series) count += s.values.size();
                                               return true;
                                             }));
  EXPECT_EQ(count, 440u * kHosts);
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

/// Compaction takes a file at a time: of what has expired, ticks may be gone and values not.
TEST_F(SeriesStore, WhatHasExpiredIsGoneAlsoWhereItIsStillOnTheDisk) {
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", kWeb), vm_series()}});
  const auto later = hours(24 * 29);
  for (const Nanoseconds since : {Nanoseconds(0), Nanoseconds(later)}) {
    feed.begin_stream();
    for (int i = 0; i < 300; ++i) append(feed.tick(kStart + since + seconds(i), {i, i * 1000, i, i}));
  }
  flush();
  const Timestamp now = kStart + hours(24 * 31);
  ASSERT_TRUE(store_->expire(now));
  store_.reset();
  {
    auto db = RocksDb::open({.directory = directory_ / "store"});
    ASSERT_TRUE(db);
    RocksDb::Batch batch;
    {
      RocksDb::Cursor cursor = (*db)->cursor(Family::kPage);
      cursor.seek(keys::page_prefix(keys::kTicksKpi, kHost));
      ASSERT_TRUE(cursor.valid());
      batch.erase(Family::kPage, cursor.key());
    }
    ASSERT_TRUE((*db)->write(batch));
  }
  open();
  ASSERT_TRUE(store_->expire(now));
  std::size_t count = 0;
  SeriesSelector selector;
  selector.kpi = Kpi::kEmulatorTimeNs;
  const Status read =
      store_->series()->read_samples(selector, to_us(kStart), to_us(now), [&](SeriesReader::HostSamples host) {
        for (const auto& [key, s] : host.series) count += s.values.size();
        return true;
      });
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(count, 300u);
}

TEST_F(SeriesStore, OfADamagedKpiTheOthersAreRolledUp) {
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", kWeb), vm_series()}});
  for (int i = 0; i < 300; ++i) append(feed.tick(kStart + seconds(i), {i, i * 1000, i, i}));
  flush();
  ASSERT_TRUE(store_->write_pages());
  // The window that the damage is in has ended; its hour has not.
  for (int i = 900; i < 910; ++i) append(feed.tick(kStart + seconds(i), {i, i * 1000, i, i}));
  flush();
  ASSERT_TRUE(store_->write_pages());
  store_.reset();
  {
    auto db = RocksDb::open({.directory = directory_ / "store"});
    ASSERT_TRUE(db);
    std::string key;
    {
      RocksDb::Cursor cursor = (*db)->cursor(Family::kPage);
      cursor.seek(keys::page_prefix(static_cast<std::uint16_t>(Kpi::kEmulatorTimeNs), kHost));
      ASSERT_TRUE(cursor.valid());
      key = cursor.key();
    }
    RocksDb::Batch batch;
    batch.put(Family::kPage, key, "no page");
    ASSERT_TRUE((*db)->write(batch));
  }
  open();
  ASSERT_TRUE(store_->write_pages());
  ASSERT_TRUE(store_->expire(kStart + hours(10)));
  const std::int64_t hour = to_us(kStart) / kHourUs * kHourUs;
  const StepGrid grid{hour, hour + kHourUs, kMinuteUs};
  SeriesSelector selector;
  selector.kpi = Kpi::kEmulatorTimeNs;
  Allowance unlimited;
  const Status damaged = store_->series()->read_steps(selector, grid, {keys::Figure::kSum, keys::Figure::kWeight},
                                                      unlimited, [](const SeriesReader::HostSteps&) { return true; });
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, ErrorCode::kCorrupt);
  // Once the pages have expired the minutes of the others are left.
  ASSERT_TRUE(store_->expire(kStart + hours(24 * 31)));
  ASSERT_TRUE(store_->compacted_bytes());
  selector.kpi = Kpi::kMemoryResidentBytes;
  const auto left = steps(selector, grid, {keys::Figure::kSum, keys::Figure::kWeight});
  ASSERT_EQ(left.size(), 1u);
  std::int64_t count = 0;
  for (const StepFigures& one : left.begin()->second) count += one.weight;
  EXPECT_EQ(count, 310);
}

/// The figures of one step, from the samples themselves.
TEST_F(SeriesStore, RollUpsSayWhatTheSamplesSay) {
  SeriesFeed feed("h1");
  std::mt19937_64 random(3);
  const Samples memory = play(
      feed, 9000, random, [&](std::vector<RawMessage> messages) { append(std::move(messages)); },
      Kpi::kMemoryResidentBytes);
  flush();
  ASSERT_TRUE(store_->expire(kStart + hours(10)));
  const std::int64_t from = (to_us(kStart) / kHourUs + 1) * kHourUs;
  for (const std::int64_t step : {kMinuteUs, kHourUs, 7 * kMinuteUs}) {
    const StepGrid grid{from, from + 2 * kHourUs, step};
    SeriesSelector selector;
    selector.kpi = Kpi::kMemoryResidentBytes;
    selector.vms = {"web1"};
    using enum keys::Figure;
    std::vector<keys::Figure> figures = {kSum, kWeight, kMin, kMax, kLast};
    if (step != 7 * kMinuteUs) figures.push_back(kP95);
    const auto rolled = steps(selector, grid, figures);
    ASSERT_EQ(rolled.size(), 1u);
    const auto& found = rolled.begin()->second;
    for (std::size_t i = 0; i < found.size(); ++i) {
      const std::int64_t begin = from + static_cast<std::int64_t>(i) * step;
      std::vector<std::int64_t> values;
      for (const auto& [time, value] : memory.at("h1/web1/0")) {
        if (time >= begin && time < std::min(begin + step, grid.to_us)) values.push_back(value);
      }
      ASSERT_EQ(found[i].weight, static_cast<std::int64_t>(values.size())) << "step " << i << " of " << step;
      if (values.empty()) continue;
      std::int64_t sum = 0;
      for (const auto value : values) sum += value;
      EXPECT_EQ(found[i].sum, sum);
      EXPECT_EQ(found[i].min, *std::min_element(values.begin(), values.end()));
      EXPECT_EQ(found[i].max, *std::max_element(values.begin(), values.end()));
      EXPECT_EQ(found[i].last, values.back());
      if (step == 7 * kMinuteUs) continue;
      std::sort(values.begin(), values.end());
      EXPECT_EQ(found[i].p95, values[(95 * values.size() + 99) / 100 - 1]);
    }
  }
}

TEST_F(SeriesStore, ARateIsTheSameFromRollUpsAndFromPages) {
  SeriesFeed feed("h1");
  std::mt19937_64 random(4);
  (void)play(
      feed, 9000, random, [&](std::vector<RawMessage> messages) { append(std::move(messages)); }, Kpi::kEmulatorTimeNs);
  flush();
  ASSERT_TRUE(store_->write_pages());
  const std::int64_t from = (to_us(kStart) / kHourUs + 1) * kHourUs;
  SeriesSelector selector;
  selector.kpi = Kpi::kEmulatorTimeNs;
  selector.vms = {kWeb};
  using enum keys::Figure;
  // Half-minutes are decoded, minutes are rolled up.
  const auto halves = steps(selector, {from, from + kHourUs, kMinuteUs / 2}, {kSum, kWeight});
  const auto rolled = steps(selector, {from, from + kHourUs, kMinuteUs}, {kSum, kWeight});
  ASSERT_EQ(halves.size(), 1u);
  ASSERT_EQ(rolled.size(), 1u);
  const auto& minutes_found = rolled.begin()->second;
  const auto& halves_found = halves.begin()->second;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < minutes_found.size(); ++i) {
    EXPECT_EQ(minutes_found[i].sum, halves_found[2 * i].sum + halves_found[2 * i + 1].sum) << i;
    EXPECT_EQ(minutes_found[i].weight, halves_found[2 * i].weight + halves_found[2 * i + 1].weight) << i;
    total += minutes_found[i].sum;
  }
  EXPECT_GT(total, 0);
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
  store_.reset();
  {
    auto db = RocksDb::open({.directory = directory_ / "store"});
    ASSERT_TRUE(db);
    std::string key;
    std::string value;
    {
      RocksDb::Cursor cursor = (*db)->cursor(Family::kPage);
      cursor.seek(keys::page_prefix(static_cast<std::uint16_t>(Kpi::kEmulatorTimeNs), kHost));
      ASSERT_TRUE(cursor.valid());
      key = cursor.key();
      value = cursor.value();
    }
    value[value.size() / 2] = static_cast<char>(value[value.size() / 2] ^ 4);
    RocksDb::Batch batch;
    batch.put(Family::kPage, key, value);
    ASSERT_TRUE((*db)->write(batch));
  }
  open();
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

TEST_F(SeriesStore, RawTelemetryStaysUntilItIsInPages) {
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", kWeb), vm_series()}});
  for (int i = 0; i < 100; ++i) append(feed.tick(kStart + seconds(i), {i, i * 1000, i, i}));
  flush();
  ASSERT_TRUE(store_->write_pages());
  ASSERT_TRUE(store_->expire(kStart + minutes(5)));
  EXPECT_EQ(store_->figures().raw_messages, 101u);
  ASSERT_TRUE(store_->expire(kStart + hours(24 * 20)));  // idle for long: sealed, then expired
  EXPECT_EQ(store_->figures().raw_messages, 0u);
  EXPECT_EQ(samples(Kpi::kEmulatorTimeNs).at("h1/web1/0").size(), 100u);
}

TEST_F(SeriesStore, AVmIsForgottenOnceAllThatWasMeasuredOfItHasExpired) {
  store_.reset();
  const auto reopen = [&] {
    store_.reset();
    auto opened = RocksStore::open({.directory = directory_ / "store",
                                    .raw_retention = hours(24),
                                    .page_retention = hours(24),
                                    .minute_retention = hours(48),
                                    .hour_retention = hours(24 * 10)});
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
    ASSERT_TRUE(store_->write_pages());
  };
  const auto known = [&] {
    std::set<std::string> names;
    for (const auto& [number, one] : store_->pages().select(kHost, {})) names.insert(one.entity.name);
    return names;
  };
  reopen();
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", kWeb), vm_series()}, {vm_entity("db1", kDb), vm_series()}});
  append(feed.tick(kStart, {1, 1, 1, 1, 2, 2, 2, 2}));
  feed.set_entities({{vm_entity("web1", kWeb), vm_series()}});
  for (int day = 0; day <= 16; ++day) {
    feed.begin_stream();
    append(feed.tick(kStart + seconds(1) + hours(24 * day), {1, 1, 1, 1}));
  }
  flush();
  ASSERT_TRUE(store_->write_pages());
  // The hours' ten days, and seven more until what has expired has left the disk.
  ASSERT_TRUE(store_->expire(kStart + hours(24 * 16)));
  EXPECT_EQ(known(), (std::set<std::string>{"h1", "web1", "db1"}));
  for (int day = 17; day <= 20; ++day) {
    feed.begin_stream();
    append(feed.tick(kStart + seconds(1) + hours(24 * day), {1, 1, 1, 1}));
  }
  // The highest number is kept while the host is known: one more VM has come since.
  feed.set_entities(
      {{vm_entity("web1", kWeb), vm_series()}, {vm_entity("new1", "33333333-3333-4333-8333-333333333333"), {}}});
  append(feed.tick(kStart + seconds(1) + hours(24 * 21), {1, 1, 1, 1}));
  flush();
  ASSERT_TRUE(store_->write_pages());
  ASSERT_TRUE(store_->expire(kStart + hours(24 * 21)));
  EXPECT_EQ(known(), (std::set<std::string>{"h1", "web1", "new1"}));
  reopen();
  EXPECT_EQ(known(), (std::set<std::string>{"h1", "web1", "new1"}));
}

}  // namespace
}  // namespace proteus::store
