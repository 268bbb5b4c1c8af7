#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "controller/forecast/asinh_scale.h"
#include "controller/forecast/forecast.h"

namespace proteus::forecast {

/// Quantiles of the h-step errors that a linear model made over its own history, out of its one-step errors. The
/// forecast of step T made h steps before differs from that made h − 1 steps before by psi(h − 1) times the one-step
/// error in between, so every h-step error costs one multiplication. Of a long history every fourth origin is looked
/// at, but for the next few steps: neighbouring errors far ahead tell nearly the same. No distribution is assumed.
/// Thread: owned by one. Source: psi weights and updating, Box, Jenkins & Reinsel, Time Series Analysis, ch. 5.
class InnovationErrors {
 public:
  /// kSteps: quantiles for the next few steps, then for ever fewer, with those between interpolated in log h; as the
  /// sample has them. kStepsAndWindows: the same of window maxima as well, both widened by as much as a sample of that
  /// size falls short. kEveryStep: as kSteps, but for each step ahead, from every origin.
  enum class Detail : std::uint8_t { kSteps, kStepsAndWindows, kEveryStep };
  explicit InnovationErrors(int horizon_steps, Detail detail = Detail::kStepsAndWindows);

  /// values: what came, NaN = missing. innovations: their one-step errors from index `first` on; 0 where the value is
  /// missing. psi: psi[j] is the effect of an innovation j steps later; psi[0] = 1; as many as the horizon.
  /// Returns false, and knows nothing, if not one error can be seen.
  bool learn(std::span<const double> values, std::span<const double> innovations, std::size_t first,
             std::span<const double> psi);

  /// To be added to the point forecast h steps ahead (h >= 1). Beyond the longest that was seen: its spread
  /// grows with the fourth root of h.
  Quantiles at(int h) const;
  /// To be added to the largest point forecast of so many steps (>= 1). Only with kStepsAndWindows.
  Quantiles window(int steps) const;

 private:
  struct Knot {
    int h;
    double log_h;
    Quantiles errors;
  };
  struct History;
  void sweep(History& history, std::size_t stride, int above, int up_to);
  bool is_knot(int h) const;
  static Quantiles between(const std::vector<Knot>& knots, int h);

  int horizon_steps_;
  Detail detail_;
  std::vector<Knot> steps_;    ///< ascending, from 1 to at most the horizon
  std::vector<Knot> windows_;  ///< the same
};

/// Fills forecast.steps and forecast.window_max: the point forecasts of `path` with the errors around them. Half of the
/// median error moves the median; the other half is taken to be chance. scale: what path and errors are on; null if it
/// is the series' own.
void put_around(std::span<const double> path, const InnovationErrors& errors, const AsinhScale* scale,
                Forecast& forecast);

}  // namespace proteus::forecast
