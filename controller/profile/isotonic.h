#pragma once

#include <span>
#include <vector>

namespace proteus::profile {

/// The non-decreasing sequence nearest to `values` in weighted squares. Sizes are equal; weights > 0.
/// Thread: pure; callable from any.
/// Source: pooling of adjacent violators, Ayer et al. (1955).
std::vector<double> pool_adjacent_violators(std::span<const double> values, std::span<const double> weights);

}  // namespace proteus::profile
