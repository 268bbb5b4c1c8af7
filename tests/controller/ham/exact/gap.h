#pragma once

#include <algorithm>
#include <cstdint>

#include "controller/ham/decision.h"

namespace proteus::ham {

/// How far the search is from the best plan on one random cluster.
struct Gap {
  int hosts = 0;
  int vms = 0;
  double nothing = 0;       ///< cost of doing nothing [currency per hour], as far as migrations can change it
  double ours = 0;          ///< of the search's plan
  double optimum = 0;       ///< of the solver's best plan
  double in_any_order = 0;  ///< of the solver's best plan if no order were asked for
  double bound = 0;         ///< below which no plan is
  bool proven = false;      ///< the solver's best plan is the best there is, to within 0.1 %
  double broken_price = 0;  ///< part of the optimum: of hard rules that no plan mends
  int ours_violations = 0;
  int solver_violations = 0;
  int ours_moves = 0;
  std::int64_t evaluations = 0;
  double search_cpu_s = 0;
  /// By how much ours is worse than the solver's plan, as a share of what that costs beside the rules it cannot mend.
  double gap() const { return share(ours - optimum); }
  /// The same for the solver's bound: no more than so much can be missing.
  double gap_max() const { return share(ours - bound); }

 private:
  double share(double more) const { return more < 1e-6 ? 0 : more / std::max(optimum - broken_price, 1e-6); }
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
