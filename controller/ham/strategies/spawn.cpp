#include "controller/ham/strategies/strategy.h"

namespace proteus::ham {

void propose_helpers(const PlanState& plan, std::size_t v, std::span<const std::size_t> hosts,
                     std::vector<Change>& out) {
  if (!plan.model().vms[v].scalable) return;
  const Placement& now = plan.placement(v);
  for (const std::size_t h : hosts) {
    if (h != now.helper) out.push_back({v, now.helped_on(h)});
  }
}

void propose_helper_end(const PlanState& plan, std::size_t v, std::vector<Change>& out) {
  const Placement& now = plan.placement(v);
  if (now.helper != kNowhere) out.push_back({v, now.helped_on(kNowhere)});
}

}  // namespace proteus::ham
