#pragma once

#include "controller/forecast/exponential_smoothing.h"
#include "controller/forecast/innovation_errors.h"
#include "controller/forecast/model.h"

namespace proteus::forecast {

/// The most likely member of the exponential smoothing family with damped trends (exponential_smoothing.h), with the
/// quantiles of its own h-step errors (innovation_errors.h). A missing value is interpolated for the fit; in update()
/// the forecast stands in.
class Ets final : public Model {
 public:
  /// Errors are learned up to horizon_steps, from the newest window_steps of the history.
  explicit Ets(int horizon_steps, int window_steps = 2016);
  std::string_view name() const override { return "ets"; }
  /// Errors: kFailedPrecondition with fewer than four finite values; kInvalidArgument for values beyond 1e150.
  Status fit(const History& history) override;
  void update(double value) override;
  Result<Forecast> forecast(int steps) const override;

  /// Point forecasts, before quantiles are put around them.
  std::vector<double> path(int steps) const { return smoothing_path(state_, steps); }

 private:
  int horizon_steps_;
  int window_steps_;
  InnovationErrors errors_;
  bool fitted_ = false;
  Smoothing state_;
  Timestamp end_{};
  Nanoseconds step_{};
};

}  // namespace proteus::forecast
