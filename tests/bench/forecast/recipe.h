#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/result.h"
#include "controller/forecast/global/training_set.h"
#include "controller/forecast/global/weights.h"
#include "tests/bench/forecast/data_set.h"
#include "tests/bench/forecast/train.h"

namespace proteus::bench {

using Log = std::function<void(const std::string&)>;

/// How a network for the steps is made.
struct Recipe {
  std::uint32_t hidden1;
  std::uint32_t hidden2;
  float weight_decay;
  float swapped;  ///< TrainingOptions::swapped
  bool mixed;     ///< whether it learns from mixed series as well
};
std::string to_string(const Recipe& recipe);

inline constexpr float kRate = 5e-3F;            ///< of learning, at first
inline constexpr std::size_t kValidation = 864;  ///< steps before the first origin that are not learned from
inline constexpr double kMixedShare = 0.5;       ///< mixed series (mixed_series.h) for each real one

/// Windows to learn from: those of the series without their validation steps, then, if wanted, those of series mixed
/// from them.
Result<forecast::global::TrainingSet> learning_set(const std::vector<forecast::global::TrainingSeries>& series,
                                                   std::size_t windows_per_series, bool mixed, std::uint32_t seed);
/// Windows of the validation steps.
Result<forecast::global::TrainingSet> validation_set(const std::vector<forecast::global::TrainingSeries>& series,
                                                     std::uint32_t seed);

/// One network; of its epochs, that which does best on `check`. lstm_hidden: 0 for none.
forecast::global::TrainedNetwork train_steps(const Recipe& recipe, std::uint32_t lstm_hidden,
                                             const forecast::global::TrainingSet& learn,
                                             const forecast::global::TrainingSet& check, int epochs, std::uint32_t seed,
                                             const std::string& what, const Log& log);

/// Which recipe does best on VMs that its networks have not seen: cross-validation over three folds of VMs, on windows
/// from all of the time before the first origins, with half of the windows to learn from. The first in the list whose
/// sum of the three bands' ln(loss) is within 0.01 of the best. The figures are logged.
Result<Recipe> choose_recipe(const DataSet& set, const std::vector<forecast::global::TrainingSeries>& series,
                             const TrainChoice& choice, const Log& log);

}  // namespace proteus::bench
