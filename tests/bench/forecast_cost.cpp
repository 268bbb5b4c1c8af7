// What the Demand Prediction Engine costs per series: ticks, closed steps with refits spread as in
// production, forecasts.

#include <benchmark/benchmark.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "controller/forecast/engine.h"

namespace proteus::forecast {
namespace {

const Timestamp kStart = from_unix_ns(1'700'000'000'000'000'000);

/// A busy day in short: noise, a slow wave, and a ramp now and then.
double demand(int step, std::mt19937_64& random) {
  std::normal_distribution<double> noise(0, 0.05);
  const double ramp = step % 500 > 450 ? (step % 500 - 450) * 0.01 : 0;
  return std::max(0.0, 0.4 + 0.1 * std::sin(step * 0.02) + ramp + noise(random));
}

struct Fleet {
  explicit Fleet(EngineOptions with, int series) : options(with), engine(with) {
    for (int i = 0; i < series; ++i) vms.emplace_back("vm-" + std::to_string(i));
  }
  void close_step() {
    for (const VmId& vm : vms) {
      benchmark::DoNotOptimize(engine.observe(vm, Resource::kCpu, kStart + step * options.step, demand(step, random)));
    }
    ++step;
  }
  EngineOptions options;
  Engine engine;
  std::vector<VmId> vms;
  std::mt19937_64 random{1};
  int step = 0;
};

EngineOptions live() {
  EngineOptions options;
  options.step = std::chrono::seconds(2);
  return options;
}

/// Minutes, with seasons of a day that the history holds two of: the seasonal model runs, too.
EngineOptions by_minute() {
  return {};
}

void closed_step(benchmark::State& state, const EngineOptions& options, int history) {
  Fleet fleet(options, 40);
  while (fleet.step < history) fleet.close_step();
  for (auto _ : state) fleet.close_step();
  state.counters["per_series"] =
      benchmark::Counter(static_cast<double>(fleet.vms.size()),
                         benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void tick_in_open_step(benchmark::State& state) {
  Fleet fleet(by_minute(), 1);
  while (fleet.step < 100) fleet.close_step();
  const Timestamp time = kStart + fleet.step * fleet.options.step;
  for (auto _ : state) benchmark::DoNotOptimize(fleet.engine.observe(fleet.vms[0], Resource::kCpu, time, 0.5));
}

void forecast_call(benchmark::State& state, std::chrono::seconds late) {
  Fleet fleet(live(), 1);
  while (fleet.step < 400) fleet.close_step();
  const Timestamp now = kStart + fleet.step * fleet.options.step + late;
  for (auto _ : state) benchmark::DoNotOptimize(fleet.engine.forecast(fleet.vms[0], Resource::kCpu, now));
}

BENCHMARK_CAPTURE(closed_step, live_young, live(), 30)->Unit(benchmark::kMicrosecond)->Iterations(90);
BENCHMARK_CAPTURE(closed_step, live, live(), 400)->Unit(benchmark::kMicrosecond)->Iterations(300);
BENCHMARK_CAPTURE(closed_step, by_minute, by_minute(), 2900)->Unit(benchmark::kMicrosecond)->Iterations(300);
BENCHMARK(tick_in_open_step);
BENCHMARK_CAPTURE(forecast_call, fresh, std::chrono::seconds(0));
BENCHMARK_CAPTURE(forecast_call, stale, std::chrono::seconds(20));

}  // namespace
}  // namespace proteus::forecast

BENCHMARK_MAIN();
