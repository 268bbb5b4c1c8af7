#include "controller/ctl/kvm_command.h"

#include <fmt/core.h>

namespace proteus::ctl {

Status run_kvm(const KvmCommand& command, bool json, std::ostream& out) {
  namespace kvm = simulate::kvm;
  const Result<kvm::Traces> traces = kvm::read_traces(command.data);
  if (!traces) return traces.error();
  const Result<kvm::Workload> workload = kvm::generate(*traces, command.scenario, command.seed);
  if (!workload) return workload.error();
  return run_policies(*workload, command.runs, fmt::format("{} cluster, seed {}", command.scenario, command.seed),
                      {{"scenario", command.scenario}, {"seed", command.seed}}, json, out);
}

}  // namespace proteus::ctl
