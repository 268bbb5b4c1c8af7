// What keeping 10,000 series fresh costs: 2,500 VMs with four resources each, steps of five minutes, a horizon of a
// day, all models with the networks, refits spread as in production. The networks ask for two days of history, so less
// of it measures the engine without them. That history is fed to a few hundred series; the others take up the state of
// one of them, as after a restart of the controller, and go on with demand of their own. CPU time of the whole process
// by the kernel's count, so that other load on the machine does not matter; the share of a core is that time over the
// five minutes that a step lasts.
//
//   bench_forecast_pool [SERIES [WARM_STEPS [MEASURED_STEPS]]]

#include <sys/resource.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "controller/forecast/engine_pool.h"
#include "controller/forecast/global/shipped_weights.h"

namespace proteus::forecast {
namespace {

constexpr auto kStep = std::chrono::minutes(5);
constexpr int kDay = 288;
constexpr int kWarmed = 200;  // series that are fed all of the history
const Timestamp kStart = from_unix_ns(1'700'000'100'000'000'000);

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double resident_mib() {
  std::ifstream file("/proc/self/statm");
  double total = 0;
  double resident = 0;
  file >> total >> resident;
  return resident * 4096 / (1 << 20);
}

/// A VM's day: a wave, noise, and bursts of a few hours.
class Demand {
 public:
  explicit Demand(unsigned seed) : random_(seed), phase_(uniform() * 6.28), height_(0.1 + uniform()) {}
  /// From here on with chances of its own.
  void part(unsigned seed) { random_.seed(seed); }
  double at(int step) {
    if (uniform() < (burst_ > 0 ? 0.05 : 0.01)) burst_ = burst_ > 0 ? 0 : height_ * (0.5 + uniform());
    const double wave = height_ * (1 + std::sin(6.2832 * step / kDay + phase_));
    return std::max(0.0, wave + burst_ + 0.2 * height_ * (uniform() - 0.5));
  }

 private:
  double uniform() { return static_cast<double>(random_() >> 11) * 0x1p-53; }
  std::mt19937_64 random_;
  double phase_;
  double height_;
  double burst_ = 0;
};

int argument(int argc, char** argv, int index, int otherwise) {
  return argc > index ? std::max(1, std::atoi(argv[index])) : otherwise;
}

int run(int argc, char** argv) {
  const int series = argument(argc, argv, 1, 10'000);
  const int warm_steps = argument(argc, argv, 2, 2 * kDay + 2 * 36);
  const int measured_steps = argument(argc, argv, 3, 36);
  EngineOptions options;
  options.step = kStep;
  options.horizon_steps = kDay;
  options.history_steps = 7 * kDay;
  options.networks = global::shipped_weights();
  EnginePool pool(options, 1);
  std::vector<VmId> vms;
  for (int i = 0; i < series; i += 4) vms.emplace_back("vm-" + std::to_string(i / 4));
  std::vector<Demand> demands;
  const int warmed_series = std::min(series, kWarmed);
  for (int i = 0; i < warmed_series; ++i) demands.emplace_back(static_cast<unsigned>(i));
  const auto feed = [&](int step) {
    for (std::size_t i = 0; i < demands.size(); ++i) {
      if (i % 4 == 0) pool.observe_pressure(vms[i / 4], kStart + step * kStep, 0.02);
      pool.observe(vms[i / 4], kResources[i % 4], kStart + step * kStep, demands[i].at(step));
    }
    pool.begin_round();
    pool.take(pool.rounds_begun());
  };
  const double begun = cpu_seconds();
  for (int step = 0; step < warm_steps; ++step) feed(step);
  std::map<std::pair<VmId, Resource>, SeriesState> states;
  for (std::size_t shard = 0; shard < EnginePool::shard_count(); ++shard) {
    for (SeriesState& state : pool.save(shard))
      states.emplace(std::pair(state.key.vm, state.key.resource), std::move(state));
  }
  for (int i = warmed_series; i < series; ++i) {
    const auto like = static_cast<std::size_t>(i % warmed_series);
    const auto index = static_cast<std::size_t>(i);
    SeriesState state = states.at({vms[like / 4], kResources[like % 4]});
    state.key = {vms[index / 4], kResources[index % 4]};
    pool.restore(std::move(state));
    demands.push_back(demands[like]);
    demands.back().part(static_cast<unsigned>(i));
  }
  feed(warm_steps);  // takes up the states
  const double warmed = cpu_seconds();
  double slowest = 0;
  for (int step = 0; step < measured_steps; ++step) {
    const double before = cpu_seconds();
    feed(warm_steps + 1 + step);
    slowest = std::max(slowest, cpu_seconds() - before);
  }
  const double mean = (cpu_seconds() - warmed) / measured_steps;
  const double step_s = to_seconds(kStep);
  std::printf("%d series, horizon %d steps, %d steps of history\n", series, options.horizon_steps, warm_steps);
  std::printf("warm-up of %d, the others from their state: %.1f s of CPU time\n", warmed_series, warmed - begun);
  std::printf("a step: mean %.2f s, slowest %.2f s, %.0f us per series\n", mean, slowest, mean / series * 1e6);
  std::printf("of a core at 5-minute steps: mean %.3f %%, slowest step %.3f %%\n", 100 * mean / step_s,
              100 * slowest / step_s);
  std::printf("resident: %.0f MiB, %.0f KiB per series\n", resident_mib(), resident_mib() * 1024 / series);
  return 0;
}

}  // namespace
}  // namespace proteus::forecast

int main(int argc, char** argv) {
  return proteus::forecast::run(argc, argv);
}
