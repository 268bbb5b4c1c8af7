#pragma once

#include <vector>

#include "controller/forecast/global/training_set.h"
#include "tests/bench/forecast/data_set.h"

namespace proteus::bench {

/// The kind that the global models know a manifest's column by.
forecast::global::Kind kind_of(std::string_view column);

/// Every series of a set as far as training may see it: before its first origin. Refers to the set.
std::vector<forecast::global::TrainingSeries> training_series(const DataSet& set);

}  // namespace proteus::bench
