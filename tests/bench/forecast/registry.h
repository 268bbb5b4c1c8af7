#pragma once

#include <filesystem>
#include <vector>

#include "tests/bench/forecast/contender.h"

namespace proteus::bench {

/// Everything that bench-forecast can run, in the order of its table. weights: those of the global
/// models, which take part only if the file is there.
std::vector<ContenderKind> contenders(const std::filesystem::path& weights);

}  // namespace proteus::bench
