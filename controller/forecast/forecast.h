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

/// Quantiles of demand for one step. Invariant: finite, p10 <= p50 <= p90 <= p95 <= p99.
struct Quantiles {
  constexpr Quantiles() = default;
  constexpr Quantiles(double at_10, double at_50, double at_90, double at_95, double at_99)
      : p10(at_10), p50(at_50), p90(at_90), p95(at_95), p99(at_99) {}
  bool operator==(const Quantiles&) const = default;

  double p10 = 0;
  double p50 = 0;
  double p90 = 0;
  double p95 = 0;
  double p99 = 0;
};

/// The levels of every forecast, and where each stands in Quantiles.
inline constexpr std::array kQuantileLevels = {0.1, 0.5, 0.9, 0.95, 0.99};
inline constexpr std::array<double Quantiles::*, kQuantileLevels.size()> kQuantileMembers = {
    &Quantiles::p10, &Quantiles::p50, &Quantiles::p90, &Quantiles::p95, &Quantiles::p99};

/// Predicted demand of one VM and resource.
struct Forecast {
  Timestamp made_at;  ///< end of the newest step that it has seen
  Nanoseconds step{};
  std::vector<Quantiles> steps;  ///< steps[i] covers made_at + i·step … made_at + (i+1)·step
  Quantiles window_max;          ///< of the largest step in the whole horizon
  std::string model;             ///< whose it is, for example "holt_damped"
  bool stale = false;            ///< history ended more than two steps before it was asked for; widened
};

/// Puts the quantiles in order and demand at or above zero.
Quantiles tidy(Quantiles quantiles);
/// The maximum is at least each step: lifts its quantiles to theirs.
void raise_to_steps(Forecast& forecast);

}  // namespace proteus::forecast
