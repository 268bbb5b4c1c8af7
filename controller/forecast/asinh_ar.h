#pragma once

#include <vector>

#include "controller/forecast/asinh_scale.h"
#include "controller/forecast/innovation_errors.h"
#include "controller/forecast/model.h"

namespace proteus::forecast {

/// An autoregression on a scale that is linear near the median and logarithmic far from it, so that bursts do not
/// decide everything (asinh_scale.h). Order by Akaike's criterion, quantiles of its own h-step errors
/// on that scale (innovation_errors.h), carried back by sinh. The window maximum has quantiles of its own.
/// A missing value is interpolated for the fit, and not counted among the errors; in update() the forecast stands in.
/// Source: Box & Jenkins; benchmark name "ar_emp".
class AsinhAr final : public Model {
 public:
  struct Options {
    int horizon_steps = 30;   ///< errors are learned up to there
    int window_steps = 2016;  ///< of the history that the fit rests on
    int order_max = 24;
    bool every_step = false;  ///< see InnovationErrors
  };
  explicit AsinhAr(Options options);
  std::string_view name() const override { return "asinh_ar"; }
  /// Errors: kFailedPrecondition with fewer than eight finite values; kInvalidArgument for values beyond 1e150.
  Status fit(const History& history) override;
  void update(double value) override;
  Result<Forecast> forecast(int steps) const override;

  std::size_t order() const { return coefficients_.size(); }

 private:
  /// Forecasts on the scale, of the steps after the newest value.
  std::vector<double> path(int steps) const;

  Options options_;
  InnovationErrors errors_;
  bool fitted_ = false;
  AsinhScale scale_;
  double mean_ = 0;                   ///< of the scaled values
  std::vector<double> coefficients_;  ///< of lag 1, 2, …
  std::vector<double> recent_;        ///< scaled, without mean; newest last, as many as the order
  Timestamp end_{};
  Nanoseconds step_{};
};

}  // namespace proteus::forecast
