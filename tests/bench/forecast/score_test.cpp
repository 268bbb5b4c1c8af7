#include "tests/bench/forecast/score.h"

#include <gtest/gtest.h>

namespace proteus::bench {
namespace {

/// One origin with the same forecast at every step.
Outcome constant_outcome(const Levels& levels, std::span<const double> actual) {
  return {std::vector<Levels>(kHorizon, levels), {}, actual};
}

TEST(Score, IsThatOfTheDefinitions) {
  std::vector<double> actual(kHorizon, 10.0);
  actual[0] = 14;
  actual[5] = 30;
  const std::vector<Outcome> outcomes = {constant_outcome({8, 11, 12, 20, 40}, actual)};
  const SeriesScore s = score(outcomes, {.step = 2, .season = 4});
  EXPECT_DOUBLE_EQ(s.reach[kNext].mase, 3.0 / 4);
  EXPECT_DOUBLE_EQ(s.reach[kNext].mase1, 3.0 / 2);
  EXPECT_DOUBLE_EQ(s.reach[kHalfHour].mase, (3 + 4 * 1 + 19) / 6.0 / 4);
  // Pinball losses at the first step: 0.1·6, 0.5·3, 0.9·2, 0.05·6, 0.01·26.
  EXPECT_DOUBLE_EQ(s.reach[kNext].sql_at[kP90], 2 * 0.9 * 2 / 4);
  EXPECT_DOUBLE_EQ(s.reach[kNext].sql, 2 * (0.6 + 1.5 + 1.8 + 0.3 + 0.26) / 5 / 4);
  EXPECT_DOUBLE_EQ(s.reach[kHour].coverage[kP50], 10.0 / 12);
  EXPECT_DOUBLE_EQ(s.reach[kHour].coverage[kP95], 11.0 / 12);
  EXPECT_DOUBLE_EQ(s.window[0].under, 1.0 / 12);
  EXPECT_DOUBLE_EQ(s.window[0].windows_over, 1);
  EXPECT_DOUBLE_EQ(s.window[0].shortage, 10 / 144.0 / 1);
  EXPECT_DOUBLE_EQ(s.window[0].slack_scaled, (6 + 10 * 10) / 12.0 / 4);
}

TEST(Score, TheOutputRuleSortsAndLifts) {
  Levels levels = {3, -1, 2, -5, 1};
  apply_output_rule(levels);
  EXPECT_EQ(levels, (Levels{0, 0, 1, 2, 3}));
}

TEST(Score, ScalesAreMeanNaiveErrors) {
  std::vector<double> values;
  for (std::size_t t = 0; t < 2 * kHorizon; ++t) values.push_back(t % 2 == 0 ? 1 : 4);
  values.back() = 16;
  const Scales scales = scales_of(values);
  EXPECT_DOUBLE_EQ(scales.step, (574 * 3 + 15) / 575.0);
  EXPECT_DOUBLE_EQ(scales.season, 12.0 / 288);
}

TEST(IsoSlack, FindsTheSmallestReservationWithinTheRisk) {
  // Demand 0 … 99 in turn, median 50, p95 60: one step in a hundred may be above, so 98 is reserved.
  std::vector<double> actual;
  for (std::size_t t = 0; t < kHorizon; ++t) actual.push_back(static_cast<double>(t % 100));
  std::vector<ScoredSeries> series(1);
  series[0].scales = {1, 1};
  series[0].outcomes = {constant_outcome({0, 50, 55, 60, 70}, actual)};
  const IsoSlack iso = iso_slack(series, 1, 2.0 / 288 + 1e-9);
  EXPECT_NEAR(iso.c, 4.8, 1e-4);
  EXPECT_DOUBLE_EQ(iso.under, 2.0 / 288);
  // With quantiles of the maximum, those are scaled.
  series[0].outcomes[0].window_max[1] = Levels{0, 90, 95, 100, 110};
  EXPECT_NEAR(iso_slack(series, 1, 2.0 / 288 + 1e-9).c, 0.8, 1e-4);
}

}  // namespace
}  // namespace proteus::bench
