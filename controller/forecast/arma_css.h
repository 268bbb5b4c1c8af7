#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "controller/forecast/arma_filter.h"

namespace proteus::forecast {

/// A regression with Arma errors: y[t] = Σ beta[k]·columns[k][t] + w[t].
struct ArmaRegression {
  Arma arma;
  std::vector<double> beta;
};

/// What estimation makes of it.
struct ArmaEstimate {
  ArmaRegression model;
  double variance = 0;  ///< of the innovations
  bool sound = false;   ///< finite, and the moving average invertible
};

using Columns = std::vector<std::vector<double>>;

/// Innovations of a long autoregression of y, from which Hannan and Rissanen start. Empty if y is too short.
std::vector<double> long_innovations(std::span<const double> y);

/// Least squares conditional on the first p values, by Gauss–Newton with analytic derivatives, from the estimates of
/// Hannan & Rissanen. y: not constant. rough: long_innovations of y, less its regression if there are columns.
/// tolerance: stops when a step takes less than this share of the squares away.
/// Source: Box & Jenkins, ch. 7 (conditional least squares); Hannan & Rissanen (1982).
ArmaEstimate estimate_css(std::span<const double> y, const Columns& columns, std::size_t p, std::size_t q,
                          std::span<const double> rough, double tolerance);

/// y less its regression.
std::vector<double> residuals(std::span<const double> y, const Columns& columns, std::span<const double> beta);

/// Ordinary least squares.
std::vector<double> regress(std::span<const double> y, const Columns& columns);

}  // namespace proteus::forecast
