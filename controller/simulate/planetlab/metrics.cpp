#include "controller/simulate/planetlab/metrics.h"

namespace proteus::simulate::planetlab {
namespace {

double ratio(double part, double whole) {
  return whole > 0 ? part / whole : 0;
}

}  // namespace

void Accounts::record_host(std::size_t host, double t, double used, double requested) {
  Host& account = hosts_[host];
  if (account.t >= 0 && account.t != t) {
    const bool active = account.used > 0;
    const double held_s = t - account.t;
    if (active) {
      account.active_s += held_s;
      if (account.used < account.requested) account.violated_s += held_s;
    }
    if (account.was_active && !active) ++account.shutdowns;
    account.was_active = active;
  }
  account.t = t;
  account.used = used;
  account.requested = requested;
  if (first_t_ < 0) first_t_ = t;
  last_t_ = t;
}

void Accounts::record_vm(std::size_t vm, double t, double allocated, double requested, bool migrating) {
  Vm& account = vms_[vm];
  if (account.t >= 0 && account.t != t) {
    const double held_s = t - account.t;
    account.allocated_work += account.allocated * held_s;
    account.requested_work += account.requested * held_s;
    if (account.allocated < account.requested) {
      const double missing = account.requested - account.allocated;
      missing_shares_ += missing / account.requested;
      ++missing_records_;
      if (account.migrating) account.lost_to_migration += missing * held_s;
    }
  }
  account.t = t;
  account.allocated = allocated;
  account.requested = requested;
  account.migrating = migrating;
}

Metrics Accounts::metrics() const {
  double active_s = 0;
  double violated_s = 0;
  Metrics metrics;
  for (const Host& host : hosts_) {
    active_s += host.active_s;
    violated_s += host.violated_s;
    metrics.host_shutdowns += host.shutdowns;
    // Whether a host is still on can be told from its last record, though that holds for no time.
    if (host.t >= 0 && host.was_active && host.used <= 0) ++metrics.host_shutdowns;
  }
  double allocated = 0;
  double requested = 0;
  double lost = 0;
  for (const Vm& vm : vms_) {
    allocated += vm.allocated_work;
    requested += vm.requested_work;
    lost += vm.lost_to_migration;
  }
  metrics.energy_kwh = energy_j_ / 3.6e6;
  metrics.slatah = ratio(violated_s, active_s);
  metrics.pdm = ratio(lost, requested);
  metrics.slav = metrics.slatah * metrics.pdm;
  metrics.esv = metrics.energy_kwh * metrics.slav;
  metrics.sla_overall = ratio(requested - allocated, requested);
  metrics.sla_average = ratio(missing_shares_, static_cast<double>(missing_records_));
  metrics.migrations = migrations_;
  metrics.mean_active_hosts = ratio(active_s, last_t_ - first_t_);
  return metrics;
}

}  // namespace proteus::simulate::planetlab
