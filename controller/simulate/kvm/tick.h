#pragma once

#include <vector>

#include "controller/simulate/kvm/cluster.h"

namespace proteus::simulate::kvm {

/// How one VM fared in a tick.
struct VmTick {
  double loss = 0;           ///< 1 − performance
  double demand_mhz = 0;     ///< what it asked for
  double cpu_mhz = 0;        ///< what it got
  double wait = 0;           ///< share of runnable time spent waiting, weighted by time on its hosts
  double disk_share = 0;     ///< of its time in disk I/O, were it on the best disk at rest
  double network_share = 0;  ///< likewise
  bool down = false;
  double host_swap = 0;  ///< share of the tick that it spent on a host short of memory
  bool guest_swap = false;
};

/// How one host fared in a tick.
struct HostTick {
  double demand_mhz = 0;       ///< of its VMs
  double overhead_mhz = 0;     ///< of migrations
  double cpu_mhz = 0;          ///< what its VMs got
  double wait = 0;             ///< of runnable time
  double disk_kbs = 0;         ///< of its VMs
  double network_kbs = 0;      ///< likewise
  double disk_load = 0;        ///< of capacity
  double network_load = 0;     ///< likewise, migrations included
  double disk_latency_ms = 0;  ///< of one operation
  double network_stretch = 1;
  double memory_excess = 0;
  double power_w = 0;
};

struct TickOutcome {
  std::vector<VmTick> vms;      ///< [vm]; of an absent one nothing is meant
  std::vector<HostTick> hosts;  ///< [host]
  std::vector<int> killed;
};

/// Simulates the cluster's current tick with its samples: memory, disasters, performance, power; then time moves on.
/// Every formula is that of the benchmark's sections 3, 5 and 7.
TickOutcome simulate_tick(Cluster& cluster);

}  // namespace proteus::simulate::kvm
