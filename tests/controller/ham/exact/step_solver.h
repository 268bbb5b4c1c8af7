#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/controller/ham/exact/step_costs.h"

namespace proteus::ham {

/// What the exact solver says about the best placement that one decision could aim at.
struct StepResult {
  double known = 0;                ///< cost of the placement that was given [currency per hour]
  double optimum = 0;              ///< of the best one found
  double bound = 0;                ///< no placement costs less
  std::vector<std::size_t> hosts;  ///< [vm] of the best one
  std::int64_t priced = 0;         ///< sets of VMs on a host whose cost was worked out
  /// A set of VMs cost so much less than its bound said, at worst. 0: the bound held wherever it was looked at.
  double bound_broken = 0;
  bool proven() const { return optimum - bound <= 1e-6; }
};

/// The placement of least StepCosts::total(), by branch and bound of our own: the cost of a host is no sum over its VMs
/// (waiting, fair shares and stretched I/O depend on all of them together), and so no integer linear program.
///   1. Which hosts end without VMs, which empty ones are opened, and whether (and where) the first two VMs with soft
///      affinity are together: each case has a bound of its own, the least first.
///   2. In a case, the VMs that must leave are placed one by one. Bound: each host by the cheapest set of its own VMs
///      that could leave besides, what leaves at its cheapest other place, no matter what it does there.
///   3. For each host all sets of VMs that could leave within what is left to the best plan so far; for each
///      combination of these, all places of what leaves.
/// The bounds rest on one thing: more VMs on a host never make those that are there cheaper by more than the newcomers
/// cost alone. Every set that is priced is checked for that (bound_broken).
/// Constraints: pins and whatever else keeps a VM, hosts that take no VMs, anti-affinity, memory and CPU headroom. Left
/// out, so that the optimum may be better than anything that can be done: the order of moves, and how many may run at
/// once (a plan may take several steps to carry out).
/// A local search by moves, exchanges, emptying and opening gives the plan to begin with.
/// known: [vm] a placement. nodes_max: of the search tree; after these the bound is left as it is, and is loose.
StepResult solve_step(StepCosts& costs, const std::vector<std::size_t>& known, std::int64_t nodes_max);

}  // namespace proteus::ham
