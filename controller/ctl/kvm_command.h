#pragma once

#include <cstdint>
#include <ostream>
#include <string>

#include "common/result.h"

namespace proteus::ctl {

struct KvmCommand {
  std::string data;
  std::string scenario = "normal";
  std::string policy;
  std::uint64_t seed = 1;
  std::string svg;  ///< where to write a picture of the run; empty: none
};

/// Runs the KVM-cluster benchmark and prints its metrics. Errors: the data's,
/// kPermissionDenied if the picture cannot be written, kInvalidArgument for the rest.
Status run_kvm(const KvmCommand& command, bool json, std::ostream& out);

}  // namespace proteus::ctl
