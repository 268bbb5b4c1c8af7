#pragma once

#include <cstddef>
#include <vector>

#include "controller/ham/score/cluster_model.h"

namespace proteus::ham {

/// What the exact solver says about the best plan of migrations.
struct ExactResult {
  double optimum = 0;              ///< cost of the best plan known [currency per hour], the given one included
  double in_any_order = 0;         ///< of the best plan if no order were asked for
  double bound = 0;                ///< no plan costs less
  int violations = 0;              ///< hard rules that its best plan leaves broken
  std::vector<std::size_t> hosts;  ///< where its best plan has each VM
  /// The best plan is the best there is, to within 0.1 %.
  bool proven() const { return optimum - bound <= 1e-3 * optimum; }
};

/// Cores of which every VM's demand must be a multiple.
constexpr double kExactGrid_cores = 0.05;

/// Which set of VMs each host should have, by column generation on GLPK: the master program chooses one set for each
/// host so that every VM is somewhere; new sets come from a dynamic program over the load of one host, priced by the
/// master's duals; its Lagrangian bound holds for every plan. In the end branch and bound chooses among the sets made.
/// The objective is the search's own: score_host() of the load, not a simplification of it; for each VM that moves its
/// one-off price without the contention until it has arrived; for each hard rule that stays broken its price.
/// Constraints: CPU and memory headroom where VMs arrive, pins, maintenance, VMs that may not move, anti-affinity by
/// host. Order: where VMs with anti-affinity end must be somewhere that they can get to (reachable.h), found by branch
/// and bound over their hosts; that headroom and memory may allow no order for the rest it does not know. The bound
/// leaves memory out, the plans do not. Covers what the random clusters of the gap test hold: flat demand without
/// spread, in multiples of the grid, no reshapes, no affinity, so many vCPUs that what waits is bounded by the load and
/// not by their number. known: a plan (host by VM) and its cost. nodes_max: bound on the final tree. Source: Gilmore,
/// Gomory (1961); Savelsbergh, A branch-and-price algorithm for the generalized assignment problem (1997); Farley's
/// bound.
ExactResult solve_exactly(const ClusterModel& model, const std::vector<std::size_t>& known, double known_cost,
                          int nodes_max);

}  // namespace proteus::ham
