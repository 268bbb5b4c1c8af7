#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "controller/forecast/arma_css.h"

namespace proteus::forecast {

/// ARIMA(p, d, q), with a constant of the differenced series (for d = 0 the mean, for d = 1 a drift) or without.
struct ArimaOrder {
  std::size_t p = 0;
  std::size_t d = 0;
  std::size_t q = 0;
  bool constant = false;
  bool operator==(const ArimaOrder&) const = default;
};

struct ArimaFit {
  ArimaOrder order;
  Arma arma;
  double constant = 0;       ///< of the differenced series, unit of the series
  std::vector<double> beta;  ///< of the regressors
  double variance = 0;
  double log_likelihood = 0;
  double aicc = 0;
  int models_tried = 0;
};

/// The number of differences after which a series looks level-stationary, at most two: the test of Kwiatkowski,
/// Phillips, Schmidt & Shin (1992) at 5 %, with a window of 3·√n / 13 lags.
std::size_t differences_needed(std::span<const double> y);

/// The KPSS statistic for a level.
double kpss_statistic(std::span<const double> y);

std::vector<double> differenced(std::span<const double> y, std::size_t times);

/// Finds orders up to p = q = 5 by the stepwise search of Hyndman & Khandakar (2008), comparing conditional least
/// squares by the corrected Akaike criterion, as R's auto.arima does by default on long series; then estimates the
/// best by exact likelihood, going on to the next best if its roots touch the unit circle. Regression coefficients
/// (the constant among them) are those of conditional least squares.
/// y: finite, at least kArimaValuesMin. regressors: as long as y each. Returns nothing if y is constant after
/// differencing, when there is nothing to estimate.
std::optional<ArimaFit> fit_arima(std::span<const double> y, const Columns& regressors);
inline constexpr std::size_t kArimaValuesMin = 20;

}  // namespace proteus::forecast
