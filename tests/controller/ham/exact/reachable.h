#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <vector>

#include "controller/ham/score/cluster_model.h"

namespace proteus::ham {

/// Where VMs with hard anti-affinity can get to, one move at a time, each allowed by anti-affinity, pins and
/// maintenance as the rules of the search have them; stops on other hosts count. Everything else (headroom, memory) is
/// left out, so nothing that can be reached is missing.
struct Reachable {
  std::vector<std::size_t> vms;  ///< that have hard anti-affinity, ascending
  /// Their hosts, as in `vms`, and what stops on the cheapest way there cost [currency per hour].
  std::map<std::vector<std::size_t>, double> stops_price;
};

/// nullopt: more than states_max of them.
std::optional<Reachable> find_reachable(const ClusterModel& model, std::size_t states_max);

/// The VM may be on the host in the end, whatever else is there.
bool may_be_on(const ClusterModel& model, std::size_t vm, std::size_t host);

}  // namespace proteus::ham
