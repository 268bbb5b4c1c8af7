#include "controller/store/steps.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

namespace proteus::store {
namespace {

constexpr std::int64_t kSecond = 1'000'000;

const StepGrid kGrid{0, 100 * kSecond, 10 * kSecond};

StepTicks ticks_of(const std::vector<std::int64_t>& seconds) {
  std::vector<std::int64_t> times;
  for (const auto second : seconds) times.push_back(second * kSecond);
  return {kGrid, kGrid.from_us, kGrid.to_us, times};
}

void add_ends(StepCollector& collector, const StepTicks& ticks, std::span<const std::int64_t> values) {
  std::vector<std::int64_t> at_ends;
  for (const std::uint32_t end : ticks.ends) at_ends.push_back(values[end]);
  collector.add_ends(ticks, at_ends);
}

// How long it had been counting is not known: as a rate over the whole gap it would be a false trough.
TEST(Steps, OverARestartACounterHasNoRate) {
  for (const bool extremes : {false, true}) {
    StepCollector collector(KpiKind::kCounter, {.extremes = extremes}, kGrid);
    const std::vector<std::int64_t> values = {100, 110, 5, 15};
    collector.add(ticks_of({10, 11, 12, 13}), values, {});
    const auto& steps = collector.finish();
    EXPECT_EQ(steps[1].sum, 10 + 10);
    EXPECT_EQ(steps[1].weight, 2 * kSecond);
    EXPECT_EQ(steps[0].weight, 0);
    if (extremes) {
      EXPECT_EQ(steps[1].min, 10);
      EXPECT_EQ(steps[1].max, 10);
    }
  }
}

TEST(Steps, NothingIsKnownAcrossAGap) {
  const StepTicks ticks({0, 1000 * kSecond, 1000 * kSecond}, 0, 1000 * kSecond,
                        {kSecond, 2 * kSecond, 400 * kSecond, 401 * kSecond});
  const std::vector<std::int64_t> values = {0, 7, 1'000'000, 1'000'003};
  for (const bool by_ends : {false, true}) {
    StepCollector collector(KpiKind::kCounter, {}, {0, 1000 * kSecond, 1000 * kSecond});
    if (by_ends) {
      add_ends(collector, ticks, values);
    } else {
      collector.add(ticks, values, {});
    }
    const auto& steps = collector.finish();
    EXPECT_EQ(steps[0].sum, 10) << by_ends;
    EXPECT_EQ(steps[0].weight, 2 * kSecond) << by_ends;
  }
}

TEST(Steps, TheFirstIncreaseBeginsInThePageBefore) {
  StepCollector collector(KpiKind::kCounter, {}, kGrid);
  const std::vector<std::int64_t> first = {0, 10};
  const std::vector<std::int64_t> second = {25, 30};
  collector.add(ticks_of({18, 19}), first, {});
  collector.add(ticks_of({20, 21}), second, {});
  const auto& steps = collector.finish();
  EXPECT_EQ(steps[1].sum, 10);
  EXPECT_EQ(steps[2].sum, 15 + 5);
  EXPECT_EQ(steps[2].weight, 2 * kSecond);
}

// The way for sums alone and the way for everything say the same.
TEST(Steps, BothWaysAgree) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::int64_t> seconds;
    std::vector<std::int64_t> values;
    std::int64_t second = static_cast<std::int64_t>(random() % 20) - 10;
    std::int64_t value = 0;
    for (int i = 0; i < 50; ++i) {
      second += random() % 40 == 0 ? 400 : static_cast<std::int64_t>(random() % 5);  // also twice the same
      if (random() % 30 == 0) value = 0;
      value += static_cast<std::int64_t>(random() % 1000);
      seconds.push_back(second);
      values.push_back(value);
    }
    StepCollector sums(KpiKind::kCounter, {}, kGrid);
    StepCollector all(KpiKind::kCounter, {.extremes = true, .p95 = true}, kGrid);
    for (std::size_t begin = 0; begin < seconds.size(); begin += 17) {
      const std::size_t end = std::min(seconds.size(), begin + 17);
      const std::vector<std::int64_t> times(seconds.begin() + static_cast<std::ptrdiff_t>(begin),
                                            seconds.begin() + static_cast<std::ptrdiff_t>(end));
      const std::span<const std::int64_t> part(values.data() + begin, end - begin);
      const StepTicks ticks = ticks_of(times);
      all.add(ticks, part, {});
      if (std::is_sorted(part.begin(), part.end())) {
        add_ends(sums, ticks, part);
      } else {
        sums.add(ticks, part, {});
      }
    }
    const auto& a = sums.finish();
    const auto& b = all.finish();
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i].sum, b[i].sum) << "round " << round << " step " << i;
      EXPECT_EQ(a[i].weight, b[i].weight) << "round " << round << " step " << i;
    }
  }
}

// A month of the bytes of a host's memory.
TEST(Steps, ASumMayBeMoreThan64BitsHold) {
  StepCollector collector(KpiKind::kGauge, {}, kGrid);
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const std::vector<std::int64_t> values = {kMost, kMost, kMost};
  collector.add(ticks_of({1, 2, 3}), values, {});
  const auto& steps = collector.finish();
  EXPECT_FALSE(steps[0].overflow);
  EXPECT_EQ(to_double(steps[0].sum) / static_cast<double>(steps[0].weight), static_cast<double>(kMost));
  StepFigures joined = steps[0];
  joined.join(steps[0]);
  EXPECT_EQ(to_double(joined.sum) / static_cast<double>(joined.weight), static_cast<double>(kMost));
  StepFigures lost;
  lost.weight = 1;
  lost.overflow = true;
  joined.join(lost);
  EXPECT_TRUE(joined.overflow) << "without one of its parts it is none";
}

TEST(Steps, TheRankIsTheNearest) {
  StepCollector collector(KpiKind::kGauge, {.extremes = true, .p95 = true}, kGrid);
  std::vector<std::int64_t> seconds;
  std::vector<std::int64_t> values;
  for (int i = 0; i < 20; ++i) {
    seconds.push_back(i % 10);
    values.push_back(20 - i);
  }
  std::sort(seconds.begin(), seconds.end());
  collector.add(ticks_of(seconds), values, {});
  EXPECT_EQ(collector.finish()[0].p95, 19);
}

}  // namespace
}  // namespace proteus::store
