#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "common/result.h"

namespace proteus::ctl {

struct PlanetlabCommand {
  std::vector<std::string> traces;  ///< a file a day
  std::string policy;               ///< names, separated by commas, or "all"
  std::string mode = "cloudsim";    ///< "cloudsim", "keep" or "both"
  std::string svg = {};             ///< file to draw the runs into; empty: none
};

/// The policies' names, for the help text.
std::string planetlab_policies();

/// Runs the PlanetLab benchmark, each policy on each day in each mode, and prints the figures as a table, or as JSON:
/// an object for one run, an array for several. Errors: the traces', kInvalidArgument for the policy or the mode,
/// kPermissionDenied if the picture cannot be written.
Status run_planetlab(const PlanetlabCommand& command, bool json, std::ostream& out);

}  // namespace proteus::ctl
