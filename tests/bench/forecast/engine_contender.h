#pragma once

#include <filesystem>

#include "tests/bench/forecast/contender.h"

namespace proteus::bench {

/// The controller's engine (controller/forecast/engine.h) with all its models and their blend, fed the series step by
/// step as it would be in the loop: from ten days before the first origin on, since every step costs a forecast. Its
/// CPU time is that of all steps since the origin before. It sees one series of a VM at a time.
/// weights: of the global model, as train-forecast writes them.
ContenderKind engine_contender(const std::filesystem::path& weights);

}  // namespace proteus::bench
