#include "controller/ham/score/demand.h"

#include <algorithm>
#include <array>

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

/// The levels of a Quantiles in a row, for arithmetic on all of them alike.
using Levels = std::array<double, forecast::kQuantileLevels.size()>;

Levels levels_of(const Quantiles& q) {
  return {q.p10, q.p50, q.p90, q.p95, q.p99};
}

Quantiles quantiles_of(const Levels& levels) {
  return {levels[0], levels[1], levels[2], levels[3], levels[4]};
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
  Timestamp start = state.now;
  Timestamp end = state.now;
  Nanoseconds finest{};
  for (const VmState& vm : state.vms) {
    const Forecast* f = usable_forecast(vm, Resource::kCpu, state.now);
    if (f == nullptr) continue;
    end = std::max(end, end_of(*f));
    // One that is made of the present moment alone has no steps to speak of.
    if (f->made_at == state.now || (finest.count() > 0 && f->step >= finest)) continue;
    finest = f->step;
    start = state.now - (state.now - f->made_at) % f->step;
  }
  if (start > state.now) start = state.now;  // made by a clock that was ahead
  Nanoseconds length = end - start;
  if (length.count() <= 0) length = kHorizonWithoutForecast;
  if (policy.limits.lookahead.count() > 0) length = std::min(length, policy.limits.lookahead);
  // A slot must not be empty, however short the horizon is.
  length = std::max(length, Nanoseconds(static_cast<std::int64_t>(kSlots)));
  return Horizon{start, length};
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
      Levels mean{};
      Levels peak{};
      double seconds = 0;
      for_each_step(*f, from, from + horizon.slot(), [&](const Quantiles& said, double overlap_s) {
        Levels q = levels_of(said);
        for (std::size_t i = 0; i < q.size(); ++i) {
          // A model may see a ramp go on for ever; no VM runs on more CPUs than it can have.
          q[i] = std::min(q[i], most);
          mean[i] += q[i] * overlap_s;
          peak[i] = std::max(peak[i], q[i]);
        }
        seconds += overlap_s;
      });
      for (double& level : mean) level /= seconds;
      demand.cpu_mean[slot] = quantiles_of(mean);
      demand.cpu_peak[slot] = quantiles_of(peak);
      raise_to(demand.cpu_max, demand.cpu_peak[slot]);
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

std::optional<Nanoseconds> time_until_above(const VmState& vm, const Horizon& horizon, Timestamp now,
                                            double limit_cores) {
  const Forecast* f = usable_forecast(vm, Resource::kCpu, horizon.start);
  if (f == nullptr) return std::nullopt;
  double elapsed_s = 0;
  std::optional<Nanoseconds> crossing;
  for_each_step(*f, now, horizon.start + horizon.length, [&](const Quantiles& q, double overlap_s) {
    if (!crossing && q.p90 > limit_cores) crossing = from_seconds(elapsed_s);
    elapsed_s += overlap_s;
  });
  return crossing;
}

}  // namespace proteus::ham
