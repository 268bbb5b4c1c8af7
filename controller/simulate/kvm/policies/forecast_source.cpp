#include "controller/simulate/kvm/policies/forecast_source.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <numeric>

#include "controller/simulate/kvm/splitmix64.h"

namespace proteus::simulate::kvm {
namespace {

constexpr int kWarmUpTicks = 2 * kDayTicks;  ///< of the history before the first tick
constexpr std::size_t kForecastPaths = 6;

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

/// The demand at a level, straight lines between the quantiles.
double at_level(const forecast::Quantiles& q, double level) {
  if (level < 0.5) return std::max(0.0, q.p50 - (q.p90 - q.p50) * (0.5 - level));
  if (level < 0.9) return q.p50 + (q.p90 - q.p50) * (level - 0.5) / 0.4;
  return q.p90 + (q.p99 - q.p90) * (level - 0.9) / 0.09;
}

}  // namespace

ForecastSource::ForecastSource(double forecast, RecentWeights recent)
    : weight_(forecast), recent_(recent), engine_(engine_options()) {}

void ForecastSource::feed(int v, const Console& console, int tick) {
  const VmId& id = ids_[static_cast<std::size_t>(v)];
  engine_.observe(id, forecast::Resource::kCpu, console.time(tick), console.sample(v, Series::kCpu, tick));
  engine_.observe(id, forecast::Resource::kMemory, console.time(tick), console.sample(v, Series::kMemory, tick));
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
  recent_.fill(console, lately_);
  const std::size_t ticks = lately_.ticks;
  const std::size_t made = kForecastPaths * ticks;  // cells of the forecast's paths, which come first
  outlook.reset(console.vm_count(), ticks, kForecastPaths + lately_.paths);
  for (std::size_t p = 0; p < outlook.paths; ++p) {
    outlook.weights[p] =
        p < kForecastPaths ? weight_ / kForecastPaths : (1 - weight_) * lately_.weights[p - kForecastPaths];
  }
  const std::size_t stride = kAheadTicks / ticks;
  for (std::size_t v = 0; v < console.vm_count(); ++v) {
    const std::size_t to = v * outlook.cells();
    const std::size_t from = v * lately_.cells();
    const auto copy = [&](auto member) {
      const auto begin = (lately_.*member).begin() + static_cast<std::ptrdiff_t>(from);
      const auto target = (outlook.*member).begin() + static_cast<std::ptrdiff_t>(to);
      std::copy_n(begin, lately_.cells(), target + static_cast<std::ptrdiff_t>(made));
      // What is not forecast is as in the last ticks: the first path.
      for (std::size_t i = 0; i < made; ++i)
        target[static_cast<std::ptrdiff_t>(i)] = begin[static_cast<std::ptrdiff_t>(i % ticks)];
    };
    for (const auto member : {&Outlook::cpu_mhz, &Outlook::disk_kbs, &Outlook::network_kbs, &Outlook::need_mib}) {
      copy(member);
    }
    if (!console.vm(static_cast<int>(v)).present) continue;
    const Result<forecast::Forecast> cpu =
        engine_.forecast(ids_[v], forecast::Resource::kCpu, console.time(console.tick()));
    if (!cpu) continue;
    // The levels of the paths are spread evenly and dealt to each VM in an order of its own.
    std::array<std::size_t, kForecastPaths> deal{};
    std::iota(deal.begin(), deal.end(), 0);
    SplitMix64 random(v);
    for (std::size_t p = kForecastPaths; p-- > 1;) std::swap(deal[p], deal[random.next() % (p + 1)]);
    for (std::size_t p = 0; p < kForecastPaths; ++p) {
      const double level = (static_cast<double>(deal[p]) + 0.5) / kForecastPaths;
      for (std::size_t i = 0; i < ticks; ++i) {
        const std::size_t step = std::min(1 + i * stride, cpu->steps.size() - 1);
        outlook.cpu_mhz[to + p * ticks + i] = static_cast<float>(at_level(cpu->steps[step], level));
      }
    }
  }
}

std::vector<double> ForecastSource::memory_needs(const Console& console) {
  std::vector<double> needs = recent_needs(console, kDayTicks, 1.1);
  for (std::size_t v = 0; v < needs.size(); ++v) {
    const int vm = static_cast<int>(v);
    if (!console.vm(vm).present) continue;
    const Result<forecast::Forecast> memory =
        engine_.forecast(ids_[v], forecast::Resource::kMemory, console.time(console.tick()));
    if (!memory) continue;
    const double size = console.provisioned_mib(vm);
    needs[v] = std::min(size, std::max(needs[v], memory->window_max.p99 + 0.1 * size));
  }
  return needs;
}

}  // namespace proteus::simulate::kvm
