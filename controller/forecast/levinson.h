#pragma once

#include <span>
#include <vector>

namespace proteus::forecast {

/// Autocovariances of lags 0 … lag_max of values, whose mean is taken as zero; divided by n, so that they are positive
/// semi-definite.
std::vector<double> autocovariances(std::span<const double> values, std::size_t lag_max);

/// An autoregression x[t] = sum over j of coefficients[j] · x[t - 1 - j] + e[t].
struct Autoregression {
  std::vector<double> coefficients;
  double variance = 0;  ///< of e
};

/// The one of the order, from 0 to autocovariances.size() - 1, with the smallest n·ln(variance) + 2·order (Akaike's
/// criterion). n: how many values the autocovariances rest on. Order 0 if they are all zero.
/// Source: Levinson (1947), Durbin (1960).
Autoregression autoregression(std::span<const double> autocovariances, std::size_t n);

/// The same of values whose mean is zero, up to the order given; the diagonal is raised a little, so that a nearly
/// deterministic series does not give an explosive one.
Autoregression fit_autoregression(std::span<const double> values, std::size_t order_max);

}  // namespace proteus::forecast
