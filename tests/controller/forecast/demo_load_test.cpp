// The setting of the demonstration: steps of two seconds, some minutes of history, five VMs of which one suddenly wants
// more. A trend that damped Holt announces must come out of the whole engine as well as out of that model alone.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "controller/forecast/engine_pool.h"
#include "controller/forecast/global/shipped_weights.h"
#include "controller/forecast/holt_damped.h"

namespace proteus::forecast {
namespace {

using std::chrono::seconds;

const Timestamp kStart = from_unix_ns(1'700'000'000'000'000'000);
constexpr int kHorizon = 15;
constexpr int kRefitEvery = 5;

EngineOptions options() {
  EngineOptions options;
  options.step = seconds(2);
  options.horizon_steps = kHorizon;
  options.history_steps = 600;
  options.season = std::chrono::hours(1);
  options.min_history_steps = 5;
  options.refit_every_steps = kRefitEvery;
  options.networks = global::shipped_weights();
  return options;
}

struct Loss {
  double p50 = 0;  ///< mean absolute error
  double p90 = 0;  ///< pinball loss
  void add(const Forecast& forecast, const std::function<double(int)>& level, int made_at) {
    for (int h = 1; h <= kHorizon; ++h) {
      const Quantiles& q = forecast.steps[static_cast<std::size_t>(h - 1)];
      const double actual = level(made_at + h - 1);
      p50 += std::abs(q.p50 - actual);
      p90 += actual >= q.p90 ? 0.9 * (actual - q.p90) : 0.1 * (q.p90 - actual);
    }
  }
};

struct Losses {
  Loss engine;
  Loss holt;
};

/// level: of the first VM, by step; the others are flat. Losses count from step `from` on.
Losses run(unsigned seed, int steps, int from, const std::function<double(int)>& level) {
  EnginePool pool(options(), 1);
  HoltDamped holt(kHorizon);
  std::mt19937_64 random(seed);
  std::normal_distribution<double> noise(0, 0.02);
  const double flat[] = {0, 0.22, 0.28, 0.05, 0.03};
  std::vector<double> history;
  Losses losses;
  bool fitted = false;
  for (int i = 0; i < steps; ++i) {
    for (int vm = 0; vm < 5; ++vm) {
      const double value = std::max(0.0, (vm == 0 ? level(i) : flat[vm]) + noise(random));
      pool.observe(VmId("vm-" + std::to_string(vm)), Resource::kCpu, kStart + seconds(2 * i), value);
      if (vm == 0) history.push_back(value);
    }
    pool.begin_round();
    pool.take(pool.rounds_begun());
    // The pool's newest closed step is the one before this.
    if (i < 6) continue;
    const std::vector<double> closed(history.begin(), history.end() - 1);
    if (!fitted || i % kRefitEvery == 0) {
      fitted = holt.fit({kStart + seconds(2 * i), seconds(2), closed}).has_value();
    } else {
      holt.update(closed.back());
    }
    if (i < from) continue;
    losses.engine.add(pool.forecast(VmId("vm-0"), Resource::kCpu, kStart + seconds(2 * i)).value(), level, i);
    losses.holt.add(holt.forecast(kHorizon).value(), level, i);
  }
  return losses;
}

void expect_as_good_as_holt(int before, const std::function<double(int)>& level) {
  Losses sum;
  // The younger the series, the more one run differs from another (and the less it costs): 12, 4 and 3 of them.
  const unsigned runs = std::max(3U, 360U / static_cast<unsigned>(before));
  for (unsigned seed = 1; seed <= runs; ++seed) {
    const Losses one = run(seed, before + 55, before, level);
    sum.engine.p50 += one.engine.p50;
    sum.engine.p90 += one.engine.p90;
    sum.holt.p50 += one.holt.p50;
    sum.holt.p90 += one.holt.p90;
  }
  // A refit comes at other steps here and there, hence a few per cent either way.
  EXPECT_LE(sum.engine.p50, 1.05 * sum.holt.p50) << before;
  EXPECT_LE(sum.engine.p90, 1.05 * sum.holt.p90) << before;
}

TEST(DemoLoad, ARampIsForecastAsARamp) {
  for (const int before : {30, 90, 240}) {
    expect_as_good_as_holt(before, [before](int i) { return std::clamp(0.1 + 0.6 * (i - before) / 22.5, 0.1, 0.7); });
  }
}

TEST(DemoLoad, AStepIsFollowedAsQuickly) {
  for (const int before : {30, 90, 240}) {
    expect_as_good_as_holt(before, [before](int i) { return i < before ? 0.1 : 0.7; });
  }
}

}  // namespace
}  // namespace proteus::forecast
