#pragma once

#include <filesystem>
#include <vector>

#include "tests/bench/forecast/contender.h"

namespace proteus::bench {

/// The global models: mlp, lstm, their ensemble with the autoregressions, and the ensemble without each member.
/// weights: read when the first of them is made.
std::vector<ContenderKind> global_contenders(const std::filesystem::path& weights);

}  // namespace proteus::bench
