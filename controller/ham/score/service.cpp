#include "controller/ham/score/service.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace proteus::ham {
namespace {

/// Share of its time that a VM spends in I/O from which on it may notice a slower device at rest.
constexpr double kNoticeable = 0.05;
/// A device whose operations take no longer than this is no worry for a VM that is not sensitive.
constexpr double kCalmStretch = 1.6;
/// Waiting that is left out of account if it is all there is.
constexpr double kCalmWait = 0.03;

float share_of(double rate, double half) {
  return half > 0 && rate > 0 ? static_cast<float>(rate / (rate + half)) : 0;
}

/// How fast a VM runs that spends such a share of its time in operations that take so much longer. In (0, 1].
double slowed(double share, double stretch) {
  return 1 / (1 - share + share * stretch);
}

double stretch_of(const Device& device, const WaitTable* wait, double bytes_per_s) {
  if (wait == nullptr) return 1;
  return device.rest * (1 + wait->at(bytes_per_s / device.capacity_bytes_per_s));
}

/// Cores that each vCPU gets at most where VMs ask for more than there is: max-min fair. claims: cores and vCPUs.
double fair_level(std::vector<std::pair<double, int>>& claims, double capacity_cores) {
  std::sort(claims.begin(), claims.end(),
            [](const auto& a, const auto& b) { return a.first * b.second < b.first * a.second; });
  double vcpus = 0;
  for (const auto& claim : claims) vcpus += claim.second;
  double left = capacity_cores;
  for (const auto& [cores, count] : claims) {
    const double level = left / vcpus;
    if (cores > level * count) return level;
    left -= cores;
    vcpus -= count;
  }
  return capacity_cores;
}

}  // namespace

struct ServicePrices::Cell {
  double cores = 0;
  double disk_bytes_per_s = 0;
  double network_bytes_per_s = 0;
};

ServicePrices::ServicePrices(const ClusterModel& model)
    : model_(model), scenarios_(model.state.scenarios), sensitive_(model.vms.size()) {
  if (scenarios_ == nullptr) {
    scenarios_ = std::make_shared<const Scenarios>(scenarios_of_forecasts(model.state, model.horizon));
  }
  double slowest = 1;
  for (const HostModel& host : model.hosts) slowest = std::min(slowest, host.state->core_speed);
  const std::size_t cells = scenarios_->cells();
  disk_share_.resize(model.vms.size() * cells);
  network_share_.resize(disk_share_.size());
  for (std::size_t v = 0; v < model.vms.size(); ++v) {
    const VmState& vm = *model.vms[v].state;
    for (std::size_t at = v * cells; at < (v + 1) * cells; ++at) {
      disk_share_[at] = share_of(scenarios_->disk_bytes_per_s[at], vm.disk_half_bytes_per_s);
      network_share_[at] = share_of(scenarios_->network_bytes_per_s[at], vm.network_half_bytes_per_s);
      if (scenarios_->cpu_cores[at] > vm.allocation.vcpus * slowest || disk_share_[at] > kNoticeable ||
          network_share_[at] > kNoticeable) {
        sensitive_[v] = 1;
      }
    }
  }
}

double ServicePrices::lost_value(const HostModel& host, const std::vector<std::size_t>& vms, std::size_t cell,
                                 const Cell& sums) const {
  const HostState& state = *host.state;
  const std::size_t cells = scenarios_->cells();
  const double cores = sums.cores + state.cpu_overhead_cores;
  const double wait = host.wait->at(cores / host.capacity_cores);
  const double running = 1 / (1 + wait);
  const double disk = stretch_of(state.disk, host.disk_wait.get(), sums.disk_bytes_per_s);
  const double network = stretch_of(state.network, host.network_wait.get(), sums.network_bytes_per_s);
  const bool calm = wait < kCalmWait && cores <= host.capacity_cores && disk < kCalmStretch && network < kCalmStretch;
  double level = state.core_speed;
  if (cores > host.capacity_cores) {
    std::vector<std::pair<double, int>> claims;
    for (const std::size_t v : vms) {
      const int vcpus = model_.vms[v].state->allocation.vcpus;
      claims.emplace_back(std::min<double>(scenarios_->cpu_cores[v * cells + cell], vcpus * state.core_speed), vcpus);
    }
    level = std::min(level, fair_level(claims, std::max(0.0, host.capacity_cores - state.cpu_overhead_cores)));
  }
  double lost = 0;
  for (const std::size_t v : vms) {
    if (calm && sensitive_[v] == 0) continue;
    const std::size_t at = v * cells + cell;
    double performance = running * slowed(disk_share_[at], disk) * slowed(network_share_[at], network);
    const double most = model_.vms[v].state->allocation.vcpus * level;
    if (scenarios_->cpu_cores[at] > most) performance *= most / scenarios_->cpu_cores[at];
    lost += model_.vms[v].value_per_hour * std::max(0.0, 1 - performance - model_.policy.limits.slowdown_free);
  }
  return lost;
}

double ServicePrices::slowdown(std::size_t h, const std::vector<std::size_t>& vms, std::size_t leaves,
                               std::size_t comes) const {
  const HostModel& host = model_.hosts[h];
  if (host.capacity_cores <= 0) return 0;
  std::vector<std::size_t> present;
  present.reserve(vms.size() + 1);
  for (const std::size_t v : vms) {
    if (v != leaves) present.push_back(v);
  }
  // In order of their numbers, so that a plan costs the same however it came about.
  if (comes != kNowhere) present.insert(std::upper_bound(present.begin(), present.end(), comes), comes);
  const std::size_t cells = scenarios_->cells();
  const auto speed = static_cast<float>(host.state->core_speed);
  std::vector<float> cores(cells);
  std::vector<float> disk(cells);
  std::vector<float> network(cells);
  for (const std::size_t v : present) {
    const float most = static_cast<float>(model_.vms[v].state->allocation.vcpus) * speed;
    const std::size_t base = v * cells;
    for (std::size_t i = 0; i < cells; ++i) {
      cores[i] += std::min(scenarios_->cpu_cores[base + i], most);
      disk[i] += scenarios_->disk_bytes_per_s[base + i];
      network[i] += scenarios_->network_bytes_per_s[base + i];
    }
  }
  double lost = 0;
  for (std::size_t i = 0; i < cells; ++i) {
    lost += scenarios_->weights[i / scenarios_->ticks] * lost_value(host, present, i, {cores[i], disk[i], network[i]});
  }
  return lost / static_cast<double>(scenarios_->ticks);
}

}  // namespace proteus::ham
