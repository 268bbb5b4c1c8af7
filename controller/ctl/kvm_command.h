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
};

/// Runs the KVM-cluster benchmark and prints its metrics. Errors: the data's, kInvalidArgument for the rest.
Status run_kvm(const KvmCommand& command, bool json, std::ostream& out);

}  // namespace proteus::ctl
