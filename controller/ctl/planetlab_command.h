#pragma once

#include <ostream>
#include <string>

#include "common/result.h"

namespace proteus::ctl {

struct PlanetlabCommand {
  std::string traces;
  std::string policy;
};

/// Runs the PlanetLab benchmark and prints its figures. Errors: the traces', kInvalidArgument for the policy.
Status run_planetlab(const PlanetlabCommand& command, bool json, std::ostream& out);

}  // namespace proteus::ctl
