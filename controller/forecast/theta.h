#pragma once

#include <vector>

#include "controller/forecast/exponential_smoothing.h"
#include "controller/forecast/innovation_errors.h"
#include "controller/forecast/model.h"

namespace proteus::forecast {

/// The theta method: simple exponential smoothing with half the slope of a straight line through the series as drift,
/// after the season is taken out if it is significant. Demand is often zero, so the season is additive; its shape is
/// the mean by time of day around a moving average. Quantiles are those of its own h-step errors
/// (innovation_errors.h). A missing value is interpolated for the fit; in update() the forecast stands in.
/// Source: Assimakopoulos & Nikolopoulos (2000); Hyndman & Billah (2003); the test of seasonality as there.
class Theta final : public Model {
 public:
  /// season_steps: 0 or 1 = none. Errors are learned up to horizon_steps, from the newest window_steps of the history.
  Theta(int season_steps, int horizon_steps, int window_steps = 2016);
  std::string_view name() const override { return "theta"; }
  /// Errors: kFailedPrecondition with fewer than four finite values; kInvalidArgument for values beyond 1e150.
  Status fit(const History& history) override;
  void update(double value) override;
  Result<Forecast> forecast(int steps) const override;

  /// Point forecasts, before quantiles are put around them.
  std::vector<double> path(int steps) const;
  bool seasonal() const { return !season_.empty(); }

 private:
  double season_at(std::size_t step) const { return season_.empty() ? 0 : season_[step % season_.size()]; }

  std::size_t season_steps_;
  int horizon_steps_;
  int window_steps_;
  InnovationErrors errors_;
  bool fitted_ = false;
  Smoothing state_;
  double drift_ = 0;            ///< per step
  double settled_ = 0;          ///< steps of drift that the level lags behind
  std::vector<double> season_;  ///< by step of the fit, modulo its size; empty if there is none
  std::size_t next_step_ = 0;
  Timestamp end_{};
  Nanoseconds step_{};
};

}  // namespace proteus::forecast
