#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "controller/forecast/global/samples.h"

namespace proteus::forecast::global {

/// An autoregressive forecast with the quantiles of the errors that the same model made on the series itself.
struct ArForecast {
  std::vector<float> path;       ///< h-step forecasts, [h − 1]
  std::vector<Levels> errors;    ///< quantiles of the h-step errors, [h − 1]; to be added to path
  std::vector<float> surprises;  ///< one-step errors, oldest first, one for each value
  float persistence = 0;         ///< sum of the coefficients
  int order = 0;
};

/// Fits by Yule–Walker (order up to 24 by AIC) and forecasts `horizon` steps (1 … 288); errors as in
/// innovation_errors.h. values: oldest first, at least 100. Thread: pure. Source: Durbin (1960), Akaike (1974);
/// empirical error quantiles as in the benchmark's ar_emp.
ArForecast autoregress(std::span<const float> values, std::size_t horizon);

}  // namespace proteus::forecast::global
