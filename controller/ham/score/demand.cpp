#include "controller/ham/score/demand.h"

#include <algorithm>

namespace proteus::ham {
namespace {

using forecast::Forecast;
using forecast::Quantiles;
using forecast::Resource;

constexpr Nanoseconds kHorizonWithoutForecast = std::chrono::minutes(1);

Timestamp end_of(const Forecast& f) {
  return f.made_at + f.step * static_cast<std::int64_t>(f.steps.size());
}

const Forecast* usable_forecast(const VmState& vm, Resource resource, Timestamp now) {
  const auto it = vm.forecasts.find(resource);
  if (it == vm.forecasts.end()) return nullptr;
  const Forecast& f = it->second;
  return !f.steps.empty() && f.step.count() > 0 && end_of(f) > now ? &f : nullptr;
}

/// A model may see a ramp go on for ever; no VM runs on more CPUs than it can have.
Quantiles at_most(const Quantiles& q, double cores) {
  Quantiles cut = q;
  for (const auto member : forecast::kQuantileMembers) cut.*member = std::min(cut.*member, cores);
  return cut;
}

void raise_to(Quantiles& q, const Quantiles& other) {
  for (const auto member : forecast::kQuantileMembers) q.*member = std::max(q.*member, other.*member);
}

/// Walks the forecast's steps that overlap [from, to): visit(step, overlap in seconds). Before its beginning the first
/// one holds, beyond its end the last.
template <typename Visit>
void for_each_step(const Forecast& f, Timestamp from, Timestamp to, const Visit& visit) {
  const auto count = static_cast<std::int64_t>(f.steps.size());
  std::int64_t index = from < f.made_at ? -1 : (from - f.made_at) / f.step;
  for (Timestamp t = from; t < to; ++index) {
    const Timestamp step_end = index >= count ? to : std::min(to, f.made_at + f.step * (index + 1));
    visit(f.steps[static_cast<std::size_t>(std::clamp<std::int64_t>(index, 0, count - 1))], to_seconds(step_end - t));
    t = step_end;
  }
}

void fill_flat(Demand& demand, double cores) {
  const Quantiles q{0.75 * cores, cores, 1.25 * cores + 0.05, 1.35 * cores + 0.07, 1.5 * cores + 0.1};
  demand.cpu_mean.fill(q);
  demand.cpu_peak.fill(q);
  demand.cpu_max = q;
  demand.model = "current demand";
}

}  // namespace

Horizon make_horizon(const ClusterState& state, const Policy& policy) {
  Timestamp end = state.now;
  for (const VmState& vm : state.vms) {
    if (const Forecast* f = usable_forecast(vm, Resource::kCpu, state.now)) end = std::max(end, end_of(*f));
  }
  Nanoseconds length = end - state.now;
  if (length.count() <= 0) length = kHorizonWithoutForecast;
  if (policy.limits.lookahead.count() > 0) length = std::min(length, policy.limits.lookahead);
  // A slot must not be empty, however short the horizon is.
  length = std::max(length, Nanoseconds(static_cast<std::int64_t>(kSlots)));
  return Horizon{state.now, length};
}

Demand make_demand(const VmState& vm, const Horizon& horizon) {
  Demand demand;
  if (!vm.running) {
    demand.model = "not running";
    return demand;
  }
  if (const Forecast* f = usable_forecast(vm, Resource::kCpu, horizon.start)) {
    demand.model = f->model;
    const double most = std::max(vm.allocation.vcpus, vm.allocation.vcpus_max);
    for (std::size_t slot = 0; slot < kSlots; ++slot) {
      const Timestamp from = horizon.start + horizon.slot() * static_cast<std::int64_t>(slot);
      Quantiles& mean = demand.cpu_mean[slot];
      Quantiles& peak = demand.cpu_peak[slot];
      double seconds = 0;
      for_each_step(*f, from, from + horizon.slot(), [&](const Quantiles& said, double overlap_s) {
        const Quantiles q = at_most(said, most);
        for (const auto member : forecast::kQuantileMembers) mean.*member += q.*member * overlap_s;
        seconds += overlap_s;
        raise_to(peak, q);
      });
      for (const auto member : forecast::kQuantileMembers) mean.*member /= seconds;
      raise_to(demand.cpu_max, peak);
    }
  } else {
    fill_flat(demand, std::max(vm.cpu_demand_cores, vm.cpu_used_cores));
  }
  if (const Forecast* f = usable_forecast(vm, Resource::kMemory, horizon.start)) {
    demand.memory_known = true;
    for_each_step(*f, horizon.start, horizon.start + horizon.length,
                  [&](const Quantiles& q, double) { raise_to(demand.memory_max, q); });
  }
  return demand;
}

std::optional<Nanoseconds> time_until_above(const VmState& vm, const Horizon& horizon, double limit_cores) {
  const Forecast* f = usable_forecast(vm, Resource::kCpu, horizon.start);
  if (f == nullptr) return std::nullopt;
  double elapsed_s = 0;
  std::optional<Nanoseconds> crossing;
  for_each_step(*f, horizon.start, horizon.start + horizon.length, [&](const Quantiles& q, double overlap_s) {
    if (!crossing && q.p90 > limit_cores) crossing = from_seconds(elapsed_s);
    elapsed_s += overlap_s;
  });
  return crossing;
}

}  // namespace proteus::ham
