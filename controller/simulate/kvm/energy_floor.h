#pragma once

#include "controller/simulate/kvm/workload.h"

namespace proteus::simulate::kvm {

/// The energy of a whole scenario that none can be below which serves all of it, kWh: at each tick the cheapest set of
/// hosts is on that has the CPU for what the VMs ask for and the memory for what they need, with the load divided at
/// will, moves and waking free, and all other hosts asleep. Of a VM's demand counts what its vCPUs can do on the
/// fastest cores. Where all hosts together lack something, all are on.
double energy_floor_kwh(const Workload& workload);

}  // namespace proteus::simulate::kvm
