// A VM that has been seen for ten minutes is forecast from what like VMs do, and the quantiles are honest.

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "controller/forecast/engine_pool.h"

namespace proteus::forecast {
namespace {

using std::chrono::minutes;

const Timestamp kStart = from_unix_ns(1'700'000'040'000'000'000);
constexpr int kHorizon = 30;

EngineOptions options() {
  EngineOptions options;
  options.horizon_steps = kHorizon;
  options.history_steps = 240;
  return options;
}

/// Idle most of the time, at work in spells: ten quiet minutes say little about the next half hour.
class Burst {
 public:
  explicit Burst(unsigned seed) : random_(seed), base_(0.1 + 0.2 * uniform()) {}
  double next() {
    if (uniform() < (busy_ ? 0.1 : 0.02)) {
      busy_ = !busy_;
      height_ = 0.5 + 1.5 * uniform();
    }
    return base_ + (busy_ ? height_ : 0) + 0.05 * uniform();
  }

 private:
  double uniform() { return static_cast<double>(random_() % 1'000'000) / 1e6; }
  std::mt19937_64 random_;
  double base_;
  bool busy_ = false;
  double height_ = 0;
};

TEST(ColdStart, BorrowsFromLikeVmsAndCoversWhatItStates) {
  EnginePool pool(options(), 2);
  int covered_p90 = 0;
  int covered_window_p90 = 0;
  int covered_window_p99 = 0;
  int count = 0;
  std::vector<Burst> old;
  for (unsigned i = 0; i < 60; ++i) old.emplace_back(i);
  int step = 0;
  for (; step < 200; ++step) {
    for (std::size_t k = 0; k < old.size(); ++k) {
      pool.observe(VmId("old-" + std::to_string(k)), Resource::kCpu, kStart + minutes(step), old[k].next());
    }
    pool.begin_round();
  }
  // Then many come up at the same time. The newest tick is in a step that is still open, the first one forecast.
  std::vector<Burst> young;
  for (unsigned i = 0; i < 200; ++i) young.emplace_back(5000 + i);
  for (int i = 0; i < 11; ++i, ++step) {
    for (std::size_t k = 0; k < young.size(); ++k) {
      pool.observe(VmId("young-" + std::to_string(k)), Resource::kCpu, kStart + minutes(step), young[k].next());
    }
    pool.begin_round();
  }
  pool.take(pool.rounds_begun());
  for (std::size_t k = 0; k < young.size(); ++k) {
    const Forecast forecast =
        pool.forecast(VmId("young-" + std::to_string(k)), Resource::kCpu, kStart + minutes(step)).value();
    EXPECT_EQ(forecast.model, "like");
    double highest = 0;
    double tenth = 0;
    for (int h = 2; h <= kHorizon; ++h) {
      const double value = young[k].next();
      if (h == 10) tenth = value;
      highest = std::max(highest, value);
    }
    covered_p90 += tenth <= forecast.steps[9].p90 ? 1 : 0;
    covered_window_p90 += highest <= forecast.window_max.p90 ? 1 : 0;
    covered_window_p99 += highest <= forecast.window_max.p99 ? 1 : 0;
    ++count;
  }
  EXPECT_NEAR(static_cast<double>(covered_p90) / count, 0.9, 0.08);
  EXPECT_NEAR(static_cast<double>(covered_window_p90) / count, 0.9, 0.08);
  EXPECT_GE(static_cast<double>(covered_window_p99) / count, 0.95);
}

TEST(ColdStart, AloneItIsWideAroundTheLastValue) {
  EnginePool pool(options(), 1);
  pool.observe(VmId("only"), Resource::kCpu, kStart, 1);
  pool.begin_round();
  pool.take(1);
  const Forecast forecast = pool.forecast(VmId("only"), Resource::kCpu, kStart).value();
  EXPECT_EQ(forecast.model, "cold_start");
  EXPECT_EQ(forecast.window_max.p50, 1);
  EXPECT_EQ(forecast.window_max.p99, 2);
}

TEST(KinTable, LearnsFromIdleOnesForIdleOnes) {
  KinTable table(kHorizon);
  std::vector<KinSample> samples;
  std::mt19937_64 random(1);
  for (std::uint64_t series = 0; series < 20; ++series) {
    const double level = series < 10 ? 0.02 : 2;
    const double rise = series < 10 ? 0.01 : 1;
    for (int round = 0; round < 20; ++round) {
      std::vector<double> values;
      for (int i = 0; i < 50; ++i) values.push_back(level + rise * static_cast<double>(random() % 100) / 100);
      append_kin_samples(values, kHorizon, series, Resource::kCpu, samples);
    }
  }
  EXPECT_FALSE(table.usable(Resource::kCpu));
  table.add(samples);
  EXPECT_TRUE(table.usable(Resource::kCpu));
  EXPECT_FALSE(table.usable(Resource::kMemory));
  Forecast idle;
  Forecast busy;
  table.forecast(Resource::kCpu, std::vector<double>(10, 0.025), idle);
  table.forecast(Resource::kCpu, std::vector<double>(10, 2.5), busy);
  EXPECT_LT(idle.window_max.p99, 0.05);
  EXPECT_GT(busy.window_max.p90, 2.8);
  EXPECT_LT(busy.window_max.p99, 4);
}

TEST(KinTable, ManySamplesOfFewSeriesAreNotEnough) {
  KinTable table(kHorizon);
  std::vector<KinSample> samples;
  for (int round = 0; round < 500; ++round) {
    append_kin_samples(std::vector<double>(50, 1.0 + round % 7), kHorizon, static_cast<std::uint64_t>(round % 4),
                       Resource::kCpu, samples);
  }
  table.add(samples);
  EXPECT_FALSE(table.usable(Resource::kCpu));
}

}  // namespace
}  // namespace proteus::forecast
