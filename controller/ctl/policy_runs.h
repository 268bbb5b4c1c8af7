#pragma once

#include <nlohmann/json.hpp>
#include <ostream>
#include <string>

#include "common/result.h"
#include "controller/simulate/kvm/workload.h"

namespace proteus::ctl {

/// What `simulate kvm` and `simulate cluster` are asked alike.
struct PolicyRuns {
  std::string policy = {};  ///< or several, with commas between
  bool helpers = false;     ///< scalable VMs may get helpers
  std::string svg = {};     ///< file to draw the runs into; empty: none
  bool moves = false;       ///< list every migration
};

/// Runs each policy on the same cluster and prints what came of it: with JSON an object for one policy, an array for
/// several, each beginning with `head`; else a table. title: of the picture.
/// Errors: kInvalidArgument, kPermissionDenied if the picture cannot be written.
Status run_policies(const simulate::kvm::Workload& workload, const PolicyRuns& runs, const std::string& title,
                    const nlohmann::ordered_json& head, bool json, std::ostream& out);

}  // namespace proteus::ctl
