#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controller/forecast/arima.h"
#include "controller/forecast/innovation_errors.h"
#include "controller/forecast/model.h"

namespace proteus::forecast {

/// ARIMA with orders found by itself (arima.h), on the scale on which the series is likelier (asinh_scale.h), with
/// Fourier terms of a season if wanted, and with external signals as regressors if they make it likelier than it is
/// without. A signal that is not known throughout the history is left out; where its future is not known, its last
/// value goes on. Quantiles are those of its own h-step errors (innovation_errors.h), not of a normal distribution; the
/// median stays where the point forecast, a mean, is moved by half the median error. A missing value is interpolated
/// for the fit; in update() the forecast stands in. A constant history is forecast to stay so. Source: Box & Jenkins;
/// Hyndman & Khandakar (2008); Fourier terms: Harvey & Shephard (1993).
class AutoArima final : public Model {
 public:
  struct Options {
    int horizon_steps = 30;    ///< errors are learned up to there
    int window_steps = 2016;   ///< of the history that the fit rests on
    int season_steps = 0;      ///< of the Fourier terms
    int fourier_pairs = 0;     ///< sines and cosines of so many harmonics; they need two seasons of history
    bool choose_scale = true;  ///< false: always the series' own, as it also is with external signals
  };
  explicit AutoArima(Options options);
  std::string_view name() const override { return "auto_arima"; }
  /// Errors: kFailedPrecondition with fewer than 20 steps, or three finite values in them; kInvalidArgument for values
  /// beyond 1e150.
  Status fit(const History& history) override;
  void set_covariates(const Covariates* covariates) override { covariates_ = covariates; }
  void update(double value) override;
  Result<Forecast> forecast(int steps) const override;

  /// The means of the next steps on the scale of the fit, carried back from there, before quantiles are put around
  /// them.
  std::vector<double> path(int steps) const;
  /// On the scale of the fit.
  const ArimaFit& fitted() const { return fit_; }
  /// Nothing: the series' own.
  const std::optional<AsinhScale>& scale() const { return scale_; }

  /// The signals in use.
  const std::vector<std::string>& signals() const { return signals_; }

 private:
  std::vector<double> path_on_scale(int steps) const;
  /// Signals and Fourier terms of the steps of a history of which all is known, one column each.
  Columns regressors(std::size_t count);
  /// What they add to steps first … first + count − 1.
  std::vector<double> regression(std::int64_t first, std::size_t count) const;

  Options options_;
  const Covariates* covariates_ = nullptr;
  std::vector<std::string> signals_;  ///< their coefficients come first in fit_.beta
  Timestamp origin_{};                ///< beginning of step 0
  InnovationErrors errors_;
  bool ready_ = false;
  std::optional<AsinhScale> scale_;
  ArimaFit fit_;
  std::vector<double> ar_;      ///< with the differences multiplied in
  double intercept_ = 0;        ///< what the constant adds to each step
  std::vector<double> values_;  ///< less the regression; newest last, as many as ar_
  std::vector<double> shocks_;  ///< innovations; newest last, as many as ma
  std::int64_t next_step_ = 0;  ///< counted from the first of the fit
  Timestamp end_{};
  Nanoseconds step_{};
};

}  // namespace proteus::forecast
