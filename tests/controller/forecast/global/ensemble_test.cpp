#include "controller/forecast/global/ensemble.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "controller/forecast/global/reservation.h"
#include "tests/controller/forecast/global/small_weights.h"

namespace proteus::forecast::global {
namespace {

constexpr Members kAll = {true, true, true, true};

std::vector<double> daily(std::size_t count, double noise) {
  std::mt19937 random(8);
  std::normal_distribution<double> normal;
  std::vector<double> values(count);
  for (std::size_t t = 0; t < count; ++t) {
    values[t] = std::max(0.0, (t % kDay < kDay / 2 ? 10.0 : 50.0) + noise * normal(random));
  }
  return values;
}

EnsembleForecast forecast_at(Ensemble& ensemble, Forecaster& forecaster, const std::vector<double>& values,
                             std::size_t origin) {
  const Past past{.kind = Kind::kCpu, .values = std::span(values).first(origin), .companions = {}, .next_epoch_s = {}};
  Result<EnsembleForecast> made = ensemble.forecast(forecaster, past, static_cast<std::int64_t>(origin));
  EXPECT_TRUE(made);
  return made ? *made : EnsembleForecast{};
}

TEST(Ensemble, GivesFiniteAscendingLevelsForOddHistories) {
  const auto weights = std::make_shared<const Weights>(small_weights());
  Forecaster forecaster(weights);
  std::vector<double> spike(kWeek, 0.0);
  spike.back() = 1e15;
  for (const auto& values : {daily(kHistoryMin, 1), std::vector<double>(kHistoryMin, 0.0), spike}) {
    Ensemble ensemble(weights, kAll);
    const EnsembleForecast made = forecast_at(ensemble, forecaster, values, values.size());
    ASSERT_EQ(made.steps.size(), kHorizon);
    for (const ValueLevels& levels : made.steps) {
      EXPECT_TRUE(std::is_sorted(levels.begin(), levels.end()));
      EXPECT_GE(levels[0], 0);
      EXPECT_TRUE(std::isfinite(levels[4]));
    }
    for (const double reserved : made.reservations) EXPECT_TRUE(std::isfinite(reserved));
  }
}

TEST(Ensemble, TrustsTheMemberThatHasBeenRight) {
  const auto weights = std::make_shared<const Weights>(small_weights());
  Forecaster forecaster(weights);
  Ensemble ensemble(weights, kAll);
  const std::vector<double> values = daily(kWeek + 3 * kDay, 1);
  for (std::size_t origin = kWeek; origin < values.size(); origin += 24) {
    forecast_at(ensemble, forecaster, values, origin);
  }
  // A square wave: the seasonal autoregression knows when it will jump.
  const std::array<double, kMembers> shares = ensemble.shares(2);
  EXPECT_NEAR(shares[0] + shares[1] + shares[2] + shares[3], 1, 1e-9);
  EXPECT_GT(shares[static_cast<std::size_t>(Member::kSeasonalAr)], 2 * shares[static_cast<std::size_t>(Member::kAr)]);
  EXPECT_NEAR(Ensemble(weights, kAll).shares(2)[0], 0.25, 1e-9) << "before anything is scored, validation's";
}

TEST(Ensemble, WithoutAMemberItsShareIsZero) {
  const auto weights = std::make_shared<const Weights>(small_weights());
  const Ensemble ensemble(weights, {true, false, true, true});
  EXPECT_EQ(ensemble.shares(0)[1], 0);
  EXPECT_NEAR(ensemble.shares(0)[0], 1.0 / 3, 1e-9);
}

TEST(Ensemble, TheGuardWidensAfterARunOfMisses) {
  const auto weights = std::make_shared<const Weights>(small_weights());
  Forecaster forecaster(weights);
  constexpr Members kOne = {true, false, false, false};
  Ensemble guarded(weights, kOne);
  std::vector<double> values = daily(kWeek, 1);
  // Then it climbs past every forecast, for two days.
  for (std::size_t t = 0; t < 2 * kDay; ++t) values.push_back(60 + 2 * static_cast<double>(t));
  for (std::size_t origin = kWeek; origin <= values.size(); origin += 24) {
    forecast_at(guarded, forecaster, values, origin);
  }
  Ensemble fresh(weights, kOne);
  const double with = forecast_at(guarded, forecaster, values, values.size()).steps[100][3];
  const double without = forecast_at(fresh, forecaster, values, values.size()).steps[100][3];
  EXPECT_GT(with, without);
}

TEST(Reservation, RisesWithThePriceAndStaysWithinReach) {
  const std::vector<ValueLevels> steps(12, ValueLevels{1, 2, 4, 5, 9});
  double before = 0;
  for (const double price : {0.01, 1.0, 10.0, 100.0, 1e4}) {
    const double reserved = reservation(steps, 1.0, price);
    EXPECT_GE(reserved, before);
    before = reserved;
  }
  EXPECT_LT(reservation(steps, 1.0, 0.01), 2);
  EXPECT_GE(reservation(steps, 1.0, 1e4), 9);
}

TEST(Reservation, WhereTheNextPercentIsDearItIsNotBought) {
  // From p95 to p99 costs 1 in one series and 1000 in the other.
  const std::vector<ValueLevels> calm(12, ValueLevels{1, 2, 4, 5, 6});
  const std::vector<ValueLevels> wild(12, ValueLevels{1, 2, 4, 5, 1005});
  constexpr double kPrice = 100;
  EXPECT_GE(reservation(calm, 1.0, kPrice), 5.9);
  EXPECT_LE(reservation(wild, 1.0, kPrice), 100);
}

}  // namespace
}  // namespace proteus::forecast::global
