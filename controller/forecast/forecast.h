#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/units.h"

namespace proteus::forecast {

/// What a VM can need more of. Units: kCpu cores, kMemory bytes, kBlockIo and kNetwork bytes per second.
enum class Resource : std::uint8_t { kCpu, kMemory, kBlockIo, kNetwork };
inline constexpr std::array kResources = {Resource::kCpu, Resource::kMemory, Resource::kBlockIo, Resource::kNetwork};
const char* to_string(Resource resource);

/// Past demand on an even grid, oldest first, NaN = missing. values.back() belongs to the step that ends at `end`.
struct History {
  Timestamp end;
  Nanoseconds step{};
  std::vector<double> values;
};

/// The levels of every forecast.
inline constexpr std::array kQuantileLevels = {0.5, 0.9, 0.99};

/// Quantiles of demand for one step. Invariant: finite, p50 <= p90 <= p99.
struct Quantiles {
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  bool operator==(const Quantiles&) const = default;
};

/// Forecast::model of a series of which too little is known to forecast it.
inline constexpr const char* kColdStart = "cold_start";

/// Predicted demand of one VM and resource.
struct Forecast {
  Timestamp made_at;  ///< end of the newest step that it has seen
  Nanoseconds step{};
  std::vector<Quantiles> steps;  ///< steps[i] covers made_at + i·step … made_at + (i+1)·step
  Quantiles window_max;          ///< of the largest step in the whole horizon
  std::string model;             ///< whose it is, for example "holt_damped"
  bool stale = false;            ///< history ended more than two steps before it was asked for; widened
};

}  // namespace proteus::forecast
