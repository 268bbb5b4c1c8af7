#pragma once

#include <span>

#include "controller/forecast/global/forecaster.h"

namespace proteus::forecast::global {

/// The one amount to set aside for a whole window: that with the least expected cost, where a unit that a step
/// leaves unused costs 1/unit and a step that needs more costs `price`, whatever it lacks. Only the steps' own
/// distributions matter for that, not how they hang together. Between the quantiles of a step its distribution is
/// taken as even, beyond p99 as falling exponentially.
/// steps: the forecasts of the window; unit > 0: the series' mean absolute daily difference. Thread: pure.
double reservation(std::span<const ValueLevels> steps, double unit, double price);

}  // namespace proteus::forecast::global
