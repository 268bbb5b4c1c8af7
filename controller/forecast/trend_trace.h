#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "controller/forecast/damped_trend_filter.h"

namespace proteus::forecast {

/// Where a filter for a history starts.
struct TrendStart {
  double level = 0;  ///< median of the first values
  double noise = 0;  ///< from the mean difference between neighbours, as if they were independent
};
/// values: NaN = missing; at least one is finite.
TrendStart trend_start(std::span<const double> values);

/// What the filter thought after each step of a history. Thread: owned by one.
struct TrendTrace {
  struct State {
    double level;
    double trend;
    bool in_trend;
  };
  struct Change {
    std::size_t began;
    std::size_t found;
  };
  /// With these parameters a history is run to see when it changed.
  static constexpr DampedTrendParameters kPlain{0.15, 0, DampedTrendFilter::kTrendDamping};

  std::vector<State> states;
  std::vector<Change> changes;

  /// Runs over values from scratch; returns the filter as it is at the end.
  DampedTrendFilter run(const DampedTrendParameters& parameters, const TrendStart& start,
                        std::span<const double> values);
  /// Whether the steps from origin to origin + horizon hold a change, or one was under way unseen.
  bool crosses_change(std::size_t origin, int horizon) const;
  /// Changes to be expected per step: those seen, and few presumed before the history began.
  double change_rate() const;
};

}  // namespace proteus::forecast
