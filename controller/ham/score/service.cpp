#include "controller/ham/score/service.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "controller/profile/finite_queue.h"

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

/// What runnable vCPUs wait for each second that they run, and its standard error.
struct WaitRatio {
  double ratio = 0;
  double error = 0;
};

/// Where vCPUs want so many cores; squares: of finite_queue.h.
WaitRatio wait_ratio(const HostModel& host, double cores, double squares) {
  const double utilisation = cores / host.capacity_cores;
  if (host.wait_factor == nullptr) return {host.wait->at(utilisation), host.wait->error_at(utilisation)};
  const HostState& state = *host.state;
  const double cpus = host.capacity_cores / state.core_speed;
  const double busy = cores / state.core_speed;
  // What is not a VM is taken for single threads that never rest.
  squares += state.cpu_overhead_cores / state.core_speed;
  const double waiting = profile::finite_wait_cores(busy, profile::equal_vcpus(busy, squares), cpus);
  if (waiting <= 0) return {};
  const double by_theory = waiting / std::min(busy, cpus);
  return {host.wait_factor->at(utilisation) * by_theory, host.wait_factor->error_at(utilisation) * by_theory};
}

}  // namespace

/// Who is on a host: `there` without `leaves`, then `comes`.
struct ServicePrices::Guests {
  std::span<const Guest> there;
  std::span<const Guest> leaves;
  std::span<const Guest> comes;
  template <typename Visit>
  void for_each(const Visit& visit) const {
    for (const Guest& guest : there) {
      if (std::find(leaves.begin(), leaves.end(), guest) == leaves.end()) visit(guest);
    }
    for (const Guest& guest : comes) visit(guest);
  }
};

/// What all VMs of a host meet there, cell by cell.
struct ServicePrices::HostCells {
  explicit HostCells(std::size_t cells)
      : values(6 * cells),
        running(values.data()),
        vague(running + cells),
        disk(vague + cells),
        network(disk + cells),
        level(network + cells),
        performance(level + cells),
        all_wait(cells) {}
  HostCells(HostCells&&) = default;  // what points into `values` goes with it
  std::vector<float> values;
  float* running;              ///< share of the time that a runnable vCPU runs
  float* vague;                ///< its standard error, relative to it
  float* disk;                 ///< how much longer an operation takes than on the best host at rest
  float* network;              ///< likewise
  float* level;                ///< cores that each vCPU gets at most
  float* performance;          ///< of the VM that is looked at
  std::vector<char> all_wait;  ///< every VM is kept waiting
  bool uneasy = false;         ///< there are cells in which even a VM that is not sensitive may lose something
};

ServicePrices::ServicePrices(const ClusterModel& model)
    : model_(model), scenarios_(model.state.scenarios), vms_(model.vms.size()) {
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
  work_.resize(3 * model.vms.size() * cells);
  for (std::size_t v = 0; v < model.vms.size(); ++v) {
    const VmState& vm = *model.vms[v].state;
    float* work = &work_[3 * v * cells];
    bool sensitive = false;
    for (std::size_t i = 0; i < cells; ++i) {
      const std::size_t at = v * cells + i;
      const float cpu = work[i] = scenarios_->cpu_cores[at];
      const float disk = work[cells + i] = share_of(scenarios_->disk_bytes_per_s[at], vm.disk_half_bytes_per_s);
      const float network = work[2 * cells + i] =
          share_of(scenarios_->network_bytes_per_s[at], vm.network_half_bytes_per_s);
      sensitive |= cpu > vm.allocation.vcpus * slowest || disk > kNoticeable || network > kNoticeable;
    }
    vms_[v] = {model.vms[v].value_per_hour, static_cast<float>(vm.allocation.vcpus), sensitive};
  }
}

float ServicePrices::helper_work(const Guest& guest, std::size_t cell) const {
  const float cpu = work_[3 * guest.vm * scenarios_->cells() + cell];
  return std::min(static_cast<float>(model_.vms[guest.vm].helper_rule->share) * cpu, guest.work_most);
}

