#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "controller/forecast/global/training_set.h"
#include "tests/bench/forecast/data_set.h"

namespace proteus::bench {

/// For each series of the set, in which of `count` folds its VM is: its place in the alphabet, by remainder. All series
/// of a VM are in the same one.
std::vector<std::size_t> folds_of(const DataSet& set, std::size_t count);

/// The windows of some series alone; they keep the numbers of their series. wanted: by series.
forecast::global::TrainingSet windows_of(const forecast::global::TrainingSet& set, const std::vector<bool>& wanted);

/// Adds the windows of another set of the same kind, the numbers of its series moved up by first_series.
void append(forecast::global::TrainingSet& set, const forecast::global::TrainingSet& more, std::uint32_t first_series);

}  // namespace proteus::bench
