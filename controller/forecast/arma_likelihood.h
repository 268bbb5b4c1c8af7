#pragma once

#include <span>
#include <vector>

#include "controller/forecast/arma_filter.h"

namespace proteus::forecast {

/// How well an Arma explains a series, its innovations' variance being the one that explains it best.
struct ArmaLikelihood {
  double log_likelihood = 0;
  double variance = 0;
};

/// The exact Gaussian likelihood by the Kalman filter, started from the stationary distribution; once the filter has
/// settled, its steps are those of the Arma itself. innovations: if not null, the one-step errors.
/// Errors: log_likelihood is minus infinity if the autoregression is not stationary.
/// Source: Harvey (1989), ch. 3; Gardner, Harvey & Phillips (1980), AS 154, for the shortcut.
ArmaLikelihood exact_likelihood(const Arma& arma, std::span<const double> w,
                                std::vector<double>* innovations = nullptr);

/// Maximises it from where `arma` is; stationary and invertible by construction.
Arma maximize_likelihood(const Arma& arma, std::span<const double> w);

}  // namespace proteus::forecast
