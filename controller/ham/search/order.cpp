#include "controller/ham/search/order.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "controller/ham/explain.h"
#include "controller/ham/rules/rule.h"

namespace proteus::ham {
namespace {

/// Stops in one plan.
constexpr int kStopsMax = 2;
constexpr double kEpsilon = 1e-9;

/// Takes one leg after the other, each when it is allowed where the plan stands.
class Walk {
 public:
  Walk(PlanState& plan, const std::vector<Route>& routes)
      : plan_(plan), routes_(routes), legs_done_(routes.size()), waiting_(routes.size()) {}

  /// take(i, change, stop): called with the plan as it is before the change.
  template <typename Take>
  void run(const Take& take) {
    while (waiting_ > 0 && take_next(take)) {
    }
  }
  void run() {
    run([](std::size_t, const Change&, bool) {});
  }

  bool arrived(std::size_t i) const { return legs_done_[i] > routes_[i].stops.size(); }
  std::size_t waiting() const { return waiting_; }

 private:
  bool stops_next(std::size_t i) const { return legs_done_[i] < routes_[i].stops.size(); }

  /// Whoever has to stop does it as soon as it may: others wait for that. All others go on from where the last was
  /// found, so that who has to wait is asked again after everybody else.
  template <typename Take>
  bool take_next(const Take& take) {
    for (std::size_t i = 0; i < routes_.size(); ++i) {
      if (stops_next(i) && take_leg(i, take)) return true;
    }
    for (std::size_t k = 0; k < routes_.size(); ++k) {
      const std::size_t i = (next_ + k) % routes_.size();
      if (arrived(i) || stops_next(i) || !take_leg(i, take)) continue;
      next_ = i + 1;
      return true;
    }
    return false;
  }

  template <typename Take>
  bool take_leg(std::size_t i, const Take& take) {
    const Route& route = routes_[i];
    const bool stop = stops_next(i);
    Change change = route.change;
    if (stop) change.to = plan_.placement(change.vm).on(route.stops[legs_done_[i]]);
    if (refusal(plan_, change, false)) return false;
    take(i, change, stop);
    plan_.apply(change);
    ++legs_done_[i];
    if (!stop) --waiting_;
    return true;
  }

  PlanState& plan_;
  const std::vector<Route>& routes_;
  std::vector<std::size_t> legs_done_;
  std::size_t waiting_;  ///< routes that have not arrived
  std::size_t next_ = 0;
};

/// The routes that have not arrived when all are walked; the plan is left as it is then.
std::vector<std::size_t> walk(PlanState& plan, const std::vector<Route>& routes) {
  Walk walk(plan, routes);
  walk.run();
  std::vector<std::size_t> stuck;
  for (std::size_t i = 0; i < routes.size(); ++i) {
    if (!walk.arrived(i)) stuck.push_back(i);
  }
  return stuck;
}

/// The best that any order could come to.
double total_without_order(PlanState plan, const std::vector<Route>& routes) {
  for (const Route& route : routes) {
    if (!(plan.placement(route.change.vm) == route.change.to)) plan.apply(route.change);
  }
  return plan.total().total();
}

/// Tries a stop on each host for each route that is stuck, keeps the best. True if one gains.
bool add_stop(const PlanState& start, std::vector<Route>& routes, std::vector<std::size_t>& stuck, PlanState& best,
              StopSearch& search) {
  double best_total = best.total().total();
  std::vector<Route> best_routes;
  std::vector<std::size_t> best_stuck;
  std::vector<Route> tried = routes;
  for (const std::size_t i : stuck) {
    const Change& change = routes[i].change;
    const std::size_t home = start.placement(change.vm).host;
    if (change.to.host == home || !routes[i].stops.empty()) continue;
    for (std::size_t h = 0; h < start.model().hosts.size(); ++h) {
      if (h == home || h == change.to.host || start.model().hosts[h].state->maintenance) continue;
      if (!start.model().pins_allow(change.vm, h)) continue;
      if (search.trials_left-- <= 0) break;
      tried[i].stops = {h};
      PlanState trial = start;
      std::vector<std::size_t> left = walk(trial, tried);
      const bool all_arrive =
          std::none_of(left.begin(), left.end(), [&](std::size_t j) { return !tried[j].stops.empty(); });
      const double total = trial.total().total();
      if (!all_arrive || total <= best_total + kEpsilon) continue;
      best_total = total;
      best = std::move(trial);
      best_routes = tried;
      best_stuck = std::move(left);
    }
    tried[i].stops.clear();
  }
  if (best_routes.empty()) return false;
  routes = std::move(best_routes);
  stuck = std::move(best_stuck);
  return true;
}

}  // namespace

void order_routes(PlanState& plan, std::vector<Route> routes, StopSearch& search) {
  const PlanState start = plan;
  std::vector<std::size_t> stuck = walk(plan, routes);
  for (int stops = 0; stops < kStopsMax && !stuck.empty() && search.trials_left > 0; ++stops) {
    double price = std::numeric_limits<double>::infinity();
    for (const std::size_t i : stuck) price = std::min(price, plan.move_price(routes[i].change.vm));
    if (total_without_order(start, routes) - price <= search.total_min) return;
    if (!add_stop(start, routes, stuck, plan, search)) return;
  }
}

std::vector<Step> order_steps(PlanState& plan, const std::vector<Step>& wanted, const std::vector<Route>& routes) {
  std::vector<Step> ordered;
  Walk(plan, routes).run([&](std::size_t i, const Change& change, bool stop) {
    Step step = wanted[i];
    const Evaluation evaluation = plan.evaluate(change);
    step.from = plan.placement(change.vm);
    step.change = change;
    step.delta = evaluation.delta;
    step.label = label_of(plan, change);
    if (stop) {
      step.cause = Step::Cause::kStop;
      step.reason =
          reason_of(plan, {{change, routes[i].change}, evaluation.gain(), 0, 0, step.cause}, change, evaluation);
    } else if (step.reason.empty()) {
      step.reason = reason_of(plan, {{change}, evaluation.gain(), 0, 0, step.cause}, change, evaluation);
    }
    ordered.push_back(std::move(step));
  });
  return ordered;
}

}  // namespace proteus::ham
