#pragma once

#include <span>
#include <vector>

namespace proteus::simulate::kvm {

/// Busy vCPUs as a queue sees them, summed over a host's VMs and migrations.
struct BusyFractions {
  double sum = 0;      ///< of b, cores
  double squares = 0;  ///< of b² per vCPU
};

/// The share of runnable time that is spent waiting for one of `cores`, in [0, 1).
/// Source: finite-source queue M/M/c//N (machine repairman), Gross & Harris, Fundamentals of Queueing Theory.
double run_queue_wait(const BusyFractions& busy, int cores);

/// One claim on a host's CPU.
struct Claim {
  double demand = 0;  ///< MHz
  double weight = 0;  ///< > 0
};

/// Weighted max-min fair shares of `capacity`, one per claim. Equal ratios are served in the order given.
std::vector<double> fair_shares(std::span<const Claim> claims, double capacity);

/// How much longer an operation takes on a device loaded to `load` of its capacity, open M/M/1 up to 0.9; >= 1.
double stretch(double load);

/// How fast a VM runs that spends `io_share` of its time in operations that take `stretch` times as long; in (0, 1].
inline double io_factor(double io_share, double stretched) {
  return 1 / (1 - io_share + io_share * stretched);
}

/// A live migration by pre-copy. Source: Clark et al., NSDI 2005; Liu et al., HPDC 2011.
struct PreCopy {
  double duration_s = 0;  ///< rounds and downtime
  double downtime_s = 0;
  double copied_mib = 0;
};
/// cpu_mhz, active_mib: what the VM does while it is copied. rate in MiB/s, > 0.
PreCopy pre_copy(double resident_mib, double cpu_mhz, double active_mib, double rate_mibs);

}  // namespace proteus::simulate::kvm
