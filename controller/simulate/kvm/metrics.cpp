#include "controller/simulate/kvm/metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace proteus::simulate::kvm {
namespace {

constexpr double kTick_h = kTick_s / 3600.0;
constexpr double kContended = 0.05;

/// Nearest rank. values is reordered.
double percentile(std::vector<float>& values, double share) {
  if (values.empty()) return 0;
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(rank, 1) - 1);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

}  // namespace

void Tally::add_vm(const Workload& workload, int tick, std::size_t vm, const VmTick& outcome) {
  losses_.push_back(static_cast<float>(outcome.loss));
  sums_.loss_mean += outcome.loss;
  sums_.sla_eur += kLossPrice * workload.vms[vm].value * kTick_h * std::max(0.0, outcome.loss - kLossFree);
  if (outcome.down) return;
  up_s_ += kTick_s;
  const double unmet_mhz = outcome.demand_mhz - outcome.cpu_mhz;
  if (unmet_mhz > kContended * outcome.demand_mhz || outcome.wait > kContended) sums_.contention_s += kTick_s;
  sums_.unmet_cpu_mhz_s += std::max(0.0, unmet_mhz) * kTick_s;
  demand_mhz_s_ += outcome.demand_mhz * kTick_s;
  sums_.host_swap_vm_s += outcome.host_swap * kTick_s;
  if (outcome.guest_swap) sums_.guest_swap_vm_s += kTick_s;
  disk_mib_ += workload.sample(vm, Series::kDisk, tick) * kTick_s / 1024;
  network_mib_ += workload.sample(vm, Series::kNetwork, tick) * kTick_s / 1024;
}

void Tally::add(const Cluster& cluster, int tick, const TickOutcome& outcome, const MigrationTally& migrations) {
  const Workload& workload = cluster.workload();
  ++sums_.ticks;
  for (std::size_t v = 0; v < outcome.vms.size(); ++v) {
    if (cluster.vms()[v].present) add_vm(workload, tick, v, outcome.vms[v]);
  }
  for (const int vm : outcome.killed) {
    ++sums_.disasters;
    sums_.sla_eur += kDisasterPrice_eur * class_factor(workload.vms[static_cast<std::size_t>(vm)].vm_class);
  }
  for (std::size_t h = 0; h < outcome.hosts.size(); ++h) {
    const HostTick& host = outcome.hosts[h];
    sums_.energy_kwh += host.power_w / 1000 * kTick_h;
    if (cluster.hosts()[h].power != Power::kAsleep) ++hosts_on_;
    // What does not fit is spread over all that ask, migrations among them.
    const auto unmet_mib = [](double vms_kbs, double load) {
      return vms_kbs * (1 - 1 / std::max(1.0, load)) * kTick_s / 1024;
    };
    sums_.unmet_disk_mib += unmet_mib(host.disk_kbs, host.disk_load);
    sums_.unmet_network_mib += unmet_mib(host.network_kbs, host.network_load);
  }
  sums_.migrations += migrations.begun;
  sums_.migration_s += migrations.seconds;
  sums_.downtime_s += migrations.downtime_s;
  sums_.migrated_gib += migrations.copied_mib / 1024;
}

void Tally::add_actions(int refused, int reshapes, int helpers) {
  sums_.helpers += helpers;
  sums_.refused += refused;
  sums_.reshapes += reshapes;
}

Metrics Tally::metrics() const {
  Metrics m = sums_;
  const auto share = [](double part, double whole) { return whole > 0 ? part / whole : 0; };
  m.cost_eur = m.energy_kwh * kEnergyPrice_eur_kwh + m.sla_eur + kMigrationPrice_eur * m.migrations +
               kHelperPrice_eur * m.helpers;
  m.contention_share = share(m.contention_s, up_s_);
  m.unmet_cpu_share = share(m.unmet_cpu_mhz_s, demand_mhz_s_);
  m.unmet_disk_share = share(m.unmet_disk_mib, disk_mib_);
  m.unmet_network_share = share(m.unmet_network_mib, network_mib_);
  std::vector<float> losses = losses_;
  m.loss_p99 = percentile(losses, 0.99);
  m.loss_p999 = percentile(losses, 0.999);
  m.loss_mean = share(m.loss_mean, static_cast<double>(losses_.size()));
  m.mean_hosts_on = share(hosts_on_, m.ticks);
  return m;
}

}  // namespace proteus::simulate::kvm
