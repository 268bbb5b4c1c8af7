#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "controller/ham/cluster_state.h"
#include "controller/ham/policy.h"

namespace proteus::ham {

/// The horizon is looked at in this many equal slots, whatever the step of the forecasts.
constexpr std::size_t kSlots = 10;

/// How often demand is nearest to each of the levels p50, p90 and p99: the levels' neighbourhoods meet half-way between
/// them (0.70 and 0.945), so an expectation is 0.70·x(p50) + 0.245·x(p90) + 0.055·x(p99). What lies below the median
/// counts as the median, which errs on the side of more demand.
constexpr std::array<double, 3> kQuantileWeights = {0.70, 0.245, 0.055};

/// The time that a decision looks ahead. It begins with the forecasts' step that the state's `now` lies in, so that
/// slots are made of whole steps, and all decisions within a step see the same ones.
struct Horizon {
  Timestamp start;  ///< at most one step of the forecasts before the state's `now`
  Nanoseconds length{};
  Nanoseconds slot() const { return length / static_cast<std::int64_t>(kSlots); }
};

/// Up to the longest forecast's end, or policy.limits.lookahead if that is set and sooner. One minute, from now, if
/// there is no forecast.
Horizon make_horizon(const ClusterState& state, const Policy& policy);

/// One VM's demand on the slots of a horizon.
struct Demand {
  std::array<forecast::Quantiles, kSlots> cpu_mean;  ///< cores, mean over the slot
  std::array<forecast::Quantiles, kSlots> cpu_peak;  ///< cores, largest step of the slot, quantile by quantile
  forecast::Quantiles cpu_max;                       ///< cores, largest step of the horizon
  forecast::Quantiles memory_max;                    ///< bytes the guest uses, largest step of the horizon
  bool memory_known = false;
  std::string model;  ///< "current demand" if there was no usable CPU forecast
};

/// Reads the VM's forecasts. A CPU forecast that is missing, or over before the horizon begins, is replaced by the
/// current demand d widened to p90 = 1.25·d + 0.05 cores and p99 = 1.5·d + 0.1 cores. A forecast shorter than the
/// horizon keeps its last step. Pure.
Demand make_demand(const VmState& vm, const Horizon& horizon);

/// When the VM's p90 CPU demand first exceeds `limit_cores`, counted from `now`; nullopt: not within the horizon.
std::optional<Nanoseconds> time_until_above(const VmState& vm, const Horizon& horizon, Timestamp now,
                                            double limit_cores);

}  // namespace proteus::ham
