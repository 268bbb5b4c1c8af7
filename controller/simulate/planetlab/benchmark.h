#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controller/simulate/planetlab/cluster.h"
#include "controller/simulate/planetlab/metrics.h"
#include "controller/simulate/planetlab/policy.h"

namespace proteus::simulate::planetlab {

/// A control step, after its decision and before its migrations.
struct Step {
  std::size_t k = 0;
  double energy_j = 0;  ///< so far
  std::size_t active_hosts = 0;
  std::size_t vms = 0;
  std::size_t overloaded = 0;  ///< hosts, in the policy's opinion
  std::size_t taken = 0;       ///< VMs that it wanted away from them
  std::size_t moves = 0;
};

/// One policy's day.
struct Outcome {
  Metrics metrics;
  std::size_t vms = 0;
  std::size_t vms_left = 0;
  std::vector<Step> steps;
};

/// Names of the policies, as users write them, in the order of a comparison.
const std::vector<std::string>& policy_names();

/// Called with the share of the day that is done, 0 … 1.
using Progress = std::function<void(double share)>;

/// Runs a day. Errors: kInvalidArgument for an unknown policy or unfit traces; the policy's.
Result<Outcome> run_day(const TraceTable& traces, Mode mode, std::string_view policy, const Progress& progress);

/// The same with a policy of the caller's.
Result<Outcome> run_day(const TraceTable& traces, Mode mode, Policy& policy, const Progress& progress);

}  // namespace proteus::simulate::planetlab
