#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "controller/forecast/error_table.h"
#include "controller/forecast/model.h"

namespace proteus::forecast {

/// Demand explained by external signals: a linear regression on the asinh scale over the last three steps, the same
/// step of the season before, and each signal's value now and a step ago (so that it also holds regression with
/// autoregressive errors). Least squares with a small ridge penalty; a signal is taken in, the best first, only while
/// it lowers Schwarz's criterion, so that a useless one does no harm; without any, the model has nothing to say that
/// others do not, and fit fails. Steps ahead are computed one after the other; a signal that is not known so far ahead
/// is held, in the forecast as in the trial runs over history whose errors give the quantiles.
/// Source: Box & Jenkins, transfer functions (1976); Hoerl & Kennard, ridge (1970); Schwarz (1978).
class Regression final : public Model {
 public:
  Regression(int season_steps, int horizon_steps, int fit_steps = 2016);
  std::string_view name() const override { return "regression"; }
  void set_covariates(const Covariates* covariates) override { covariates_ = covariates; }
  /// Errors: kFailedPrecondition without signals, with fewer than 60 steps, or if no signal explains anything.
  Status fit(const History& history) override;
  void update(double value) override;
  Result<Forecast> forecast(int steps) const override;

  /// Names of the signals that were taken in.
  std::vector<std::string> signals() const;

 private:
  static constexpr std::size_t kLags = 3;
  /// A signal that was taken in.
  struct Input {
    std::size_t index = 0;  ///< in names_
    double scale = 1;
    int ahead = 0;   ///< so many steps beyond the newest it was known when fitted; may be negative
    double now = 0;  ///< coefficients
    double before = 0;
    double held = 0;  ///< newest known value, on the asinh scale
  };
  struct Design;

  bool select(const Design& design, std::string& trouble);
  double step(std::span<const double> past, std::size_t at, double from_inputs) const;
  void read_inputs(Timestamp begin, std::vector<double>& values) const;
  double to_z(double value) const;

  const std::size_t season_steps_;
  const int horizon_steps_;
  const std::size_t fit_steps_;
  const Covariates* covariates_ = nullptr;

  ErrorTable errors_;
  bool fitted_ = false;
  std::vector<std::string> names_;
  double scale_ = 1;  ///< of the series: z = asinh(value / scale)
  double z_max_ = 0;  ///< paths stay below
  double constant_ = 0;
  std::array<double, kLags> lags_{};
  double season_ = 0;  ///< coefficient of the season before; 0: history is too short
  std::vector<Input> inputs_;
  std::vector<double> past_;  ///< z of the newest steps, newest last; at least a season
  Timestamp end_{};
  Nanoseconds step_{};
};

}  // namespace proteus::forecast
