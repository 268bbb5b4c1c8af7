#pragma once

#include <cstdint>
#include <ostream>
#include <string>

#include "common/result.h"

namespace proteus::ctl {

struct KvmCommand {
  std::string data;
  std::string scenario = "normal";
  std::string policy;  ///< or several, with commas between
  std::uint64_t seed = 1;
  bool helpers = false;  ///< scalable VMs may get helpers
  std::string svg;       ///< file to draw the runs into; empty: none
};

/// Runs the KVM-cluster benchmark and prints its metrics: as JSON, an object for one policy, an array for several.
/// Errors: the data's, kInvalidArgument for the rest, kPermissionDenied if the picture cannot be written.
Status run_kvm(const KvmCommand& command, bool json, std::ostream& out);

}  // namespace proteus::ctl
