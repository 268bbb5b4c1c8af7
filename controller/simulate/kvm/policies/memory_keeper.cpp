#include "controller/simulate/kvm/policies/memory_keeper.h"

#include <algorithm>

namespace proteus::simulate::kvm {

namespace {

/// The largest growth c, the same for all, with Σ min(growable, max(likely, c)) within the room; at least 0.
double common_growth(const std::vector<double>& growable, const std::vector<double>& likely, double room) {
  double low = 0;
  double high = *std::max_element(growable.begin(), growable.end());
  for (int round = 0; round < 40; ++round) {
    const double c = (low + high) / 2;
    double sum = 0;
    for (std::size_t i = 0; i < growable.size(); ++i) sum += std::min(growable[i], std::max(likely[i], c));
    (sum <= room ? low : high) = c;
  }
  return low;
}

}  // namespace

void MemoryKeeper::act(Console& console, const std::vector<double>& need_mib) const {
  for (int h = 0; h < static_cast<int>(console.host_count()); ++h) {
    const HostState& host = console.host(h);
    double room = options_.host_share * console.host_class(h).memory_mib - host.used_mib;
    std::vector<int> vms;
    std::vector<double> growable;
    std::vector<double> likely;
    double wanted = 0;
    double expected = 0;
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
      wanted += growable.back();
      expected += likely.back();
    }
    if (vms.empty()) continue;
    room = std::max(room, 0.0);
    if (expected > room) {
      for (double& each : likely) each *= room / expected;
    }
    const double common = wanted > room ? common_growth(growable, likely, room) : 1e9;
    for (std::size_t i = 0; i < vms.size(); ++i) {
      const int v = vms[i];
      const VmState& vm = console.vm(v);
      const double size = console.provisioned_mib(v);
      const double need = need_mib[static_cast<std::size_t>(v)];
      double ceiling = vm.resident_mib + std::min(growable[i], std::max(likely[i], common));
      if (vm.resident_mib - need > std::max(256.0, options_.reclaim_share * size)) ceiling = need;
      // Raised only for a guest that comes near it, so that no command is sent for nothing.
      const bool near = vm.balloon_mib < vm.resident_mib + 2 * std::max(likely[i], 0.1 * size);
      const bool raise = near && ceiling > vm.balloon_mib + 0.02 * size;
      if (raise || ceiling < vm.balloon_mib) console.set_balloon(v, ceiling);
    }
  }
}

}  // namespace proteus::simulate::kvm
