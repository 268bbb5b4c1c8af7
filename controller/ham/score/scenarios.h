#pragma once

#include <cstddef>
#include <vector>

#include "controller/ham/cluster_state.h"
#include "controller/ham/score/demand.h"

namespace proteus::ham {

/// What the VMs may do together over the time ahead, as paths of some likelihood, each cut into ticks of equal length.
/// A cell is one tick of one path; cell p · ticks + i is tick i of path p. What quantiles of single VMs cannot say
/// shows here: who is busy at the same time as whom.
struct Scenarios {
  std::size_t ticks = 0;
  std::size_t paths = 0;
  Nanoseconds tick{};                      ///< length of a tick; 0: not told
  std::vector<double> weights;             ///< [path] likelihood; their sum is 1
  std::vector<float> cpu_cores;            ///< [vm · cells() + cell], VMs as in ClusterState::vms
  std::vector<float> disk_bytes_per_s;     ///< likewise
  std::vector<float> network_bytes_per_s;  ///< likewise
  std::size_t cells() const { return ticks * paths; }
  /// All zero, all paths alike.
  void reset(std::size_t vms, std::size_t tick_count, std::size_t path_count);
};

/// The demand at a level in (0, 1): straight lines between p50, p90 and p99, mirrored below the median, at least 0.
double at_level(const forecast::Quantiles& quantiles, double level);

/// Each VM keeps to a level of its own forecasts on a path; levels are dealt to it in an order that its id decides, so
/// that the spreads of different VMs add like those of independent errors. A VM without forecasts does what it does
/// now. Pure.
Scenarios scenarios_of_forecasts(const ClusterState& state, const Horizon& horizon);

/// The order in which a VM takes so many levels, by its id alone.
std::vector<std::size_t> deal_levels(const VmId& id, std::size_t levels);

}  // namespace proteus::ham
