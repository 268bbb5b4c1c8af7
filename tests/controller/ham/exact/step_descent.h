#pragma once

#include <cstddef>
#include <vector>

#include "tests/controller/ham/exact/step_costs.h"

namespace proteus::ham {

/// Costs that differ by no more are the same [currency per hour].
constexpr double kSameCost = 1e-9;

/// A placement that costs no more than `known`, nor than leaving everything as it is: local search by moves, exchanges,
/// and hosts that are emptied or opened, from each of them. No optimum; what an exact search begins with.
/// known: [vm] a placement, allowed.
std::vector<std::size_t> good_step(StepCosts& costs, const std::vector<std::size_t>& known);

}  // namespace proteus::ham
