#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/result.h"
#include "controller/forecast/global/training_set.h"
#include "controller/forecast/global/weights.h"
#include "tests/bench/forecast/train.h"

namespace proteus::bench {

/// Teaches networks that know of no signals what signals and the host's pressure tell, from series with made-up ones
/// (signalled_series.h). All else that they know stays as it is, and so does every forecast without signals and
/// pressure. Of the epochs, that which does best on the validation steps of series made up anew is taken; what it
/// brings there is logged by what was made up. Errors: those of cut_windows.
Status train_signals(forecast::global::Weights& weights, const std::vector<forecast::global::TrainingSeries>& series,
                     const TrainChoice& choice, const std::function<void(const std::string&)>& log);

}  // namespace proteus::bench
