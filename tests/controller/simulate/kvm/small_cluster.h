#pragma once

#include <vector>

#include "controller/simulate/kvm/workload.h"

namespace proteus::simulate::kvm {

/// Two hosts (two cores of 1000 MHz, 10000 MiB, 1000 KB/s disk, 125000 KB/s network, 100 W to 200 W) and VMs whose
/// demand never changes, unless a test writes into the traces.
class SmallCluster {
 public:
  struct Demand {
    double cpu_mhz = 0;
    double active_mib = 0;
    double disk_kbs = 0;
    double network_kbs = 0;
  };
  SmallCluster();
  SmallCluster(const SmallCluster&) = delete;
  SmallCluster& operator=(const SmallCluster&) = delete;
  /// Returns its id. Silver, one vCPU, value 1 EUR/h.
  int add_vm(double memory_mib, Demand demand);
  void set(int vm, Series series, int from_tick, double value);
  /// At this tick alone.
  void set_one(int vm, Series series, int tick, double value);
  Workload& workload() { return workload_; }

 private:
  Traces traces_;
  Workload workload_;
};

}  // namespace proteus::simulate::kvm
