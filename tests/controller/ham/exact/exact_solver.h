#pragma once

#include <cstddef>
#include <vector>

#include "controller/ham/score/cluster_model.h"

namespace proteus::ham {

/// What branch and bound says about the best plan of migrations.
struct ExactResult {
  double optimum = 0;   ///< cost of the best plan found [currency per hour]
  double bound = 0;     ///< no plan costs less; equal to the optimum, to within the solver's tolerance, if proven
  bool proven = false;  ///< the tree was searched to its end
  bool found = false;   ///< it found a plan of its own, or the one it was given
  int violations = 0;   ///< hard rules that its best plan leaves broken
  std::vector<std::size_t> hosts;  ///< by VM, of its best plan
};

/// Solves by GLPK the choice of a host for each VM, as a mixed-integer program with the search's own objective: for
/// each host its price of contention, headroom and energy as score_host() says, convex and piecewise linear from below
/// (so that no plan is overrated); for each VM that moves its one-off price without the contention until it has
/// arrived; for each hard rule that stays broken its price. Constraints: CPU and memory headroom, pins, maintenance,
/// VMs that may not move, anti-affinity by host. It knows no order: a plan that no order allows counts as well.
/// Covers what the random clusters of the gap test hold: flat demand without spread, no reshapes, no affinity.
/// known: a plan (host by VM) to begin with, and its cost. nodes_max: bound on the tree.
ExactResult solve_exactly(const ClusterModel& model, const std::vector<std::size_t>& known, double known_cost,
                          int nodes_max);

}  // namespace proteus::ham
