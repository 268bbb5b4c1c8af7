#pragma once

#include <vector>

#include "tests/bench/forecast/contender.h"

namespace proteus::bench {

/// Everything that bench-forecast can run, in the order of its table.
std::vector<ContenderKind> contenders();

}  // namespace proteus::bench
