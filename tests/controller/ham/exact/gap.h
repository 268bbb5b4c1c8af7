#pragma once

#include <cstdint>

#include "controller/ham/decision.h"

namespace proteus::ham {

/// How far the search is from the best plan on one random cluster.
struct Gap {
  int hosts = 0;
  int vms = 0;
  double nothing = 0;   ///< cost of doing nothing [currency per hour], as far as migrations can change it
  double ours = 0;      ///< of the search's plan
  double optimum = 0;   ///< of the solver's best plan
  double bound = 0;     ///< below which no plan is
  bool proven = false;  ///< the solver searched its tree to the end
  int ours_violations = 0;
  int solver_violations = 0;
  int ours_moves = 0;
  std::int64_t evaluations = 0;
  /// Share by which ours may be worse than the best plan; an upper bound of it where the solver did not finish.
  double gap() const { return (ours - bound) / bound; }
};

/// Clusters of 2 to `hosts_max` hosts of unequal size and 2 to 5 VMs a host on average, placed at random, at 45 to 80 %
/// of the capacity; a third of them with anti-affinity and pins that are broken at first, a third with a host to be
/// emptied. The same for the same seed.
struct GapCase {
  ClusterState state;
  Policy policy;
};
GapCase random_case(std::uint32_t seed, int hosts_max);

/// Decides, solves, compares.
Gap measure_gap(const GapCase& test, std::uint32_t seed, int nodes_max);

}  // namespace proteus::ham
