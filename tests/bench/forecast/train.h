#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "common/result.h"
#include "controller/forecast/global/weights.h"
#include "tests/bench/forecast/data_set.h"

namespace proteus::bench {

struct TrainChoice {
  std::size_t windows_per_series = 48;
  int epochs = 30;
  std::uint32_t seed = 1;
};

/// Makes the weights of the global models from what lies before each series' first origin, by rules that look at
/// nothing else:
/// - The last three days before the first origin are for validation: windows whose targets lie there choose the
///   epoch, calibrate, weigh the members and set the price of an exceeded step.
/// - Size, weight decay and input noise of the networks are those that do best on VMs not seen (choose_recipe).
/// - Half as many series again are mixed from two each (mixed_series.h).
/// log: called with a line about each thing done. Takes minutes. The same arguments give the same bits.
Result<forecast::global::Weights> train_weights(const DataSet& set, const TrainChoice& choice,
                                                const std::function<void(const std::string&)>& log);

}  // namespace proteus::bench
