#include "controller/simulate/planetlab/outlook.h"

namespace proteus::simulate::planetlab {
namespace {

forecast::EngineOptions engine_options() {
  forecast::EngineOptions options;
  options.step = std::chrono::seconds(300);
  options.horizon_steps = 6;
  options.history_steps = static_cast<int>(kSamples);
  return options;
}

constexpr std::size_t kYoungSteps = 6;

/// Of a normal distribution, in standard deviations.
constexpr double kP90 = 1.2815515655446004;

}  // namespace

EngineOutlook::EngineOutlook(double young_spread) : young_spread_(young_spread), engine_(engine_options()) {}

void EngineOutlook::observe(const Cluster& cluster) {
  demands_.resize(cluster.vm_count());
  for (std::size_t i = 0; i < cluster.vm_count(); ++i) {
    const Vm& vm = cluster.vm(i);
    if (!vm.alive()) continue;
    const VmId id(vm.name);
    const Timestamp now{Nanoseconds(std::chrono::seconds(300) * vm.history.size())};
    engine_.observe(id, forecast::Resource::kCpu, now, vm.history.back());
    const Result<forecast::Forecast> made = engine_.forecast(id, forecast::Resource::kCpu, now);
    demands_[i] = {.median = vm.history.back(), .spread = young_spread_};
    // The newest step is still open to the engine: the first that it forecasts is the present one.
    if (made && made->steps.size() > 1 && vm.history.size() >= kYoungSteps) {
      const forecast::Quantiles& next = made->steps[1];
      demands_[i] = {.median = next.p50, .spread = (next.p90 - next.p50) / kP90};
    }
  }
}

}  // namespace proteus::simulate::planetlab
