#pragma once

#include <string>

#include "common/result.h"
#include "controller/simulate/scenario/scenario.h"

namespace proteus::simulate::scenario {

/// Reads a scenario in TOML (docs/simulate_cluster.md) and the traces that it names, whose paths count from its folder.
/// Errors: kNotFound, kPermissionDenied; kInvalidArgument with every problem of the file, each with its line; the
/// traces'.
Result<Scenario> read_scenario_file(const std::string& path);

/// Writes it as cluster.toml and traces, which read_scenario_file reads as the same scenario, into a folder that is
/// made if it is not there. Errors: kAlreadyExists for a folder that has a scenario; kPermissionDenied if it cannot be
/// written.
Status write_scenario(const Scenario& scenario, const std::string& folder);

}  // namespace proteus::simulate::scenario
