#include "controller/ham/score/scenarios.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace proteus::ham {
namespace {

constexpr std::size_t kPaths = 6;

/// FNV-1a, then the finisher of splitmix64 for each next number.
class Dealer {
 public:
  explicit Dealer(const VmId& id) {
    for (const char c : id.value) state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  std::size_t below(std::size_t n) {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return static_cast<std::size_t>((z ^ (z >> 31)) % n);
  }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325ULL;
};

/// The step that covers the time, clamped to the forecast's ends.
const forecast::Quantiles& step_at(const forecast::Forecast& made, Timestamp time) {
  const std::int64_t index = time < made.made_at ? 0 : (time - made.made_at) / made.step;
  return made.steps[static_cast<std::size_t>(std::min(index, static_cast<std::int64_t>(made.steps.size()) - 1))];
}

}  // namespace

void Scenarios::reset(std::size_t vms, std::size_t tick_count, std::size_t path_count) {
  ticks = tick_count;
  paths = path_count;
  weights.assign(paths, 1.0 / static_cast<double>(paths));
  for (auto* values : {&cpu_cores, &disk_bytes_per_s, &network_bytes_per_s}) values->assign(vms * cells(), 0);
}

double at_level(const forecast::Quantiles& q, double level) {
  if (level < 0.5) return std::max(0.0, q.p50 - (q.p90 - q.p50) * (0.5 - level) / 0.4);
  if (level < 0.9) return q.p50 + (q.p90 - q.p50) * (level - 0.5) / 0.4;
  return q.p90 + (q.p99 - q.p90) * (level - 0.9) / 0.09;
}

std::vector<std::size_t> deal_levels(const VmId& id, std::size_t levels) {
  std::vector<std::size_t> deal(levels);
  std::iota(deal.begin(), deal.end(), 0);
  Dealer dealer(id);
  for (std::size_t i = levels; i-- > 1;) std::swap(deal[i], deal[dealer.below(i + 1)]);
  return deal;
}

Scenarios scenarios_of_forecasts(const ClusterState& state, const Horizon& horizon) {
  Scenarios scenarios;
  scenarios.reset(state.vms.size(), kSlots, kPaths);
  const std::size_t cells = scenarios.cells();
  for (std::size_t v = 0; v < state.vms.size(); ++v) {
    const VmState& vm = state.vms[v];
    if (!vm.running) continue;
    const Demand demand = make_demand(vm, horizon);
    const std::vector<std::size_t> deal = deal_levels(vm.id, kPaths);
    const auto fill = [&](std::vector<float>& out, forecast::Resource resource) {
      const auto made = vm.forecasts.find(resource);
      if (made == vm.forecasts.end() || made->second.steps.empty() || made->second.step.count() <= 0) return;
      for (std::size_t cell = 0; cell < cells; ++cell) {
        const Timestamp time = horizon.start + horizon.slot() * static_cast<std::int64_t>(cell % kSlots);
        const double level = (static_cast<double>(deal[cell / kSlots]) + 0.5) / kPaths;
        out[v * cells + cell] = static_cast<float>(at_level(step_at(made->second, time), level));
      }
    };
    for (std::size_t cell = 0; cell < cells; ++cell) {
      const double level = (static_cast<double>(deal[cell / kSlots]) + 0.5) / kPaths;
      scenarios.cpu_cores[v * cells + cell] = static_cast<float>(at_level(demand.cpu_mean[cell % kSlots], level));
    }
    fill(scenarios.disk_bytes_per_s, forecast::Resource::kBlockIo);
    fill(scenarios.network_bytes_per_s, forecast::Resource::kNetwork);
  }
  return scenarios;
}

}  // namespace proteus::ham
