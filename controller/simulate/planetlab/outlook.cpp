#include "controller/simulate/planetlab/outlook.h"

namespace proteus::simulate::planetlab {
namespace {

constexpr std::size_t kYoungSteps = 6;
/// The newest step is still open to the engine: the first that it forecasts is the present one.
constexpr std::size_t kSoon = 1;
constexpr std::size_t kLater = 12;

forecast::EngineOptions engine_options() {
  forecast::EngineOptions options;
  options.step = std::chrono::seconds(300);
  options.horizon_steps = static_cast<int>(kLater) + 1;
  options.history_steps = static_cast<int>(kSamples);
  return options;
}

/// Of a normal distribution, in standard deviations.
constexpr double kP90 = 1.2815515655446004;

StepDemand demand_of(const forecast::Quantiles& q) {
  return {.median = q.p50, .spread = (q.p90 - q.p50) / kP90};
}

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
    demands_[i].soon = {.median = vm.history.back(), .spread = young_spread_};
    demands_[i].later = demands_[i].soon;
    if (made && made->steps.size() > kLater && vm.history.size() >= kYoungSteps) {
      demands_[i] = {.soon = demand_of(made->steps[kSoon]), .later = demand_of(made->steps[kLater])};
    }
  }
}

}  // namespace proteus::simulate::planetlab
