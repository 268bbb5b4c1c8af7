#pragma once

#include <cstdint>
#include <ostream>
#include <string>

#include "common/result.h"
#include "controller/ctl/policy_runs.h"

namespace proteus::ctl {

struct KvmCommand {
  std::string data;
  std::string scenario = "normal";
  std::uint64_t seed = 1;
  PolicyRuns runs = {};
};

/// Runs the KVM-cluster benchmark and prints its metrics.
/// Errors: the data's; those of run_policies.
Status run_kvm(const KvmCommand& command, bool json, std::ostream& out);

}  // namespace proteus::ctl
