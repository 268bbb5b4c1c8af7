#include "controller/simulate/kvm/policies/memory_keeper.h"

#include <algorithm>
#include <cmath>

namespace proteus::simulate::kvm {

namespace {

/// Growths min(most, max(least, c * weight)) with the largest c that keeps their sum within the room; Σ least must be
/// within it.
std::vector<double> share_growth(const std::vector<double>& least, const std::vector<double>& most,
                                 const std::vector<double>& weights, double room) {
  double low = 0;
  double high = 0;
  for (std::size_t i = 0; i < most.size(); ++i) high = std::max(high, most[i] / weights[i]);
  std::vector<double> growth(most.size());
  const auto sum_at = [&](double c) {
    double sum = 0;
    for (std::size_t i = 0; i < most.size(); ++i) {
      growth[i] = std::min(most[i], std::max(least[i], c * weights[i]));
      sum += growth[i];
    }
    return sum;
  };
  if (sum_at(high) <= room) return growth;
  for (int round = 0; round < 40; ++round) {
    const double c = (low + high) / 2;
    (sum_at(c) <= room ? low : high) = c;
  }
  sum_at(low);
  return growth;
}

}  // namespace

void MemoryKeeper::act(Console& console, const std::vector<double>& need_mib,
                       const std::vector<double>& peak_mib) const {
  for (int h = 0; h < static_cast<int>(console.host_count()); ++h) {
    const HostState& host = console.host(h);
    double room = options_.host_share * console.host_class(h).memory_mib - host.used_mib;
    std::vector<int> vms;
    std::vector<double> growable;
    std::vector<double> likely;
    std::vector<double> possible;
    std::vector<double> weights;
    const auto fixed = [&](int v) { room -= console.vm(v).balloon_mib - console.vm(v).resident_mib; };
    for (const int v : host.incoming) fixed(v);
    for (const int v : host.vms) {
      const VmState& vm = console.vm(v);
      if (vm.down(console.tick())) continue;
      if (vm.migrating()) {
        fixed(v);
        continue;
      }
      vms.push_back(v);
      growable.push_back(console.provisioned_mib(v) - vm.resident_mib);
      likely.push_back(std::clamp(need_mib[static_cast<std::size_t>(v)] - vm.resident_mib, 0.0, growable.back()));
      possible.push_back(
          std::clamp(peak_mib[static_cast<std::size_t>(v)] - vm.resident_mib, likely.back(), growable.back()));
      weights.push_back(std::pow(console.value(v), options_.value_power));
    }
    if (vms.empty()) continue;
    room = std::max(room, 0.0);
    // First what is likely, then what has been seen, then all.
    const std::vector<double> none(vms.size(), 0.0);
    std::vector<double> growth = share_growth(none, likely, weights, room);
    growth = share_growth(growth, possible, weights, room);
    growth = share_growth(growth, growable, weights, room);
    for (std::size_t i = 0; i < vms.size(); ++i) {
      const int v = vms[i];
      const VmState& vm = console.vm(v);
      const double size = console.provisioned_mib(v);
      const double need = need_mib[static_cast<std::size_t>(v)];
      double ceiling = vm.resident_mib + growth[i];
      if (vm.resident_mib - need > std::max(256.0, options_.reclaim_share * size)) ceiling = need;
      // Raised only for a guest that comes near it, so that no command is sent for nothing.
      const bool near = vm.balloon_mib < vm.resident_mib + 2 * std::max(likely[i], 0.1 * size);
      const bool raise = near && ceiling > vm.balloon_mib + 0.02 * size;
      if (raise || ceiling < vm.balloon_mib) console.set_balloon(v, ceiling);
    }
  }
}

}  // namespace proteus::simulate::kvm
