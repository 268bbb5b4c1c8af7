#pragma once

#include <functional>
#include <vector>

#include "controller/simulate/kvm/metrics.h"
#include "controller/simulate/kvm/policy.h"

namespace proteus::simulate::kvm {

struct RunOptions {
  int ticks_max = 0;  ///< 0: the whole scenario
  /// After each tick.
  std::function<void(const Cluster&, const TickOutcome&, const Tally&)> on_tick;
};

struct RunResult {
  Metrics metrics;
  double decision_cpu_s_mean = 0;  ///< processor time of a decision
  double decision_cpu_s_max = 0;
};

/// Runs a policy through a workload. Deterministic, decision times aside.
RunResult run(const Workload& workload, Policy& policy, const RunOptions& options = {});

}  // namespace proteus::simulate::kvm
