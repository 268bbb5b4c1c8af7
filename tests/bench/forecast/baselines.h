#pragma once

#include <vector>

#include "tests/bench/forecast/contender.h"

namespace proteus::bench {

/// The rules of thumb that every model is measured against, as the protocol's section 7 defines them. Each needs
/// more than two days of values. Quantiles of samples interpolate linearly between order statistics.

/// The last value, with the quantiles of the h-step differences of the last week.
Prediction naive(const Past& past);
/// The value of a day before, with the quantiles of one pool of daily differences.
Prediction snaive(const Past& past);
/// The same with a week; snaive if there is less than a week and a day.
Prediction snaive_week(const Past& past);
/// Quantiles of the last `steps` values, for every step ahead.
Prediction histogram(const Past& past, std::size_t steps);
/// Exponential smoothing with gain 0.2, with the quantiles of its h-step errors.
Prediction ewma(const Past& past);

/// The above by name.
std::vector<ContenderKind> baselines();

}  // namespace proteus::bench
