// What goes with time, and what stays.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "common/wire/telemetry_codec.h"
#include "controller/store/store_keys.h"
#include "tests/controller/store/series_store_fixture.h"

namespace proteus::store {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

using SeriesExpiry = SeriesStore;

/// Compaction takes a file at a time: of what has expired, ticks may be gone and values not.
TEST_F(SeriesExpiry, WhatHasExpiredIsGoneAlsoWhereItIsStillOnTheDisk) {
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
  open();  // and is so before anything expires anew
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

TEST_F(SeriesExpiry, WhatComesAfterALongPauseIsThereBeforeAnythingExpires) {
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", kWeb), vm_series()}});
  append(feed.tick(kStart, {1, 1000, 1, 1}));
  flush();
  ASSERT_TRUE(store_->expire(kStart + hours(1)));
  open();
  const Timestamp later = kStart + hours(24 * 400);  // longer than anything is kept
  feed.begin_stream();
  for (int i = 0; i < 4000; ++i) append(feed.tick(later + seconds(i), {i, i * 1000, i, i}));
  flush();
  ASSERT_TRUE(store_->write_pages());
  SeriesSelector selector;
  selector.kpi = Kpi::kMemoryResidentBytes;
  const auto found = steps(selector, {to_us(later), to_us(later + seconds(4000)), 1'000'000},
                           {keys::Figure::kSum, keys::Figure::kWeight});
  ASSERT_EQ(found.size(), 1u);
  const auto& figures = found.begin()->second;
  EXPECT_EQ(std::count_if(figures.begin(), figures.end(), [](const auto& one) { return one.weight > 0; }), 4000);
}

// Minutes and hours are kept for longer than values: an agent that was cut off for a month fills them all the same.
TEST_F(SeriesExpiry, WhatComesTooLateForPagesIsInRollUps) {
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", kWeb), vm_series()}});
  const Timestamp now = kStart + hours(24 * 40);
  append(feed.tick(now, {1, 1000, 1, 1}));
  flush();
  ASSERT_TRUE(store_->expire(now));
  const Timestamp late = kStart + hours(24 * 5);
  feed.begin_stream();
  for (int i = 0; i < 4000; ++i) append(feed.tick(late + seconds(i), {i, i * 1000, i, i}));
  flush();
  ASSERT_TRUE(store_->write_pages());
  ASSERT_TRUE(store_->expire(now));
  SeriesSelector selector;
  selector.kpi = Kpi::kMemoryResidentBytes;
  const auto count = [&](std::int64_t step_us) {
    std::int64_t with_value = 0;
    const auto found = steps(selector, {to_us(late), to_us(late + seconds(3960)), step_us},
                             {keys::Figure::kSum, keys::Figure::kWeight});
    for (const auto& [key, figures] : found) {
      with_value += std::count_if(figures.begin(), figures.end(), [](const auto& one) { return one.weight > 0; });
    }
    return with_value;
  };
  EXPECT_EQ(count(60'000'000), 66);
  EXPECT_EQ(count(1'000'000), 0) << "values have expired";
  // What comes once there are roll-ups does not take their place, though it may be all that is left.
  store_.reset();
  {
    auto db = RocksDb::open({.directory = directory_ / "store"});
    ASSERT_TRUE(db);
    RocksDb::Batch batch;
    {
      RocksDb::Cursor cursor = (*db)->cursor(Family::kPage);
      for (cursor.seek(""); cursor.valid(); cursor.next()) batch.erase(Family::kPage, cursor.key());
    }
    ASSERT_TRUE((*db)->write(batch));
  }
  open();
  feed.begin_stream();
  for (int i = 0; i < 100; ++i)
    append(feed.tick(late + std::chrono::milliseconds(i * 1000 + 500), {i, i * 1000, i, i}));
  flush();
  ASSERT_TRUE(store_->write_pages());
  ASSERT_TRUE(store_->expire(now));
  EXPECT_EQ(count(60'000'000), 66);
}

TEST_F(SeriesExpiry, RawTelemetryStaysUntilItIsInPages) {
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

/// Frames of which a scan of everything cannot make samples.
std::size_t undecoded(const RocksStore& store) {
  std::size_t count = 0;
  wire::TelemetryReader reader;
  const Status scanned = store.scan(Timestamp::min(), Timestamp::max(),
                                    {.raw =
                                         [&](const RawMessage& message) {
                                           if (!reader.read(message.host, message.bytes)) ++count;
                                           return true;
                                         },
                                     .journal = nullptr});
  EXPECT_TRUE(scanned) << scanned.error().message;
  return count;
}

// A host's catalog is told once and used for weeks; its agent tells it again whenever the controller asks.
TEST_F(SeriesExpiry, ACatalogOlderThanWhatIsKeptIsThereForItsFramesThoughItIsToldAgain) {
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", kWeb), vm_series()}});
  constexpr int kTicks = 60 * 60;
  for (int i = 0; i < kTicks; ++i) append(feed.tick(kStart + minutes(i), {i, i * 1000, i, i}));
  flush();
  ASSERT_TRUE(store_->write_pages());
  const Timestamp now = kStart + minutes(kTicks);
  ASSERT_TRUE(store_->expire(now));
  const std::uint64_t left = store_->figures().raw_messages;
  ASSERT_LT(left, 49u * 60);
  for (int i = 0; i < 3; ++i) append(feed.tick(now + minutes(i), {i, i * 1000, i, i}));  // in no page yet
  feed.begin_stream();
  append(feed.tick(now + minutes(3), {3, 3000, 3, 3}));
  flush();
  EXPECT_EQ(undecoded(*store_), 0u);
  bool is_first_copy = true;  // not one of now, put where it was
  Store::Visitor visitor;
  visitor.raw = [&](const RawMessage& message) {
    is_first_copy &= message.received != Timestamp{};
    return true;
  };
  ASSERT_TRUE(store_->scan(now - hours(24), now + hours(1), visitor));
  EXPECT_TRUE(is_first_copy);
  open();
  ASSERT_TRUE(store_->write_pages());
  EXPECT_EQ(store_->pages().counters().undecoded, 0u);
  EXPECT_EQ(samples(Kpi::kEmulatorTimeNs).at("h1/web1/0").size(), std::size_t{kTicks} + 4);

  // It goes with the last of its frames; what is told then is kept in its place.
  const Timestamp later = now + hours(24 * 3);
  ASSERT_TRUE(store_->expire(later));
  EXPECT_EQ(store_->figures().raw_messages, 0u);
  feed.begin_stream();
  std::vector<RawMessage> stream = feed.tick(later, {4, 4000, 4, 4});
  stream.front().received -= minutes(1);
  append(std::move(stream));
  flush();
  ASSERT_TRUE(store_->expire(later + hours(48)));
  EXPECT_EQ(store_->figures().raw_messages, 1u) << "the frame alone";
  EXPECT_EQ(undecoded(*store_), 0u);
}

TEST_F(SeriesExpiry, ACatalogThatIsToldAgainStaysForTheFramesThatAreYetToCome) {
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", kWeb), vm_series()}});
  append(feed.tick(kStart, {1, 1000, 1, 1}));
  flush();
  const Timestamp later = kStart + hours(24 * 3);
  feed.begin_stream();
  std::vector<RawMessage> stream = feed.tick(later, {2, 2000, 2, 2});
  stream.front().received -= minutes(1);
  append({stream.front()});
  flush();
  ASSERT_TRUE(store_->write_pages());
  ASSERT_TRUE(store_->expire(later));
  append({stream.back()});
  append(feed.tick(later + seconds(1), {3, 3000, 3, 3}));
  flush();
  ASSERT_TRUE(store_->expire(later + hours(48)));
  EXPECT_EQ(store_->figures().raw_messages, 2u) << "what was received of the catalog itself has gone, and no frame";
  EXPECT_EQ(undecoded(*store_), 0u);
}

// As stores are that were written before copies stayed.
TEST_F(SeriesExpiry, ACatalogThatWasPutAnewBehindItsFramesExplainsThemAllTheSame) {
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", kWeb), vm_series()}});
  constexpr int kTicks = 50 * 60;
  for (int i = 0; i < kTicks; ++i) append(feed.tick(kStart + minutes(i), {i, i * 1000, i, i}));
  flush();
  ASSERT_TRUE(store_->write_pages());
  const Timestamp now = kStart + minutes(kTicks);
  ASSERT_TRUE(store_->expire(now));
  feed.begin_stream();
  std::vector<RawMessage> stream = feed.tick(now, {1, 1000, 1, 1});
  ASSERT_TRUE(store_->append(stream));
  store_.reset();
  {
    auto db = RocksDb::open({.directory = directory_ / "store"});
    ASSERT_TRUE(db);
    RocksDb::Batch batch;
    batch.put(Family::kCatalog, keys::catalog_key({kHost, 1}, 1), keys::catalog_value(stream.front()));
    ASSERT_TRUE((*db)->write(batch));
  }
  open();
  EXPECT_EQ(undecoded(*store_), 0u);
  ASSERT_TRUE(store_->write_pages());
  EXPECT_EQ(store_->pages().counters().undecoded, 0u);
  EXPECT_EQ(samples(Kpi::kEmulatorTimeNs).at("h1/web1/0").size(), std::size_t{kTicks} + 1);
}

TEST_F(SeriesExpiry, AHostThatFellSilentWhileTheControllersClockWasAheadHoldsNobodyUp) {
  SeriesFeed silent("h2");
  SeriesFeed feed("h1");
  for (SeriesFeed* one : {&silent, &feed}) one->set_entities({{vm_entity("web1", kWeb), vm_series()}});
  std::vector<RawMessage> ahead = silent.tick(kStart, {1, 1000, 1, 1});
  for (RawMessage& message : ahead) message.received += hours(24 * 365);
  append(std::move(ahead));
  constexpr int kHours = 24 * 10;
  for (int i = 0; i < kHours; ++i) append(feed.tick(kStart + hours(i), {i, i * 1000, i, i}));
  flush();
  ASSERT_TRUE(store_->write_pages());
  ASSERT_TRUE(store_->expire(kStart + hours(kHours)));
  EXPECT_EQ(store_->figures().raw_messages, 48u);
}

TEST_F(SeriesExpiry, AVmIsForgottenOnceAllThatWasMeasuredOfItHasExpired) {
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
