#include "controller/simulate/planetlab/initial_placement.h"

#include <fmt/core.h>

#include <limits>
#include <numeric>

namespace proteus::simulate::planetlab {

std::vector<std::size_t> by_id(const Cluster& cluster) {
  std::vector<std::size_t> order(cluster.vm_count());
  std::iota(order.begin(), order.end(), std::size_t{0});
  return order;
}

Result<std::vector<std::size_t>> place_at_full_size(const Cluster& cluster, const std::vector<std::size_t>& order,
                                                    const PlacementCost& cost) {
  struct Taken {
    double mips = 0;
    double ram_mb = 0;
    double bandwidth = 0;
  };
  std::vector<Taken> taken(kHosts);
  std::vector<std::size_t> hosts(cluster.vm_count());
  for (const std::size_t i : order) {
    const VmType& vm = cluster.vm(i).type;
    std::size_t best = kHosts;
    double best_cost = std::numeric_limits<double>::infinity();
    for (std::size_t h = 0; h < kHosts; ++h) {
      const HostType& host = cluster.host(h).type;
      const bool fits = host.core_mips >= vm.mips && host.mips() - taken[h].mips >= vm.mips &&
                        host.ram_mb - taken[h].ram_mb >= vm.ram_mb &&
                        host.bandwidth - taken[h].bandwidth >= vm.bandwidth;
      if (!fits) continue;
      const double host_cost = cost(h, i, taken[h].mips + vm.mips);
      if (host_cost >= best_cost) continue;
      best = h;
      best_cost = host_cost;
    }
    if (best == kHosts) {
      return Error{ErrorCode::kFailedPrecondition,
                   fmt::format("VM {} of {} fits on none of the {} hosts", i, cluster.vm_count(), kHosts)};
    }
    taken[best].mips += vm.mips;
    taken[best].ram_mb += vm.ram_mb;
    taken[best].bandwidth += vm.bandwidth;
    hosts[i] = best;
  }
  return hosts;
}

}  // namespace proteus::simulate::planetlab
