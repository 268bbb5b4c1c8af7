#pragma once

#include <cstddef>
#include <vector>

#include "controller/ham/score/plan_state.h"
#include "controller/ham/search/search.h"

namespace proteus::ham {

/// A change, and the hosts on which its VM stops on the way.
struct Route {
  Change change;
  std::vector<std::size_t> stops;
};

/// How far stops are looked for.
struct StopSearch {
  double total_min = 0;  ///< score of the whole cluster that must be exceeded to be of use
  int trials_left = 0;
};

/// Puts changes into an order in which each is allowed where it stands, and applies them; `plan` must be at the model's
/// state. Where some block each other (two VMs in each other's places, say, and room for neither to go first), one or
/// two stop on a third host, if the score of the whole is the better for it: found by trying each host for each VM
/// that is stuck. What no order so found allows is left out.
void order_routes(PlanState& plan, std::vector<Route> routes, StopSearch& search);

/// The same as steps with reasons; routes: of each wanted step, their stops given.
std::vector<Step> order_steps(PlanState& plan, const std::vector<Step>& wanted, const std::vector<Route>& routes);

}  // namespace proteus::ham
