#pragma once

#include "controller/ham/score/cluster_model.h"
#include "controller/ham/score/demand.h"
#include "controller/ham/score/load.h"

namespace proteus::ham {

// What a helper takes of its VM's work. Formulas: docs/decisions.md. Pure.

/// Cores of its VM's work that a helper does at most, on a host whose cores do so much.
double helper_work_most(const HelperRule& rule, double core_speed);
/// What is left to the VM of its CPU demand, quantile by quantile.
Demand left_by_helper(const Demand& demand, const HelperRule& rule, double core_speed);
/// Load of the VM's helper on such a host.
Load load_of_helper(const VmModel& vm, double core_speed);
/// What having the helper costs, in currency per hour: its own price, and its vCPUs beyond its p99 demand.
double helper_price(const Policy& policy, const VmModel& vm, double core_speed);

}  // namespace proteus::ham
