#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "controller/forecast/forecast.h"

namespace proteus::forecast {

/// The errors (actual minus point forecast) that a model made when it was run over its own history, as
/// quantiles by horizon and for the window maximum. No distribution is assumed. Thread: owned by one.
class ErrorTable {
 public:
  /// Point forecasts made after values[origin] for the steps origin + 1 … origin + path.size().
  using PathOf = std::function<void(std::size_t origin, std::span<double> path)>;
  /// Whether the model saw a change of regime between origin and origin + horizon. Such errors say what
  /// happens when the regime changes; how often that is, is estimated apart.
  using CrossesChange = std::function<bool(std::size_t origin, int horizon)>;

  explicit ErrorTable(int horizon_steps);

  /// values: NaN = missing. Origins: first_origin … end, thinned. crosses_change may be empty;
  /// change_rate: expected changes per step.
  /// Returns false, and knows nothing, if there is no error to be seen.
  bool learn(std::span<const double> values, std::size_t first_origin, const PathOf& path_of,
             const CrossesChange& crosses_change = {}, double change_rate = 0);

  /// To be added to the point forecast h steps ahead (h >= 1). Beyond the horizon learned: grows with the
  /// root of h.
  Quantiles at(int h) const;
  /// To be added to the largest point forecast of a window of so many steps (>= 1).
  Quantiles window(int steps) const;

 private:
  struct Weighted {
    double error;
    bool crosses;
  };
  static std::size_t quiet_count(const std::vector<Weighted>& errors);
  static Quantiles quantiles_of(std::vector<Weighted>& errors, double cross_share);

  int horizon_steps_;
  std::vector<Quantiles> by_horizon_;  ///< [h - 1]
  Quantiles window_;                   ///< of horizon_steps_
};

/// Fills forecast.steps and forecast.window_max: the point forecasts of `path`, with the errors put around
/// them. path_errors: standard error of each point that the table knows nothing of; empty = none.
void put_errors_around(std::span<const double> path, std::span<const double> path_errors, const ErrorTable& table,
                       Forecast& forecast);

}  // namespace proteus::forecast
