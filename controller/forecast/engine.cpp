#include "controller/forecast/engine.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <unordered_map>

#include "controller/forecast/series.h"

namespace proteus::forecast {
namespace {

/// Longest forecast that a Model promises.
constexpr int kHorizonStepsMax = 1440;

/// FNV-1a: the same on every machine and run, which std::hash does not promise.
std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

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

struct Engine::Impl {
  EngineOptions options;
  std::unordered_map<VmId, std::array<std::unique_ptr<Series>, kResources.size()>> vms;

  const Series* find(const VmId& vm, Resource resource) const {
    const auto found = vms.find(vm);
    return found == vms.end() ? nullptr : found->second[static_cast<std::size_t>(resource)].get();
  }
};

Engine::Engine(EngineOptions options) : impl_(std::make_unique<Impl>(Impl{checked(options), {}})) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

bool Engine::observe(const VmId& vm, Resource resource, Timestamp time, double value) {
  if (!std::isfinite(value)) return false;
  const auto index = static_cast<std::size_t>(resource);
  std::unique_ptr<Series>& series = impl_->vms[vm][index];
  if (!series) series = std::make_unique<Series>(impl_->options, resource, stable_hash(vm.value) + index);
  return series->observe(time, value);
}

Result<Forecast> Engine::forecast(const VmId& vm, Resource resource, Timestamp now) const {
  const Series* series = impl_->find(vm, resource);
  if (!series) {
    return Error{ErrorCode::kNotFound,
                 "no " + std::string(to_string(resource)) + " demand of " + vm.value + " has been observed"};
  }
  return series->forecast(now);
}

History Engine::history(const VmId& vm, Resource resource) const {
  const Series* series = impl_->find(vm, resource);
  return series ? series->history() : History{.end = {}, .step = impl_->options.step, .values = {}};
}

std::vector<Accuracy> Engine::accuracy(const VmId& vm, Resource resource) const {
  const Series* series = impl_->find(vm, resource);
  return series ? series->accuracy() : std::vector<Accuracy>{};
}

void Engine::forget(const VmId& vm) {
  impl_->vms.erase(vm);
}

}  // namespace proteus::forecast
