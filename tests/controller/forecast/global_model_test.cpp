#include "controller/forecast/global_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "controller/forecast/engine.h"
#include "controller/forecast/global/shipped_weights.h"

namespace proteus::forecast {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr int kDay = 288;
const Timestamp kStart = from_unix_ns(1'700'006'400'000'000'000);  // midnight

/// A working day: busy from eight to six, noise around it. step: of five minutes, may be a fraction.
double office(double step, std::mt19937_64& random) {
  const double hour = std::fmod(step / 12, 24);
  return (hour >= 8 && hour < 18 ? 2.0 : 0.3) * (0.9 + 0.2 * (static_cast<double>(random() >> 11) * 0x1p-53));
}

History history_of(int steps, int per_bin, unsigned seed = 1) {
  std::mt19937_64 random(seed);
  History history{kStart + minutes(5) * steps / per_bin, minutes(5) / per_bin, {}};
  for (int i = 0; i < steps; ++i) history.values.push_back(office(static_cast<double>(i) / per_bin, random));
  return history;
}

class GlobalModelTest : public testing::Test {
 protected:
  global::Forecaster forecaster_{global::shipped_weights()};
};

TEST_F(GlobalModelTest, SuitsStepsThatDivideFiveMinutesADayAndNoMore) {
  EXPECT_TRUE(GlobalModel::suits(minutes(5), hours(24), 288));
  EXPECT_TRUE(GlobalModel::suits(minutes(1), hours(24), 30));
  EXPECT_FALSE(GlobalModel::suits(minutes(5), hours(24), 289)) << "a horizon beyond a day";
  EXPECT_FALSE(GlobalModel::suits(minutes(2), hours(24), 30));
  EXPECT_FALSE(GlobalModel::suits(minutes(10), hours(24), 30));
  EXPECT_FALSE(GlobalModel::suits(seconds(2), hours(1), 15)) << "nothing but a day has a day's course";
}

TEST_F(GlobalModelTest, KnowsTheCourseOfTheDay) {
  GlobalModel model(forecaster_, Resource::kCpu, minutes(5), kDay);
  EXPECT_EQ(model.fit(history_of(2 * kDay - 1, 1)).error().code, ErrorCode::kFailedPrecondition);
  ASSERT_TRUE(model.fit(history_of(6 * kDay, 1)));
  const Forecast forecast = model.forecast(kDay).value();
  ASSERT_EQ(forecast.steps.size(), 288u);
  EXPECT_EQ(forecast.made_at, kStart + hours(6 * 24));
  EXPECT_NEAR(forecast.steps[3 * 12].p50, 0.3, 0.15) << "three in the morning";
  EXPECT_NEAR(forecast.steps[12 * 12].p50, 2, 0.4) << "noon";
  EXPECT_GT(forecast.window_max.p50, 1.8);
  for (const Quantiles& q : forecast.steps) {
    EXPECT_TRUE(std::isfinite(q.p10) && q.p10 <= q.p50 && q.p50 <= q.p90 && q.p90 <= q.p95 && q.p95 <= q.p99);
    EXPECT_LE(q.p99, forecast.window_max.p99);
  }
}

TEST_F(GlobalModelTest, OfMinutesItMakesBinsOfFive) {
  GlobalModel model(forecaster_, Resource::kCpu, minutes(1), 30);
  const History minutes_of = history_of(3 * kDay * 5, 5);
  ASSERT_TRUE(model.fit(minutes_of));
  const Forecast before = model.forecast(30).value();
  EXPECT_EQ(before.steps[0], before.steps[4]);
  model.update(0.3);
  const Forecast after = model.forecast(30).value();
  EXPECT_EQ(after.made_at, before.made_at + minutes(1));
  EXPECT_EQ(after.steps[3], before.steps[4]) << "no bin is full: the same forecast, a minute later";
  for (int i = 1; i < 5; ++i) model.update(i == 2 ? std::nan("") : 0.3);
  History longer = minutes_of;
  longer.end += minutes(5);
  longer.values.insert(longer.values.end(), 5, 0.3);
  GlobalModel anew(forecaster_, Resource::kCpu, minutes(1), 30);
  ASSERT_TRUE(anew.fit(longer));
  EXPECT_EQ(model.forecast(30)->steps, anew.forecast(30)->steps);
}

TEST_F(GlobalModelTest, LooksAtTheOtherResourcesOfItsVm) {
  Siblings siblings{};
  GlobalModel model(forecaster_, Resource::kCpu, minutes(5), 12, &siblings);
  ASSERT_TRUE(model.fit(history_of(4 * kDay, 1)));
  const Forecast alone = model.forecast(12).value();
  const auto with = [&](History network) {
    GlobalModel other(forecaster_, Resource::kNetwork, minutes(5), 12, &siblings);
    EXPECT_TRUE(other.fit(network));
    GlobalModel anew(forecaster_, Resource::kCpu, minutes(5), 12, &siblings);
    EXPECT_TRUE(anew.fit(history_of(4 * kDay, 1)));
    return anew.forecast(12).value();
  };
  History surge = history_of(4 * kDay, 1);
  for (std::size_t i = surge.values.size() - 3; i < surge.values.size(); ++i) surge.values[i] = 50;
  const Forecast seen = with(surge);
  EXPECT_NE(seen.steps, alone.steps);
  surge.end -= hours(1);
  EXPECT_EQ(with(surge).steps, alone.steps) << "an hour old";
  EXPECT_EQ(siblings, Siblings{}) << "both are gone";
}

TEST_F(GlobalModelTest, TakesGapsAndRefusesWhatCannotBeComputedWith) {
  GlobalModel model(forecaster_, Resource::kMemory, minutes(5), 12);
  History history = history_of(4 * kDay, 1);
  for (std::size_t i = 300; i < 360; ++i) history.values[i] = std::nan("");
  history.values.back() = std::nan("");
  ASSERT_TRUE(model.fit(history));
  EXPECT_TRUE(std::isfinite(model.forecast(12)->window_max.p99));
  history.values[400] = 1e200;
  EXPECT_EQ(model.fit(history).error().code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(model.forecast(12));
}

/// Batch jobs of which a scheduler tells hours before, at times that no day repeats.
struct Jobs final : Covariates {
  explicit Jobs(unsigned seed) {
    std::mt19937_64 random(seed);
    for (std::size_t t = 0; t < 12 * kDay;) {
      const std::size_t pause = 30 + random() % 150;
      const std::size_t length = 10 + random() % 60;
      on.insert(on.end(), pause, false);
      on.insert(on.end(), length, true);
      t = on.size();
    }
  }
  const std::vector<std::string>& names() const override { return names_; }
  void at(Timestamp begin, std::span<double> out) const override {
    const auto t = static_cast<std::size_t>((begin - kStart) / minutes(5));
    out[0] = known && t < on.size() ? (on[t] ? 1.0 : 0.0) : std::nan("");
  }
  std::vector<bool> on;
  bool known = true;
  std::vector<std::string> names_ = {"jobs"};
};

/// Mean pinball loss over an hour's forecasts each two hours of two days; the demand is that of `jobs`, the signal may
/// be another's. covariates, pressure: null for none.
double loss_of(global::Forecaster& forecaster, const Jobs& jobs, const Covariates* covariates,
               const HostPressure* pressure = nullptr) {
  constexpr int kFirst = 6 * kDay;
  std::mt19937_64 random(9);
  History history{kStart, minutes(5), {}};
  for (int t = 0; t < kFirst + 2 * kDay; ++t) {
    history.values.push_back(0.4 * office(t, random) + (jobs.on[static_cast<std::size_t>(t)] ? 1.5 : 0.0));
  }
  double loss = 0;
  for (int origin = kFirst; origin + 12 <= kFirst + 2 * kDay; origin += 24) {
    GlobalModel model(forecaster, Resource::kCpu, minutes(5), 12, nullptr, pressure);
    model.set_covariates(covariates);
    const auto end = history.values.begin() + origin;
    EXPECT_TRUE(model.fit({kStart + minutes(5) * origin, minutes(5), {history.values.begin(), end}}));
    const Forecast forecast = model.forecast(12).value();
    for (std::size_t h = 0; h < 12; ++h) {
      for (std::size_t k = 0; k < kQuantileLevels.size(); ++k) {
        const double error = end[static_cast<std::ptrdiff_t>(h)] - forecast.steps[h].*kQuantileMembers[k];
        loss += error > 0 ? kQuantileLevels[k] * error : (kQuantileLevels[k] - 1) * error;
      }
    }
  }
  return loss;
}

TEST_F(GlobalModelTest, ASignalThatDecidesIsUsedAndAUselessOneDoesNoHarm) {
  const Jobs jobs(1);
  const Jobs others(2);
  Jobs silent(3);
  silent.known = false;
  const double without = loss_of(forecaster_, jobs, nullptr);
  EXPECT_LT(loss_of(forecaster_, jobs, &jobs), 0.75 * without);
  EXPECT_LT(loss_of(forecaster_, jobs, &others), 1.03 * without);
  EXPECT_LT(loss_of(forecaster_, jobs, &silent), 1.03 * without);
}

TEST_F(GlobalModelTest, AHostWithoutPressureIsNoNews) {
  HostPressure none;
  HostPressure calm;
  const Jobs jobs(1);
  for (int t = 0; t < 8 * kDay; ++t) calm.observe(kStart + minutes(5) * t, 0);
  const double unknown = loss_of(forecaster_, jobs, nullptr, &none);
  EXPECT_EQ(unknown, loss_of(forecaster_, jobs, nullptr));
  EXPECT_LT(loss_of(forecaster_, jobs, nullptr, &calm), 1.03 * unknown);
}

TEST_F(GlobalModelTest, PressureOnTheHostIsAnInput) {
  const auto with = [&](double pressure) {
    HostPressure host;
    for (int t = 0; t < 12; ++t) host.observe(kStart + hours(4 * 24) - minutes(3 + 5 * t), pressure);
    GlobalModel model(forecaster_, Resource::kCpu, minutes(5), 12, nullptr, &host);
    EXPECT_TRUE(model.fit(history_of(4 * kDay, 1)));
    return model.forecast(12)->steps;
  };
  EXPECT_NE(with(0), with(1.5));
}

TEST_F(GlobalModelTest, SignalsOfMinutesAreAveragedByBin) {
  /// Known in one minute of five only.
  struct Sparse final : Covariates {
    const std::vector<std::string>& names() const override { return names_; }
    void at(Timestamp begin, std::span<double> out) const override {
      const auto minute = (begin - kStart) / minutes(1);
      out[0] = minute % 5 == 2 && jobs.on[static_cast<std::size_t>(minute / 5)] ? 1.0
               : minute % 5 == 2                                                ? 0.0
                                                                                : std::nan("");
    }
    Jobs jobs{4};
    std::vector<std::string> names_ = {"jobs"};
  } sparse;
  const auto with = [&](const Covariates* covariates) {
    GlobalModel model(forecaster_, Resource::kCpu, minutes(1), 30);
    model.set_covariates(covariates);
    EXPECT_TRUE(model.fit(history_of(3 * kDay * 5, 5)));
    return model.forecast(30)->steps;
  };
  EXPECT_EQ(with(&sparse), with(&sparse));
  EXPECT_NE(with(&sparse), with(nullptr));
}

TEST(EngineWithNetworks, BlendsThemInWhereTheyAreBetterAndSurvivesALevelShift) {
  EngineOptions options;
  options.step = minutes(5);
  options.horizon_steps = 24;
  options.networks = global::shipped_weights();
  Engine engine(options);
  const VmId vm("vm");
  std::mt19937_64 random(1);
  int step = 0;
  const auto feed = [&](int until, double factor) {
    for (; step < until; ++step)
      engine.observe(vm, Resource::kCpu, kStart + minutes(5) * step, factor * office(step, random));
  };
  const auto rows = [&] { return engine.accuracy(vm, Resource::kCpu).models; };
  const auto find = [&](const char* name) {
    for (const Accuracy& row : rows()) {
      if (row.model == name) return row;
    }
    return Accuracy{};
  };
  feed(kDay, 1);
  EXPECT_EQ(find("global").reason, "global: a season has not been seen yet");
  feed(4 * kDay + 90, 1);  // half past seven
  const Accuracy global = find("global");
  ASSERT_EQ(global.leads.size(), 3u) << global.reason;
  EXPECT_GT(global.leads[0].share, 0.5);
  EXPECT_GT(global.leads[1].share, 0.5);
  const Accuracy trend = find("holt_damped");
  ASSERT_EQ(trend.leads.size(), 3u);
  EXPECT_LT(global.leads[2].pinball_loss, 0.25 * trend.leads[2].pinball_loss)
      << "two hours ahead, the start of work is known only to those who know days";
  const Forecast forecast = engine.forecast(vm, Resource::kCpu, kStart + minutes(5) * step).value();
  EXPECT_GT(forecast.steps[18].p50, 1) << "nine o'clock";
  // From now on four times as much.
  feed(4 * kDay + 150, 4);
  const Forecast later = engine.forecast(vm, Resource::kCpu, kStart + minutes(5) * step).value();
  EXPECT_NEAR(later.steps[3].p50, 8, 2);
  EXPECT_GT(later.window_max.p90, 7.5);
}

/// What an engine says of the next hour after three days of jobs.
Forecast after_jobs(const Jobs* told, double pressure) {
  EngineOptions options;
  options.step = minutes(5);
  options.horizon_steps = 12;
  options.networks = global::shipped_weights();
  Engine engine(options);
  const VmId vm("vm");
  const Jobs jobs(1);
  std::mt19937_64 random(1);
  for (int step = 0; step <= 3 * kDay; ++step) {
    const Timestamp time = kStart + minutes(5) * step;
    if (told != nullptr) {
      SignalPush push{"jobs", vm, hours(2), {}};
      push.points.push_back({time, told->on[static_cast<std::size_t>(step) + 24] ? 1.0 : 0.0});
      engine.push(push);
    }
    engine.observe_pressure(vm, time, pressure);
    engine.observe(vm, Resource::kCpu, time,
                   0.4 * office(step, random) + (jobs.on[static_cast<std::size_t>(step)] ? 1.5 : 0.0));
  }
  return engine.forecast(vm, Resource::kCpu, kStart + minutes(5) * 3 * kDay).value();
}

TEST(EngineWithNetworks, GiveThemSignalsAndPressure) {
  const Jobs jobs(1);
  const Forecast blind = after_jobs(nullptr, 0);
  EXPECT_NE(blind.steps, after_jobs(&jobs, 0).steps);
  EXPECT_NE(blind.steps, after_jobs(nullptr, 2).steps);
}

TEST(EngineWithNetworks, PressureIsKeptWithTheState) {
  EngineOptions options;
  options.step = minutes(5);
  options.horizon_steps = 12;
  options.networks = global::shipped_weights();
  const VmId vm("vm");
  const auto restored = [&](double pressure) {
    Engine engine(options);
    std::mt19937_64 random(1);
    for (int step = 0; step <= 3 * kDay; ++step) {
      engine.observe(vm, Resource::kCpu, kStart + minutes(5) * step, office(step, random));
      if (step > 3 * kDay - 12) engine.observe_pressure(vm, kStart + minutes(5) * step, pressure);
    }
    Engine anew(options);
    EXPECT_TRUE(anew.restore(engine.save({vm, Resource::kCpu}).value()));
    return anew.forecast(vm, Resource::kCpu, kStart + minutes(5) * 3 * kDay)->steps;
  };
  EXPECT_NE(restored(0.0), restored(2.0));
}

}  // namespace
}  // namespace proteus::forecast
