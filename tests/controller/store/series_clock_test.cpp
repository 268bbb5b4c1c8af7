// When a host's clock is set.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/controller/store/series_store_fixture.h"

namespace proteus::store {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

using SeriesClock = SeriesStore;

TEST_F(SeriesClock, AClockSetBackByAnHourLosesNothing) {
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

/// An hour that is left and come back to all the time is not rolled up all the time.
TEST_F(SeriesClock, HoursThatAClockKeepsComingBackToWait) {
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", kWeb), vm_series()}});
  Timestamp received = kStart;
  const auto tell = [&](Timestamp time) {
    std::vector<RawMessage> messages = feed.tick(time, {4096, 0, 0, 0});
    for (RawMessage& message : messages) message.received = received;
    append(std::move(messages));
    received += seconds(1);
  };
  const auto dirty_hours = [&] {
    flush();
    EXPECT_TRUE(store_->write_pages());
    return store_->pages().dirty_hours(kHost);
  };
  const std::int64_t hour = hour_of(kStart);
  for (int i = 0; i < 200; ++i) tell(kStart + hours(i % 4) + seconds(i));
  EXPECT_EQ(dirty_hours(), (std::vector<std::int64_t>{hour, hour + 1, hour + 2, hour + 3}));
  for (int i = 200; i < 640; ++i) tell(kStart + hours(i % 4) + seconds(i));
  EXPECT_EQ(dirty_hours().size(), 4u);
  // By then those that nothing comes back to have been rolled up.
  for (int i = 0; i < 700; ++i) tell(kStart + hours(5 + i % 2) + seconds(i));
  EXPECT_EQ(dirty_hours(), (std::vector<std::int64_t>{hour + 5, hour + 6}));
  SeriesSelector selector;
  selector.kpi = Kpi::kMemoryResidentBytes;
  const StepGrid grid{hour * kHourUs, (hour + 7) * kHourUs, kHourUs};
  const auto found = steps(selector, grid, {keys::Figure::kSum, keys::Figure::kWeight});
  ASSERT_EQ(found.size(), 1u);
  for (const std::size_t i : {0u, 1u, 2u, 3u}) EXPECT_EQ(found.begin()->second[i].weight, 160);
  EXPECT_EQ(found.begin()->second[5].weight, 350);
  EXPECT_EQ(found.begin()->second[6].weight, 350);
}

/// A counter's pages of before and after lie between each other then.
TEST_F(SeriesClock, AClockThatIsSetMakesNoIncrease) {
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

// A clock that is an hour ahead for a few minutes: where it is right again nothing tells but pages an hour away.
TEST_F(SeriesClock, AnExcursionBeyondWhatIsAskedForMakesNoIncreaseEither) {
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", kWeb), vm_series()}});
  const Timestamp hour = from_unix_ns(to_us(kStart) / kHourUs * kHourUs * 1000);
  int ticks = 0;
  const auto run = [&](Timestamp from, int count) {
    for (int i = 0; i < count; ++i, ++ticks) append(feed.tick(from + seconds(i), {4096, ticks * 1000, 0, 0}));
  };
  run(hour, 2640);
  run(hour + hours(1) + seconds(2640), 240);
  run(hour + seconds(2880), 4500);
  flush();
  ASSERT_TRUE(store_->write_pages());
  SeriesSelector selector;
  selector.kpi = Kpi::kEmulatorTimeNs;
  for (const int hours_asked : {1, 2}) {
    const StepGrid grid{to_us(hour), to_us(hour + hours(hours_asked)), 10'000'000};
    const auto found = steps(selector, grid, {keys::Figure::kSum, keys::Figure::kWeight});
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found.begin()->second[288].sum, 9 * 1000) << "of the ten seconds from 48 minutes on, " << hours_asked;
  }
}

TEST_F(SeriesClock, AMinuteLivedThroughTwiceIsRankedAsOne) {
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", kWeb), vm_series()}});
  const Timestamp hour = from_unix_ns(to_us(kStart) / kHourUs * kHourUs * 1000);
  const auto run = [&](int from, int to, std::int64_t value) {
    for (int i = from; i < to; ++i) append(feed.tick(hour + seconds(i), {value, i * 1000, i, i}));
  };
  run(0, 2400, 1000);
  run(1500, 5000, 10);  // minutes 25 to 40 again
  flush();
  ASSERT_TRUE(store_->write_pages());
  SeriesSelector selector;
  selector.kpi = Kpi::kMemoryResidentBytes;
  const std::int64_t from_us = to_us(hour);
  const auto ranks = [&](std::int64_t step_us) {
    const auto found = steps(selector, {from_us, from_us + 3600'000'000, step_us}, {keys::Figure::kP95});
    std::vector<std::int64_t> ranked;
    for (const StepFigures& figures : found.begin()->second) ranked.push_back(figures.p95);
    return ranked;
  };
  for (const bool rolled : {false, true}) {
    if (rolled) {
      ASSERT_TRUE(store_->expire(hour + hours(4)));
    }
    const auto by_minute = ranks(60'000'000);
    ASSERT_EQ(by_minute.size(), 60u);
    for (std::size_t minute = 0; minute < 60; ++minute) {
      EXPECT_EQ(by_minute[minute], minute < 40 ? 1000 : 10) << "minute " << minute << (rolled ? ", rolled up" : "");
    }
    const auto by_two = ranks(120'000'000);
    for (std::size_t i = 0; i < by_two.size(); ++i) EXPECT_EQ(by_two[i], i < 20 ? 1000 : 10) << i;
    EXPECT_EQ(ranks(3600'000'000), std::vector<std::int64_t>{1000});
  }
}

TEST_F(SeriesClock, AClockSetBackWithinAWindowHidesNothing) {
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

}  // namespace
}  // namespace proteus::store
