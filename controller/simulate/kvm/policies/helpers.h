#pragma once

#include <vector>

#include "controller/ham/cluster_state.h"
#include "controller/ham/decision.h"
#include "controller/ham/policy.h"
#include "controller/simulate/kvm/policies/ids.h"
#include "controller/simulate/kvm/policy.h"

namespace proteus::simulate::kvm {

// The benchmark's helpers (its section 11) for the Hypervisor Adaptation Manager: the rule, the state, the deeds.

/// Of VMs with the tag `scalable`. gain_floor: what a migration must gain; a helper must gain as much less as it costs
/// less.
ham::HelperRule helper_rule(double gain_floor);
std::vector<ham::HelperState> observe_helpers(const Console& console, const Ids& ids);
void end_helpers(Console& console, const Ids& ids, const ham::Decision& decision);
void start_helpers(Console& console, const Ids& ids, const ham::Decision& decision);

}  // namespace proteus::simulate::kvm
