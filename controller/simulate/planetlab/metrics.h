#pragma once

#include <cstddef>
#include <vector>

namespace proteus::simulate::planetlab {

/// A day's figures, as CloudSim and the papers define them. Shares are fractions, not per cent.
struct Metrics {
  double energy_kwh = 0;
  double slatah = 0;       ///< share of the hosts' active time in which less was used than requested (also called OTF)
  double pdm = 0;          ///< share of the requested work that was lost because of migrations
  double slav = 0;         ///< slatah * pdm
  double esv = 0;          ///< energy_kwh * slav
  double sla_overall = 0;  ///< share of the requested work that was not done
  double sla_average = 0;  ///< mean share missing, over the records in which any was
  std::size_t migrations = 0;
  std::size_t host_shutdowns = 0;
  double mean_active_hosts = 0;
};

/// Keeps the records of hosts and VMs as sums. A record holds until the next one of its host or VM; one at the same
/// time replaces it; the last one of each counts for nothing. Thread: owned by one.
class Accounts {
 public:
  Accounts(std::size_t hosts, std::size_t vms) : hosts_(hosts), vms_(vms) {}

  /// mips used and requested by all VMs of a host, from t on (seconds).
  void record_host(std::size_t host, double t, double used, double requested);
  /// mips allocated to a VM and requested by it, from t on.
  void record_vm(std::size_t vm, double t, double allocated, double requested, bool migrating);
  void add_energy(double joules) { energy_j_ += joules; }
  void add_migration() { ++migrations_; }

  double energy_j() const { return energy_j_; }
  Metrics metrics() const;

 private:
  struct Host {
    double t = -1;  ///< of the newest record; negative: none yet
    double used = 0;
    double requested = 0;
    bool was_active = true;  ///< in the record before it; hosts count as active before their first
    std::size_t shutdowns = 0;
    double active_s = 0;
    double violated_s = 0;
  };
  struct Vm {
    double t = -1;
    double allocated = 0;
    double requested = 0;
    bool migrating = false;
    double allocated_work = 0;  ///< MIPS * s
    double requested_work = 0;
    double lost_to_migration = 0;
  };
  std::vector<Host> hosts_;
  std::vector<Vm> vms_;
  double missing_shares_ = 0;
  std::size_t missing_records_ = 0;
  double energy_j_ = 0;
  std::size_t migrations_ = 0;
  double first_t_ = -1;
  double last_t_ = 0;
};

}  // namespace proteus::simulate::planetlab
