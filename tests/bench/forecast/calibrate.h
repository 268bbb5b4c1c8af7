#pragma once

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "common/result.h"
#include "controller/forecast/global/training_set.h"
#include "controller/forecast/global/weights.h"

namespace proteus::bench {

/// Of some rows: the levels that a model gave (rows × levels, z) and what came (u).
struct Answers {
  const std::vector<float>& levels;
  const std::vector<float>& values;
};

/// For each class of rows (class_of(row) < classes) and level the factor on the distance from the median at which as
/// many values lie at or below it as the level says.
std::vector<forecast::global::Calibration> calibrate(const Answers& answers, std::size_t classes,
                                                     const std::function<std::size_t(std::size_t)>& class_of);

/// The members' shares, by band, in tenths, that give the least mean over series of ln(pinball loss) on a set.
/// members: levels of each (windows · rows × levels, z, not yet calibrated), empty = does not take part.
using Shares = std::array<std::array<float, forecast::global::kMembers>, forecast::global::kBands>;
struct SharesFound {
  Shares shares{};
  double score = 0;  ///< sum over the bands
};
SharesFound find_shares(const forecast::global::TrainingSet& set,
                        const std::array<std::vector<float>, forecast::global::kMembers>& members);

/// The price of a step above the reservation at which, on average over origins in the last two days that a series
/// may be seen, the share of steps above is 3 % within an hour and 1 % within a day.
Result<std::array<float, forecast::global::kWindows.size()>> find_prices(
    const std::vector<forecast::global::TrainingSeries>& series, forecast::global::Weights weights);

}  // namespace proteus::bench
