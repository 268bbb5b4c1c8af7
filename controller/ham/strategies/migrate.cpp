#include "controller/ham/strategies/strategy.h"

namespace proteus::ham {

void propose_moves(const PlanState& plan, std::size_t v, std::span<const std::size_t> targets,
                   std::vector<Change>& out) {
  const VmModel& vm = plan.model().vms[v];
  const Placement& now = plan.placement(v);
  Allocation raised = now.allocation;
  if (wants_cpu(plan, v) && plan.policy().strategies.reshape) {
    raised = with_cores(vm, now.allocation, vm.demand.cpu_max.p99 * kRaiseMargin);
  }
  for (const std::size_t target : targets) {
    if (target == now.host) continue;
    out.push_back({v, {target, now.allocation}});
    if (raised.cpu_limit_cores() > now.allocation.cpu_limit_cores() + 1e-9) out.push_back({v, {target, raised}});
  }
}

}  // namespace proteus::ham
