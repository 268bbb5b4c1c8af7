#include "controller/ham/strategies/strategy.h"

namespace proteus::ham {

void propose_moves(const PlanState& plan, std::size_t v, std::span<const std::size_t> targets,
                   std::vector<Change>& out) {
  const VmModel& vm = plan.model().vms[v];
  const Placement& now = plan.placement(v);
  const bool wants_more = wants_cpu(plan, v) && plan.policy().strategies.reshape;
  for (const std::size_t target : targets) {
    if (target == now.host) continue;
    out.push_back({v, now.on(target)});
    if (!wants_more) continue;
    const double capacity = plan.model().hosts[target].capacity_cores;
    const Allocation raised = with_cores(vm, now.allocation, vm.demand->cpu_max.p99 * kRaiseMargin, capacity);
    if (raised.cpu_limit_cores() > now.allocation.cpu_limit_cores() + 1e-9)
      out.push_back({v, now.on(target).with(raised)});
  }
}

}  // namespace proteus::ham
