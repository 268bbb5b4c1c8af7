#include "controller/ham/score/service.h"

#include <algorithm>
#include <utility>

namespace proteus::ham {
namespace {

/// Share of its time that a VM spends in I/O from which on it may notice a slower device at rest.
constexpr float kNoticeable = 0.05F;
/// A device whose operations take no longer than this is no worry for a VM that is not sensitive.
constexpr double kCalmStretch = 1.6;
/// Waiting that is left out of account if it is all there is.
constexpr double kCalmWait = 0.03;
/// A VM that waits, or lacks CPU, by more than this share is kept waiting.
constexpr double kContended = 0.05;

float share_of(double rate, double half) {
  return half > 0 && rate > 0 ? static_cast<float>(rate / (rate + half)) : 0;
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

template <typename Visit>
void for_each_present(const std::vector<std::size_t>& vms, std::size_t leaves, std::size_t comes, const Visit& visit) {
  for (const std::size_t v : vms) {
    if (v != leaves) visit(v);
  }
  if (comes != kNowhere) visit(comes);
}

}  // namespace

/// What all VMs of a host meet there, cell by cell.
struct ServicePrices::HostCells {
  explicit HostCells(std::size_t cells)
      : running(cells), vague(cells), disk(cells), network(cells), level(cells), all_wait(cells), uneasy() {}
  std::vector<float> running;       ///< share of the time that a runnable vCPU runs
  std::vector<float> vague;         ///< its standard error, relative to it
  std::vector<float> disk;          ///< how much longer an operation takes than on the best host at rest
  std::vector<float> network;       ///< likewise
  std::vector<float> level;         ///< cores that each vCPU gets at most
  std::vector<char> all_wait;       ///< every VM is kept waiting
  std::vector<std::size_t> uneasy;  ///< cells in which even a VM that is not sensitive may lose something
};

ServicePrices::ServicePrices(const ClusterModel& model)
    : model_(model), scenarios_(model.state.scenarios), sensitive_(model.vms.size()) {
  if (scenarios_ == nullptr) {
    scenarios_ = std::make_shared<const Scenarios>(scenarios_of_forecasts(model.state, model.horizon));
  }
  const std::size_t cells = scenarios_->cells();
  weights_.resize(cells);
  for (std::size_t i = 0; i < cells; ++i) {
    weights_[i] =
        static_cast<float>(scenarios_->weights[i / scenarios_->ticks] / static_cast<double>(scenarios_->ticks));
  }
  double slowest = 1;
  for (const HostModel& host : model.hosts) slowest = std::min(slowest, host.state->core_speed);
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

void ServicePrices::add(ServiceLoad& load, std::size_t h, std::size_t v, float sign) const {
  const std::size_t cells = scenarios_->cells();
  const HostState& host = *model_.hosts[h].state;
  const auto most = static_cast<float>(model_.vms[v].state->allocation.vcpus * host.core_speed);
  const float* cpu = &scenarios_->cpu_cores[v * cells];
  const float* disk = &scenarios_->disk_bytes_per_s[v * cells];
  const float* network = &scenarios_->network_bytes_per_s[v * cells];
  for (std::size_t i = 0; i < cells; ++i) load[i] += sign * std::min(cpu[i], most);
  for (std::size_t i = 0; i < cells; ++i) load[cells + i] += sign * disk[i];
  for (std::size_t i = 0; i < cells; ++i) load[2 * cells + i] += sign * network[i];
}

ServiceLoad ServicePrices::load_of(std::size_t h, const std::vector<std::size_t>& vms) const {
  ServiceLoad load(3 * scenarios_->cells());
  for (const std::size_t v : vms) add(load, h, v, 1);
  return load;
}

ServicePrices::HostCells ServicePrices::cells_of(std::size_t h, const std::vector<std::size_t>& vms, std::size_t leaves,
                                                 std::size_t comes, const ServiceLoad& load) const {
  const HostModel& host = model_.hosts[h];
  const HostState& state = *host.state;
  const std::size_t cells = scenarios_->cells();
  HostCells result(cells);
  for (std::size_t i = 0; i < cells; ++i) {
    const double cores = load[i] + state.cpu_overhead_cores;
    const double utilisation = cores / host.capacity_cores;
    const double ratio = host.wait->at(utilisation);
    const double disk = stretch_of(state.disk, host.disk_wait.get(), load[cells + i]);
    const double network = stretch_of(state.network, host.network_wait.get(), load[2 * cells + i]);
    double level = state.core_speed;
    if (cores > host.capacity_cores) {
      std::vector<std::pair<double, int>> claims;
      for_each_present(vms, leaves, comes, [&](std::size_t v) {
        const int vcpus = model_.vms[v].state->allocation.vcpus;
        claims.emplace_back(std::min<double>(scenarios_->cpu_cores[v * cells + i], vcpus * state.core_speed), vcpus);
      });
      level = std::min(level, fair_level(claims, std::max(0.0, host.capacity_cores - state.cpu_overhead_cores)));
    }
    result.running[i] = static_cast<float>(1 / (1 + ratio));
    result.vague[i] = static_cast<float>(host.wait->error_at(utilisation) / (1 + ratio));
    result.disk[i] = static_cast<float>(disk);
    result.network[i] = static_cast<float>(network);
    result.level[i] = static_cast<float>(level);
    result.all_wait[i] = static_cast<char>(ratio > kContended / (1 - kContended));
    const bool calm =
        ratio < kCalmWait && cores <= host.capacity_cores && disk < kCalmStretch && network < kCalmStretch;
    if (!calm) result.uneasy.push_back(i);
  }
  return result;
}

void ServicePrices::add_vm(std::size_t v, const HostCells& host, ServicePrice& price, double& contended) const {
  const std::size_t base = v * scenarios_->cells();
  const auto vcpus = static_cast<float>(model_.vms[v].state->allocation.vcpus);
  const auto full = static_cast<float>(1 - model_.policy.limits.slowdown_free);
  double lost = 0;
  double error = 0;
  const auto look = [&](std::size_t i) {
    const float disk = 1 + disk_share_[base + i] * (host.disk[i] - 1);
    const float network = 1 + network_share_[base + i] * (host.network[i] - 1);
    const float most = vcpus * host.level[i];
    const float cpu = scenarios_->cpu_cores[base + i];
    float performance = host.running[i] / (disk * network);
    if (cpu > most) {
      performance *= most / cpu;
      if (host.all_wait[i] == 0 && most < (1 - static_cast<float>(kContended)) * cpu) contended += weights_[i];
    }
    if (performance >= full) return;
    lost += weights_[i] * (full - performance);
    error += weights_[i] * performance * host.vague[i];
  };
  if (sensitive_[v] != 0) {
    for (std::size_t i = 0; i < scenarios_->cells(); ++i) look(i);
  } else {
    for (const std::size_t i : host.uneasy) look(i);
  }
  price.slowdown_per_hour += model_.vms[v].value_per_hour * lost;
  price.slowdown_error += model_.vms[v].value_per_hour * error;
}

ServicePrice ServicePrices::price(std::size_t h, const std::vector<std::size_t>& vms, std::size_t leaves,
                                  std::size_t comes, const ServiceLoad& load) const {
  const HostModel& host = model_.hosts[h];
  if (host.capacity_cores <= 0) return {};
  const HostCells cells = cells_of(h, vms, leaves, comes, load);
  ServicePrice price;
  double contended = 0;
  double count = 0;
  for_each_present(vms, leaves, comes, [&](std::size_t v) {
    add_vm(v, cells, price, contended);
    ++count;
  });
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    const double cores = load[i] + host.state->cpu_overhead_cores;
    price.used += weights_[i] * std::min(1.0, cores / host.capacity_cores);
    if (cells.all_wait[i] != 0) contended += weights_[i] * count;
  }
  price.slowdown_per_hour += model_.policy.prices.waiting_per_vm_hour * contended;
  return price;
}

}  // namespace proteus::ham