float ServicePrices::cores_of(const Guest& guest, std::size_t cell) const {
  const float cpu = work_[3 * guest.vm * scenarios_->cells() + cell];
  switch (guest.part) {
    case Guest::Part::kAll: return cpu;
    case Guest::Part::kOwn: return cpu - helper_work(guest, cell);
    case Guest::Part::kHelper:
      return static_cast<float>(model_.vms[guest.vm].helper_rule->overhead) * helper_work(guest, cell);
  }
  return cpu;
}

int ServicePrices::vcpus_of(const Guest& guest) const {
  if (guest.part == Guest::Part::kHelper) return model_.vms[guest.vm].helper_rule->vcpus;
  return static_cast<int>(vms_[guest.vm].vcpus);
}

void ServicePrices::add(ServiceLoad& load, std::size_t h, const Guest& guest, float sign) const {
  const std::size_t cells = scenarios_->cells();
  const HostState& host = *model_.hosts[h].state;
  const int vcpus = vcpus_of(guest);
  const auto most = static_cast<float>(vcpus * host.core_speed);
  const float* cpu = &work_[3 * guest.vm * cells];
  const float* disk = &scenarios_->disk_bytes_per_s[guest.vm * cells];
  const float* network = &scenarios_->network_bytes_per_s[guest.vm * cells];
  const bool whole = guest.part == Guest::Part::kAll;
  const auto cores = [&](std::size_t i) { return std::min(whole ? cpu[i] : cores_of(guest, i), most); };
  for (std::size_t i = 0; i < cells; ++i) load[i] += sign * cores(i);
  if (model_.hosts[h].wait_factor != nullptr) {
    const auto scale = static_cast<float>(sign / (vcpus * host.core_speed * host.core_speed));
    for (std::size_t i = 0; i < cells; ++i) load[3 * cells + i] += scale * cores(i) * cores(i);
  }
  if (guest.part == Guest::Part::kHelper) return;
  for (std::size_t i = 0; i < cells; ++i) load[cells + i] += sign * disk[i];
  for (std::size_t i = 0; i < cells; ++i) load[2 * cells + i] += sign * network[i];
}

ServiceLoad ServicePrices::load_of(std::size_t h, std::span<const Guest> guests) const {
  ServiceLoad load(4 * scenarios_->cells());
  for (const Guest& guest : guests) add(load, h, guest, 1);
  return load;
}

ServicePrices::HostCells ServicePrices::cells_of(std::size_t h, const Guests& guests, const ServiceLoad& load) const {
  const HostModel& host = model_.hosts[h];
  const HostState& state = *host.state;
  const std::size_t cells = scenarios_->cells();
  HostCells result(cells);
  std::vector<std::pair<double, int>> claims;
  for (std::size_t i = 0; i < cells; ++i) {
    const double cores = load[i] + state.cpu_overhead_cores;
    const auto [ratio, error] = wait_ratio(host, cores, load[3 * cells + i]);
    const double disk = stretch_of(state.disk, host.disk_wait.get(), load[cells + i]);
    const double network = stretch_of(state.network, host.network_wait.get(), load[2 * cells + i]);
    double level = state.core_speed;
    if (cores > host.capacity_cores) {
      claims.clear();
      guests.for_each([&](const Guest& guest) {
        const int vcpus = vcpus_of(guest);
        claims.emplace_back(std::min<double>(cores_of(guest, i), vcpus * state.core_speed), vcpus);
      });
      level = std::min(level, fair_level(claims, std::max(0.0, host.capacity_cores - state.cpu_overhead_cores)));
    }
    result.running[i] = static_cast<float>(1 / (1 + ratio));
    result.vague[i] = static_cast<float>(error / (1 + ratio));
    result.disk[i] = static_cast<float>(disk);
    result.network[i] = static_cast<float>(network);
    result.level[i] = static_cast<float>(level);
    result.all_wait[i] = static_cast<char>(ratio > kContended / (1 - kContended));
    const bool calm =
        ratio < kCalmWait && cores <= host.capacity_cores && disk < kCalmStretch && network < kCalmStretch;
    result.uneasy |= !calm;
  }
  return result;
}

