#include "controller/simulate/kvm/performance.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace proteus::simulate::kvm {

double run_queue_wait(const BusyFractions& busy, int cores) {
  double sources = 1;
  if (busy.squares > 0) sources = std::max(1.0, std::floor(busy.sum * busy.sum / busy.squares + 0.5));
  if (sources <= cores) return 0;
  const double utilisation = std::min(0.98, busy.sum / sources);
  const double ratio = utilisation / (1 - utilisation);
  double p = 1;
  double run = 0;
  double wait = 0;
  for (double n = 0; n < sources; ++n) {
    p *= (sources - n) * ratio / std::min(n + 1, static_cast<double>(cores));
    run += std::min(n + 1, static_cast<double>(cores)) * p;
    wait += std::max(0.0, n + 1 - cores) * p;
    if (p > 1e200) {
      p *= 1e-200;
      run *= 1e-200;
      wait *= 1e-200;
    }
  }
  return wait + run > 0 ? wait / (wait + run) : 0;
}

std::vector<double> fair_shares(std::span<const Claim> claims, double capacity) {
  std::vector<std::size_t> order(claims.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return claims[a].demand / claims[a].weight < claims[b].demand / claims[b].weight;
  });
  double weights = 0;
  for (const Claim& claim : claims) weights += claim.weight;
  double left = std::max(0.0, capacity);
  std::vector<double> shares(claims.size());
  for (const std::size_t i : order) {
    shares[i] = std::min(claims[i].demand, left * claims[i].weight / weights);
    left -= shares[i];
    weights -= claims[i].weight;
  }
  return shares;
}

double stretch(double load) {
  return std::max(1.0, load) / (1 - std::min(load, 0.9));
}

PreCopy pre_copy(double resident_mib, double cpu_mhz, double active_mib, double rate_mibs) {
  constexpr double kDowntimeLimit_s = 0.3;
  constexpr int kRoundsMax = 30;
  const double dirty_mibs = 2 + 0.02 * cpu_mhz;
  const double writable_mib = 16 + 0.3 * active_mib;
  PreCopy copy;
  double left_mib = std::max(resident_mib, 64.0);
  for (int round = 0; round < kRoundsMax && left_mib / rate_mibs > kDowntimeLimit_s; ++round) {
    const double round_s = left_mib / rate_mibs;
    copy.duration_s += round_s;
    copy.copied_mib += left_mib;
    left_mib = std::min(dirty_mibs * round_s, writable_mib);
  }
  copy.copied_mib += left_mib;
  copy.downtime_s = left_mib / rate_mibs + 0.05;
  copy.duration_s += copy.downtime_s;
  return copy;
}

}  // namespace proteus::simulate::kvm
