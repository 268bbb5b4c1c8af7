#include "controller/forecast/engine.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string_view>
#include <utility>

#include "controller/forecast/series.h"
#include "controller/forecast/staleness.h"

namespace proteus::forecast {
namespace {

/// Longest forecast that a Model promises.
constexpr int kHorizonStepsMax = 1440;

EngineOptions checked(EngineOptions options) {
  options.step = std::max(options.step, Nanoseconds{1});
  options.horizon_steps = std::clamp(options.horizon_steps, 1, kHorizonStepsMax);
  options.history_steps = std::max(options.history_steps, 2 * options.horizon_steps);
  options.season = std::max(options.season, options.step);
  options.min_history_steps = std::max(options.min_history_steps, 1);
  options.refit_every_steps = std::max(options.refit_every_steps, 1);
  return options;
}

}  // namespace

std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

struct Engine::Impl {
  const EngineOptions options;
  std::unique_ptr<global::Forecaster> networks;
  const KinTable* const kin;
  SignalBoard board;
  struct Vm {
    Siblings siblings{};
    HostPressure pressure;
    Shared shared;
    std::array<std::unique_ptr<Series>, kResources.size()> series;  // go before what they share
  };
  std::map<VmId, Vm> vms;

  Impl(EngineOptions with, const KinTable* from)
      : options(checked(std::move(with))),
        networks(options.networks ? std::make_unique<global::Forecaster>(options.networks) : nullptr),
        kin(from),
        board(options.step, options.history_steps, options.calendar) {}

  Series* find(const VmId& vm, Resource resource) const {
    const auto found = vms.find(vm);
    return found == vms.end() ? nullptr : found->second.series[static_cast<std::size_t>(resource)].get();
  }
  /// Made anew if it has none.
  Vm& at(const VmId& id) {
    Vm& vm = vms[id];
    vm.shared = {kin, networks.get(), &vm.siblings, &vm.pressure};
    return vm;
  }
  std::unique_ptr<Series> make(const VmId& vm, Resource resource) {
    const std::uint64_t phase = stable_hash(vm.value) + static_cast<std::size_t>(resource);
    return std::make_unique<Series>(options, resource, phase, at(vm).shared, board.of(vm));
  }
};

Engine::Engine(EngineOptions options, const KinTable* kin) : impl_(std::make_unique<Impl>(std::move(options), kin)) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

bool Engine::observe(const VmId& vm, Resource resource, Timestamp time, double value) {
  if (!std::isfinite(value)) return false;
  std::unique_ptr<Series>& series = impl_->at(vm).series[static_cast<std::size_t>(resource)];
  if (!series) series = impl_->make(vm, resource);
  return series->observe(time, value);
}

void Engine::observe_pressure(const VmId& vm, Timestamp time, double waited_per_run) {
  const auto found = impl_->vms.find(vm);
  if (found != impl_->vms.end()) found->second.pressure.observe(time, waited_per_run);
}

bool Engine::observe(const VmId& vm, Resource resource, const StepTicks& ticks) {
  std::unique_ptr<Series>& series = impl_->at(vm).series[static_cast<std::size_t>(resource)];
  if (!series) series = impl_->make(vm, resource);
  return series->observe(ticks);
}

void Engine::push(const SignalPush& push) {
  impl_->board.push(push);
}

Result<Forecast> Engine::forecast(const VmId& vm, Resource resource, Timestamp now) const {
  const Series* series = impl_->find(vm, resource);
  if (!series) {
    return Error{ErrorCode::kNotFound,
                 "no " + std::string(to_string(resource)) + " demand of " + vm.value + " has been observed"};
  }
  return aged(series->forecast(), now);
}

bool Engine::take_news(const VmId& vm, Resource resource) {
  Series* series = impl_->find(vm, resource);
  return series && series->take_news();
}

History Engine::history(const VmId& vm, Resource resource) const {
  const Series* series = impl_->find(vm, resource);
  return series ? series->history() : History{.end = {}, .step = impl_->options.step, .values = {}};
}

SeriesAccuracy Engine::accuracy(const VmId& vm, Resource resource) const {
  const Series* series = impl_->find(vm, resource);
  return series ? series->accuracy() : SeriesAccuracy{};
}

std::vector<SeriesKey> Engine::series() const {
  std::vector<SeriesKey> keys;
  for (const auto& [vm, has] : impl_->vms) {
    for (const Resource resource : kResources) {
      if (has.series[static_cast<std::size_t>(resource)]) keys.push_back({vm, resource});
    }
  }
  return keys;
}

void Engine::forget(const VmId& vm) {
  impl_->vms.erase(vm);
  impl_->board.forget(vm);
}

Result<SeriesState> Engine::save(const SeriesKey& key) {
  Series* series = impl_->find(key.vm, key.resource);
  if (!series) return Error{ErrorCode::kNotFound, "no such series"};
  return SeriesState{key, series->save()};
}

Status Engine::restore(const SeriesState& state) {
  std::unique_ptr<Series> series = impl_->make(state.key.vm, state.key.resource);
  if (Status restored = series->restore(state.bytes); !restored) {
    series.reset();
    const auto empty = [](const std::unique_ptr<Series>& of) { return of == nullptr; };
    const Impl::Vm& vm = impl_->at(state.key.vm);
    if (std::all_of(vm.series.begin(), vm.series.end(), empty)) impl_->vms.erase(state.key.vm);
    return restored;
  }
  impl_->at(state.key.vm).series[static_cast<std::size_t>(state.key.resource)] = std::move(series);
  return {};
}

std::vector<SignalPush> Engine::signals() const {
  return impl_->board.kept();
}

Status Engine::check(const SeriesState& state, const EngineOptions& options) {
  return Series::check(state.bytes, options);
}

void Engine::take_kin_samples(const SeriesKey& key, std::vector<KinSample>& samples) {
  if (Series* series = impl_->find(key.vm, key.resource)) series->take_kin_samples(samples);
}

}  // namespace proteus::forecast
