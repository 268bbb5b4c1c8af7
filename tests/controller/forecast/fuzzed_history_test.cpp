// Histories that no model was made for: every model forecasts something finite and in order, or says why not.

#include "tests/controller/forecast/fuzzed_history.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "controller/forecast/global/ensemble.h"
#include "controller/forecast/global/shipped_weights.h"
#include "controller/forecast/global_model.h"
#include "tests/controller/forecast/every_model.h"

namespace proteus::forecast {
namespace {

class FuzzedHistory : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Models, FuzzedHistory, testing::ValuesIn(kModelNames),
                         [](const auto& chosen) { return std::string(chosen.param); });

TEST_P(FuzzedHistory, GivesFiniteQuantilesInOrderOrAClearError) {
  int forecasts = 0;
  for (unsigned seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    std::vector<double> values;
    for (std::uint64_t stretches = random() % 8; stretches > 0; --stretches) add_stretch(values, random);
    const auto model = make_model(GetParam());
    const Status status = model->fit(history_of(values));
    if (!status) {
      EXPECT_TRUE(status.error().code == ErrorCode::kFailedPrecondition ||
                  status.error().code == ErrorCode::kInvalidArgument);
      EXPECT_EQ(status.error().message.rfind(GetParam(), 0), 0U) << status.error().message;
      EXPECT_EQ(model->forecast(3).error().code, ErrorCode::kFailedPrecondition);
      continue;
    }
    std::vector<double> more;
    add_stretch(more, random);
    more.resize(std::min<std::size_t>(more.size(), 30));
    for (const int steps : {1, kHorizon, 100}) {
      const Result<Forecast> forecast = model->forecast(steps);
      ASSERT_TRUE(forecast.has_value()) << forecast.error().message;
      ASSERT_NO_FATAL_FAILURE(expect_sound(*forecast, steps));
      ++forecasts;
      for (const double value : more) model->update(value);
    }
  }
  EXPECT_GT(forecasts, 150) << "most histories can be forecast from";
}

TEST(FuzzedNetworks, TheModelGivesFiniteQuantilesInOrderOrAClearError) {
  global::Forecaster networks(global::shipped_weights());
  int forecasts = 0;
  for (unsigned seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    std::vector<double> values;
    for (const std::size_t enough = 500 + random() % 700; values.size() < enough;) add_stretch(values, random);
    History history = history_of(values);
    history.step = std::chrono::minutes(seed % 2 == 0 ? 5 : 1);
    if (seed % 2 == 1) {  // five steps to each of the networks'
      std::vector<double> finer;
      for (const double value : history.values) finer.insert(finer.end(), 5, value);
      history.values = std::move(finer);
    }
    Siblings siblings{};
    GlobalModel other(networks, kResources[(seed + 1) % kResources.size()], history.step, 60, &siblings);
    static_cast<void>(other.fit(history));
    GlobalModel model(networks, kResources[seed % kResources.size()], history.step, 60, &siblings);
    if (const Status status = model.fit(history); !status) {
      EXPECT_TRUE(status.error().code == ErrorCode::kFailedPrecondition ||
                  status.error().code == ErrorCode::kInvalidArgument);
      EXPECT_EQ(status.error().message.rfind("global", 0), 0U) << status.error().message;
      continue;
    }
    std::vector<double> more;
    while (more.size() < 10) add_stretch(more, random);
    more.resize(10);
    for (const int steps : {1, 12, 60}) {
      const Result<Forecast> forecast = model.forecast(steps);
      ASSERT_TRUE(forecast.has_value()) << forecast.error().message;
      ASSERT_NO_FATAL_FAILURE(expect_sound(*forecast, steps));
      ++forecasts;
      for (const double value : more) model.update(value);
    }
  }
  EXPECT_GT(forecasts, 60) << "most histories can be forecast from";
}

TEST(FuzzedNetworks, TheEnsembleGivesFiniteQuantilesInOrderOrAClearError) {
  const std::shared_ptr<const global::Weights> weights = global::shipped_weights();
  global::Forecaster networks(weights);
  int forecasts = 0;
  for (unsigned seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    std::vector<double> values;
    for (const std::size_t enough = 500 + random() % 900; values.size() < enough;) add_stretch(values, random);
    std::vector<double> beside;
    while (beside.size() < values.size()) add_stretch(beside, random);
    beside.resize(values.size());
    if (seed % 4 != 0) {
      // The ensemble takes what is left of a history when gaps and what no sensor sends are filled in.
      for (double& value : values) value = std::isfinite(value) && std::abs(value) < 1e150 ? std::max(0.0, value) : 0;
    }
    global::Ensemble ensemble(weights, {true, true, true, true});
    for (const std::size_t back : {40U, 20U, 0U}) {
      const std::size_t now = values.size() - back;
      const std::vector<global::Past::Companion> companions = {
          {global::Kind::kMemory, std::span<const double>(beside).first(now)}};
      const global::Past past{.kind = static_cast<global::Kind>(seed % global::kKinds),
                              .values = std::span<const double>(values).first(now),
                              .companions = companions,
                              .next_epoch_s = {}};
      const Result<global::EnsembleForecast> made = ensemble.forecast(networks, past, static_cast<std::int64_t>(now));
      if (!made) {
        EXPECT_EQ(made.error().message.rfind("global forecast", 0), 0U) << made.error().message;
        continue;
      }
      ++forecasts;
      const auto in_order = [](const global::ValueLevels& levels) {
        return std::isfinite(levels.front()) && std::isfinite(levels.back()) && levels.front() >= 0 &&
               std::is_sorted(levels.begin(), levels.end());
      };
      EXPECT_TRUE(std::all_of(made->steps.begin(), made->steps.end(), in_order));
      EXPECT_TRUE(std::all_of(made->maxima.begin(), made->maxima.end(), in_order));
      for (std::size_t w = 0; w < global::kWindows.size(); ++w) {
        EXPECT_TRUE(std::isfinite(made->reservations[w]) && made->frugal[w] >= 0);
        EXPECT_LE(made->frugal[w], made->reservations[w]);
      }
    }
  }
  EXPECT_GT(forecasts, 40) << "most histories can be forecast from";
}

}  // namespace
}  // namespace proteus::forecast
