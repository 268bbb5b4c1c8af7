#pragma once

#include <cstdint>
#include <vector>

#include "controller/simulate/kvm/workload.h"

namespace proteus::simulate::scenario {

/// Demand that comes and goes: `base` outside of a rise to `peak` of so much width around `at`, again each period.
/// Times are s, counted from the first decision.
struct Pattern {
  double base = 0;
  double peak = 0;
  double at_s = 14 * 3600;
  double width_s = 12 * 3600;
  double every_s = 24 * 3600;
  double noise = 0;    ///< standard deviation, share of the value
  bool burst = false;  ///< the whole width at the peak; else up and down as a cosine
};

/// [tick], times unit; begins `history_ticks` before the first decision. Same seed, same bits.
std::vector<float> make_demand(const Pattern& pattern, double unit, int history_ticks, int ticks, std::uint64_t seed);

/// A row of a trace, one value each step_s, as the mean of each tick, times unit.
/// Shape: as many whole ticks as it covers, at most ticks_max.
std::vector<float> to_ticks(const double* values, std::size_t steps, double step_s, double unit, int ticks_max);

}  // namespace proteus::simulate::scenario
