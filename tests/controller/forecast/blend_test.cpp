#include "controller/forecast/blend.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace proteus::forecast {
namespace {

constexpr int kHorizon = 60;

Forecast flat(double p50, double width, std::size_t steps = kHorizon) {
  Forecast forecast;
  forecast.step = std::chrono::minutes(1);
  forecast.window_max = {p50 - width, p50, p50 + width, p50 + 1.3 * width, p50 + 2 * width};
  forecast.steps.assign(steps, forecast.window_max);
  return forecast;
}

/// Of a model whose median is off by `bias` while the truth is noise around 10, for so many steps.
TrackRecord record_of(double bias, int steps, double sudden_bias = 0) {
  TrackRecord record(kHorizon);
  std::mt19937_64 random(1);
  std::normal_distribution<double> truth(10, 1);
  for (int i = 0; i < steps; ++i) {
    record.close(i == 0 ? std::nan("") : truth(random), std::nan(""), {1, 1, 1});
    record.remember(flat(10 + (i + 8 >= steps ? bias + sudden_bias : bias), 1.3));
  }
  return record;
}

TEST(Blend, SharesGoWithRecentLossAndAddUpToOne) {
  const TrackRecord fallback = record_of(1, 200);
  const TrackRecord good = record_of(0, 200);
  const TrackRecord bad = record_of(2, 200);
  const BlendMember others[] = {{&good}, {}, {&bad}};
  const std::vector<Shares> shares = shares_of(others, fallback);
  ASSERT_EQ(shares.size(), 4u);
  for (std::size_t lead = 0; lead < TrackRecord::kScoredLeads; ++lead) {
    EXPECT_NEAR(shares[0][lead] + shares[3][lead], 1, 1e-12);
    EXPECT_GT(shares[0][lead], 0.8);
    EXPECT_EQ(shares[1][lead], 0);
    EXPECT_EQ(shares[2][lead], 0) << "it loses to the fallback";
  }
}

TEST(Blend, HardlyKnownModelsHaveNoShare) {
  const TrackRecord fallback = record_of(1, 200);
  const TrackRecord young = record_of(0, 25);
  const BlendMember others[] = {{&young}};
  const std::vector<Shares> shares = shares_of(others, fallback);
  EXPECT_EQ(shares[0], Shares{});
  EXPECT_EQ(shares[1], (Shares{1, 1, 1}));
}

TEST(Blend, AModelThatIsSuddenlyFarOffLosesItsSharesAtOnce) {
  const TrackRecord fallback = record_of(1, 200);
  const TrackRecord good = record_of(0, 200, 6);
  const BlendMember others[] = {{&good}};
  EXPECT_LT(good.loss_at(0), fallback.loss_at(0)) << "by its record it is still the better one";
  const std::vector<Shares> shares = shares_of(others, fallback);
  for (const double share : shares[0]) EXPECT_LT(share, 0.05);
}

TEST(Blend, AveragesQuantilesWithSharesBetweenTheLeads) {
  const Forecast low = flat(10, 1, 10);
  const Forecast high = flat(20, 1, 10);
  const Forecast* const forecasts[] = {&low, nullptr, &high};
  const std::vector<Shares> shares = {{1, 0.5, 0}, {0, 0, 0}, {0, 0.5, 1}};
  const Forecast blend = blended(forecasts, shares, {1, 5, 10});
  ASSERT_EQ(blend.steps.size(), 10u);
  EXPECT_NEAR(blend.steps[0].p50, 10, 1e-12);
  EXPECT_NEAR(blend.steps[4].p50, 15, 1e-12);
  EXPECT_NEAR(blend.steps[9].p50, 20, 1e-12);
  EXPECT_GT(blend.steps[1].p50, 11);
  EXPECT_LT(blend.steps[2].p50, blend.steps[3].p50);
  for (const Quantiles& q : blend.steps) {
    EXPECT_NEAR(q.p90 - q.p50, 1, 1e-12);
    EXPECT_GE(blend.window_max.p90, q.p90) << "the maximum is at least each step";
  }
  EXPECT_EQ(blend.step, low.step);
}

TEST(TrackRecord, ScoresLongLeadsOnlyNowAndThenButEveryShortOne) {
  TrackRecord record(288);
  for (int i = 0; i <= 600; ++i) {
    record.close(i == 0 ? std::nan("") : 10.0, std::nan(""), {HUGE_VAL, HUGE_VAL, HUGE_VAL});
    record.remember(flat(11, 1, 288));
  }
  EXPECT_EQ(record.scored_at(0), 600);
  EXPECT_EQ(record.scored_at(1), (601 - 144) / 4);
  EXPECT_EQ(record.scored_at(2), (601 - 288) / 8);
  EXPECT_NEAR(record.loss_at(2), record.loss_at(0), 1e-9) << "the same forecast is as good at every lead";
  const auto leads = record.leads(2, {0.5, 0, 1});
  ASSERT_EQ(leads.size(), 3u);
  EXPECT_NEAR(leads[2].mase, 0.5, 1e-9);
  EXPECT_EQ(leads[2].share, 1);
}

}  // namespace
}  // namespace proteus::forecast