void ServicePrices::add_vm(std::size_t v, const HostCells& host, ServicePrice& price, double& contended) const {
  const Worker& vm = vms_[v];
  if (!vm.sensitive && !host.uneasy) return;
  const std::size_t cells = scenarios_->cells();
  const float* cpu = &work_[3 * v * cells];
  const float* disk_share = cpu + cells;
  const float* network_share = disk_share + cells;
  const auto full = static_cast<float>(1 - model_.policy.limits.slowdown_free);
  const auto most_of = [&](std::size_t i) {
    return std::max(vm.vcpus * host.level[i], std::numeric_limits<float>::min());  // a VM that asks for nothing gets it
  };
  // Without branches, and nothing is added up, so that compilers do several cells at once.
  int loses = 0;
  int lacks = 0;
  for (std::size_t i = 0; i < cells; ++i) {
    const float disk = 1 + disk_share[i] * (host.disk[i] - 1);
    const float network = 1 + network_share[i] * (host.network[i] - 1);
    const float most = most_of(i);
    const float performance = host.running[i] / (disk * network) * (most / std::max(cpu[i], most));
    host.performance[i] = performance;
    loses |= static_cast<int>(performance < full);
    lacks |= static_cast<int>(most < (1 - static_cast<float>(kContended)) * cpu[i]);
  }
  if (loses != 0) {
    double lost = 0;
    double error = 0;
    for (std::size_t i = 0; i < cells; ++i) {
      const float performance = host.performance[i];
      if (performance >= full) continue;
      lost += weights_[i] * (full - performance);
      error += weights_[i] * performance * host.vague[i];
    }
    price.slowdown_per_hour += vm.value_per_hour * lost;
    price.slowdown_error += vm.value_per_hour * error;
  }
  if (lacks == 0) return;
  for (std::size_t i = 0; i < cells; ++i) {
    const bool lacking = most_of(i) < (1 - static_cast<float>(kContended)) * cpu[i];
    if (lacking && host.all_wait[i] == 0) contended += weights_[i];
  }
}

void ServicePrices::add_part(const Guest& guest, const HostCells& host, ServicePrice& price, double& contended) const {
  const std::size_t cells = scenarios_->cells();
  const float* work = &work_[3 * guest.vm * cells];
  const auto vcpus = static_cast<float>(vcpus_of(guest));
  const auto full = static_cast<float>(1 - model_.policy.limits.slowdown_free);
  const bool helps = guest.part == Guest::Part::kHelper;
  double lost = 0;
  double error = 0;
  for (std::size_t i = 0; i < cells; ++i) {
    const float cpu = work[i];
    if (cpu <= 0 && helps) continue;
    const float asked = cores_of(guest, i);
    const float served = asked > 0 ? std::min(1.0F, vcpus * host.level[i] / asked) : 1;
    const float helped = cpu > 0 ? helper_work(guest, i) / cpu : 0;  // share of the VM's work
    const float part = helps ? helped : 1 - helped;
    const float done = part * served * host.running[i];
    if (part * (1 - served) > kContended || part * (1 - host.running[i]) > kContended) contended += weights_[i];
    if (helps) {
      lost += weights_[i] * std::max(0.0F, full * part - done);
      if (done < full * part) error += weights_[i] * done * host.vague[i];
      continue;
    }
    // Its helper is taken to do as much of its part as is paid for; what it does less, its host is charged with.
    const float disk = 1 + work[cells + i] * (host.disk[i] - 1);
    const float network = 1 + work[2 * cells + i] * (host.network[i] - 1);
    const float performance = (done + full * helped) / (disk * network);
    if (performance >= full) continue;
    lost += weights_[i] * (full - performance);
    error += weights_[i] * done / (disk * network) * host.vague[i];
  }
  price.slowdown_per_hour += vms_[guest.vm].value_per_hour * lost;
  price.slowdown_error += vms_[guest.vm].value_per_hour * error;
}

ServicePrice ServicePrices::price(std::size_t h, std::span<const Guest> there, std::span<const Guest> leaves,
                                  std::span<const Guest> comes, const ServiceLoad& load) const {
  const HostModel& host = model_.hosts[h];
  if (host.capacity_cores <= 0) return {};
  const Guests guests{there, leaves, comes};
  const HostCells cells = cells_of(h, guests, load);
  ServicePrice price;
  double contended = 0;
  double count = 0;
  guests.for_each([&](const Guest& guest) {
    if (guest.part != Guest::Part::kAll) return add_part(guest, cells, price, contended);
    add_vm(guest.vm, cells, price, contended);
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
