#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "controller/simulate/planetlab/cluster.h"

namespace proteus::simulate::planetlab {

/// Smaller is better; mips: what has been placed on the host and the VM together.
using PlacementCost = std::function<double(std::size_t host, std::size_t vm, double mips)>;

/// All VMs by their ids.
std::vector<std::size_t> by_id(const Cluster& cluster);

/// Places VMs one by one in the order given, at full size, on the host of the least cost where MIPS, RAM and
/// bandwidth suffice; of several, on the one with the lowest id. Returns the host of each VM, by id.
/// Errors: kFailedPrecondition if a VM fits nowhere.
Result<std::vector<std::size_t>> place_at_full_size(const Cluster& cluster, const std::vector<std::size_t>& order,
                                                    const PlacementCost& cost);

}  // namespace proteus::simulate::planetlab
