#pragma once

#include <cstdint>
#include <vector>

#include "controller/simulate/kvm/cluster.h"
#include "controller/simulate/kvm/tick.h"

namespace proteus::simulate::kvm {

inline constexpr double kEnergyPrice_eur_kwh = 0.35;  ///< 0.25 times a PUE of 1.4
inline constexpr double kMigrationPrice_eur = 0.01;
inline constexpr double kHelperPrice_eur = 0.002;
inline constexpr double kDisasterPrice_eur = 10;  ///< times the class factor
inline constexpr double kLossFree = 0.05;         ///< of performance; what is lost beyond is paid
inline constexpr double kLossPrice = 10;          ///< times the VM's value

/// The benchmark's metrics, up to some tick. Shares are of all that was asked for.
struct Metrics {
  int ticks = 0;
  double cost_eur = 0;
  double energy_kwh = 0;
  double sla_eur = 0;  ///< disasters included
  double contention_s = 0;
  double contention_share = 0;
  double unmet_cpu_share = 0;
  double unmet_cpu_mhz_s = 0;
  double unmet_disk_share = 0;
  double unmet_network_share = 0;
  double unmet_disk_mib = 0;
  double unmet_network_mib = 0;
  double host_swap_vm_s = 0;
  double guest_swap_vm_s = 0;
  double loss_p99 = 0;
  double loss_p999 = 0;
  double loss_mean = 0;
  int disasters = 0;
  int migrations = 0;
  double migration_s = 0;
  double downtime_s = 0;
  double migrated_gib = 0;
  int refused = 0;
  int reshapes = 0;
  int helpers = 0;  ///< started
  double mean_hosts_on = 0;
};

/// Adds up what ticks bring. Thread: owned by one.
class Tally {
 public:
  /// tick: the one that `outcome` is of; the cluster has already advanced.
  void add(const Cluster& cluster, int tick, const TickOutcome& outcome, const MigrationTally& migrations);
  void add_actions(int refused, int reshapes, int helpers);
  Metrics metrics() const;
  /// What has added up so far; shares, percentiles, means and cost are not worked out yet.
  const Metrics& sums() const { return sums_; }

 private:
  void add_vm(const Workload& workload, int tick, std::size_t vm, const VmTick& outcome);

  Metrics sums_;
  double up_s_ = 0;
  double demand_mhz_s_ = 0;
  double disk_mib_ = 0;
  double network_mib_ = 0;
  double hosts_on_ = 0;
  std::vector<float> losses_;
};

}  // namespace proteus::simulate::kvm
