#include "controller/simulate/kvm/policies/forecast_source.h"

#include <algorithm>
#include <chrono>

#include "controller/ham/score/scenarios.h"
#include "controller/simulate/kvm/policies/outlook_sources.h"

namespace proteus::simulate::kvm {
namespace {

constexpr int kWarmUpTicks = 2 * kDayTicks;  ///< of the history before the first tick
constexpr std::size_t kForecastPaths = 6;
constexpr std::size_t kPaths = kForecastPaths + 2;
constexpr int kHeldTicks = 3;

Timestamp time_of(int tick) {
  return Timestamp{std::chrono::seconds(kTick_s) * tick};
}

/// The step is closed by its successor's first tick, so one step more than an hour.
forecast::EngineOptions engine_options() {
  forecast::EngineOptions options;
  options.step = std::chrono::seconds(kTick_s);
  options.horizon_steps = static_cast<int>(kAheadTicks) + 1;
  options.history_steps = 3 * kDayTicks;
  options.season = std::chrono::hours(24);
  options.refit_every_steps = kDayTicks;
  return options;
}

}  // namespace

ForecastSource::ForecastSource(Weights weights) : weights_(weights), engine_(engine_options()) {}

void ForecastSource::feed(int v, const Console& console, int tick) {
  const VmId& id = ids_[static_cast<std::size_t>(v)];
  engine_.observe(id, forecast::Resource::kCpu, time_of(tick), console.sample(v, Series::kCpu, tick));
  engine_.observe(id, forecast::Resource::kMemory, time_of(tick), console.sample(v, Series::kMemory, tick));
}

void ForecastSource::observe(const Console& console) {
  if (ids_.empty()) {
    for (std::size_t v = 0; v < console.vm_count(); ++v) ids_.emplace_back(std::to_string(v));
    fed_until_.assign(console.vm_count(), kNever);
  }
  for (std::size_t v = 0; v < console.vm_count(); ++v) {
    const int vm = static_cast<int>(v);
    int& next = fed_until_[v];
    if (!console.vm(vm).present) {
      if (next != kNever) engine_.forget(ids_[v]);
      next = kNever;
      continue;
    }
    if (next == kNever) next = std::max(console.first_sample(vm), kFirstTick - kWarmUpTicks);
    for (; next < console.tick(); ++next) feed(vm, console, next);
  }
}

void ForecastSource::fill(const Console& console, Outlook& outlook) {
  outlook.reset(console.vm_count(), kAheadTicks, kPaths);
  for (std::size_t p = 0; p < kPaths; ++p) {
    outlook.weights[p] = p < kForecastPaths    ? weights_.forecast / kForecastPaths
                         : p == kForecastPaths ? weights_.hour
                                               : weights_.now;
  }
  cpu_.assign(console.vm_count(), std::nullopt);
  for (std::size_t v = 0; v < console.vm_count(); ++v) {
    const int vm = static_cast<int>(v);
    const int first = console.first_sample(vm);
    if (!console.vm(vm).present || first >= console.tick()) continue;
    Result<forecast::Forecast> cpu = engine_.forecast(ids_[v], forecast::Resource::kCpu, time_of(console.tick()));
    const std::vector<std::size_t> deal = ham::deal_levels(ids_[v], kForecastPaths);
    for (std::size_t p = 0; p < kPaths; ++p) {
      for (std::size_t i = 0; i < kAheadTicks; ++i) {
        int tick = console.tick() - static_cast<int>(kAheadTicks) + static_cast<int>(i);
        if (p == kForecastPaths + 1) tick = console.tick() - 1 - static_cast<int>(i) % kHeldTicks;
        tick = std::max(first, tick);
        const std::size_t at = (v * kPaths + p) * kAheadTicks + i;
        double mhz = console.sample(vm, Series::kCpu, tick);
        if (p < kForecastPaths && cpu && cpu->steps.size() > i + 1) {
          mhz = ham::at_level(cpu->steps[i + 1], (static_cast<double>(deal[p]) + 0.5) / kForecastPaths);
        }
        outlook.cpu_mhz[at] = static_cast<float>(mhz);
        outlook.disk_kbs[at] = static_cast<float>(console.sample(vm, Series::kDisk, tick));
        outlook.network_kbs[at] = static_cast<float>(console.sample(vm, Series::kNetwork, tick));
        outlook.need_mib[at] = static_cast<float>(0.1 * console.provisioned_mib(vm));
      }
    }
    if (cpu) cpu_[v] = std::move(*cpu);
  }
}

const forecast::Forecast* ForecastSource::cpu_forecast(int vm) const {
  const auto& made = cpu_[static_cast<std::size_t>(vm)];
  return made ? &*made : nullptr;
}

void ForecastSource::fill_day(const Console& console, Outlook& outlook) {
  fill_last_day(console, outlook);
}

std::vector<double> ForecastSource::memory_needs(const Console& console) {
  std::vector<double> needs = recent_needs(console, kDayTicks, 1.1);
  for (std::size_t v = 0; v < needs.size(); ++v) {
    const int vm = static_cast<int>(v);
    if (!console.vm(vm).present) continue;
    const Result<forecast::Forecast> memory =
        engine_.forecast(ids_[v], forecast::Resource::kMemory, time_of(console.tick()));
    if (!memory) continue;
    const double size = console.provisioned_mib(vm);
    needs[v] = std::min(size, std::max(needs[v], memory->window_max.p99 + 0.1 * size));
  }
  return needs;
}

}  // namespace proteus::simulate::kvm
