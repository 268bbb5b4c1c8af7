#pragma once

#include <optional>
#include <ostream>
#include <string>

#include "common/result.h"
#include "controller/ctl/policy_runs.h"

namespace proteus::ctl {

struct ClusterCommand {
  std::string file = {};  ///< a scenario, or a recording
  /// s before the first decision, of a recording; none: half of it, a day at most
  std::optional<double> history_s = {};
  std::string save = {};  ///< folder to write the scenario into; empty: none
  PolicyRuns runs = {};
};

/// Runs policies on a cluster that a file describes (simulate/scenario).
/// Errors: the file's; kInvalidArgument; those of run_policies.
Status run_cluster(const ClusterCommand& command, bool json, std::ostream& out);

}  // namespace proteus::ctl
