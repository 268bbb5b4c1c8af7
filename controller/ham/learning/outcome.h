#pragma once

#include <cstdint>

#include "common/ids.h"
#include "controller/ham/learning/note.h"

namespace proteus::ham::learning {

/// An action's end, and what became of the agent by it.
struct Outcome {
  ActionId action = 0;
  VmId vm;
  Note note;
  double realised = 0;         ///< currency per hour, counted from doing nothing
  double weight = 1;           ///< share of the horizon it was followed for
  double difference = 0;       ///< doubly robust, of the learned choice over the rules'
  double lower = 0;            ///< bound of the mean difference; −infinity at first
  bool acting = false;         ///< from now on
  std::uint64_t revision = 0;  ///< of the model, with it
};

}  // namespace proteus::ham::learning
