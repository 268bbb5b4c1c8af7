// Roll-ups against the pages that they are made of.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "tests/controller/store/series_store_fixture.h"

namespace proteus::store {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

using SeriesRollup = SeriesStore;

TEST_F(SeriesRollup, OfADamagedKpiTheOthersAreRolledUp) {
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", kWeb), vm_series()}});
  for (int i = 0; i < 300; ++i) append(feed.tick(kStart + seconds(i), {i, i * 1000, i, i}));
  flush();
  ASSERT_TRUE(store_->write_pages());
  // The window that the damage is in has ended; its hour has not.
  for (int i = 900; i < 910; ++i) append(feed.tick(kStart + seconds(i), {i, i * 1000, i, i}));
  flush();
  ASSERT_TRUE(store_->write_pages());
  ASSERT_NO_FATAL_FAILURE(damage_page(Kpi::kEmulatorTimeNs, [](std::string& page) { page = "no page"; }));
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
TEST_F(SeriesRollup, RollUpsSayWhatTheSamplesSay) {
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

TEST_F(SeriesRollup, ARateIsTheSameFromRollUpsAndFromPages) {
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

}  // namespace
}  // namespace proteus::store
