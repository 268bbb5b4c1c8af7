#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "controller/forecast/global/mixture.h"
#include "controller/forecast/global/network.h"
#include "controller/forecast/global/objective.h"
#include "controller/forecast/global/training_set.h"

namespace proteus::forecast::global {

struct TrainingOptions {
  int epochs = 12;
  int patience = 4;  ///< epochs without a better score after which training stops
  std::size_t batch_windows = 128;
  float rate = 2e-3F;  ///< falls to a fiftieth along a half cosine
  float weight_decay = 0.01F;
  /// Share of the window inputs that a window of a batch takes from another, drawn anew each time: so that a network
  /// does not learn its series by heart.
  float swapped = 0;
  std::size_t first_parameter = 0;  ///< those before stay as they are
  std::uint32_t seed = 1;
};

/// One epoch's outcome: loss on what was learned from, score on the validation windows.
struct Epoch {
  int number = 0;
  double train_loss = 0;
  double score = 0;
};

/// A network's view of a set: steps or maxima.
struct TrainingTask {
  const TrainingSet& set;
  const TrainingRows& rows;
};

/// The levels that a network gives for every window of a task: windows · rows × levels, unsorted, z.
std::vector<float> predict_all(Network& network, std::span<const float> parameters, const TrainingTask& task);

/// Trains from `parameters` on (new ones, or those of an older network: fine-tuning), batches in an order drawn
/// from the seed. Returns the parameters of the epoch with the best validation score; those given, if none was
/// better. The same arguments give the same bits. progress may be empty.
std::vector<float> train(Network& network, std::vector<float> parameters, const TrainingTask& task,
                         Objective& objective, const TrainingTask& validation, const Objective& judge,
                         const TrainingOptions& options, const std::function<void(const Epoch&)>& progress);

}  // namespace proteus::forecast::global
