#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <optional>

#include "controller/ham/explain.h"
#include "controller/ham/search/order.h"
#include "controller/ham/search/packing.h"
#include "controller/ham/search/workspace.h"

namespace proteus::ham {
namespace {

/// How often the VMs are packed anew, and how many times a host is priced for it each time: so many for each VM and
/// host.
constexpr int kPackings = 3;
constexpr std::int64_t kPackingEvaluationsPerPlace = 150;
constexpr std::int64_t kPackingEvaluationsMax = 250'000;
/// Evaluations where the plan has no migration yet: a cluster at rest is not to be searched through every cycle.
constexpr std::int64_t kEvaluationsAtRest = 20'000;
/// Plans tried with a VM that stops on its way.
constexpr int kStopTrials = 1'000;
constexpr double kEpsilon = 1e-9;
constexpr double kNoPrice = std::numeric_limits<double>::infinity();

/// Local search around the plan: a VM to another place (or home again), two VMs in each other's places. VMs that are
/// reshaped, or get or lose a helper, in the plan are left as they are. Works on a copy of the plan; how to get from
/// the model to where it ends is order_routes()'s task.
class Improver {
 public:
  explicit Improver(Workspace& w) : w_(w), plan_(w.plan), examined_(w.model.hosts.size()), versions_(examined_.size()) {
    const PlanState start(w.model);
    for (std::size_t v = 0; v < w.model.vms.size(); ++v) {
      if (!w.eligible(v) || w.settled(v) || w.holds(v)) continue;
      // Any other host will do: rules of this scope ask only whether it moves.
      const std::size_t elsewhere = start.placement(v).host == 0 ? 1 : 0;
      if (!refusal(start, {v, start.placement(v).on(elsewhere)}, Rule::Scope::kVm, false)) {
        movable_.push_back(v);
      }
    }
    if (plan_.migrations_planned() == 0) evaluations_left_ = kEvaluationsAtRest;
    by_cost_.resize(versions_.size());
    std::iota(by_cost_.begin(), by_cost_.end(), 0);
    std::stable_sort(by_cost_.begin(), by_cost_.end(),
                     [&](std::size_t a, std::size_t b) { return plan_.cost_of_host(a) > plan_.cost_of_host(b); });
    is_movable_.resize(w.model.vms.size());
    for (const std::size_t v : movable_) is_movable_[v] = true;
    for (auto& row : examined_) row.assign(versions_.size(), -1);
  }

  /// True if it found a better plan; then `plan()` holds it, and an order exists for it.
  bool run() {
    PlanState best = plan_;
    double best_total = best.total().total();
    descend();
    bool improved = adopt(best, best_total);
    // Where the limits allow several moves, better plans may be more than one exchange away.
    const int moves_max = w_.plan.migrations_planned() + w_.moves_left();
    if (plan_.migrations_planned() >= 1 && moves_max >= 3) {
      for (int round = 0; round < kPackings && !done(); ++round) {
        if (!pack(moves_max)) continue;
        descend();
        improved = adopt(best, best_total) || improved;
      }
    }
    while (spare_stops() && adopt(best, best_total)) improved = true;
    return improved;
  }

  const PlanState& plan() const { return plan_; }

 private:
  std::size_t home(std::size_t v) const { return w_.model.vms[v].host; }
  Change to(std::size_t v, std::size_t host) const { return {v, plan_.placement(v).on(host)}; }

  bool spend() { return --evaluations_left_ >= 0 && w_.spend(); }
  bool done() const { return evaluations_left_ <= 0 || w_.result.exhausted; }

  /// Nothing that costs anything is on either host, nor a VM that could save its way.
  bool at_ease(std::size_t a, std::size_t b) const {
    const auto unmoved = [&](std::size_t v) { return !plan_.moved(v); };
    const auto none_moved = [&](std::size_t h) {
      return std::all_of(plan_.vms_on(h).begin(), plan_.vms_on(h).end(), unmoved);
    };
    return plan_.cost_of_host(a) + plan_.cost_of_host(b) <= w_.price_min() && none_moved(a) && none_moved(b);
  }

  double required(std::size_t a, std::size_t b) const {
    return std::max(kEpsilon, w_.model.gain_required(plan_.cost_of_host(a) + plan_.cost_of_host(b)));
  }

  /// Keeps the plan at hand, as far as an order exists for it, if it is enough better than the best so far; else goes
  /// back to that.
  bool adopt(PlanState& best, double& best_total) {
    const double least = std::max(kEpsilon, w_.model.gain_required(touched_cost(best)));
    bool better = plan_.total().total() > best_total + least;
    if (better) {
      reset(in_order({}, best_total + least));
      const double total = plan_.total().total();
      better = total > best_total + least;
      if (better) {
        best = plan_;
        best_total = total;
      }
    }
    if (!better) reset(best);
    return better;
  }

  void reset(const PlanState& plan) {
    plan_ = plan;
    for (int& version : versions_) ++version;
  }

  /// The plan at hand, but for the VMs that are wished elsewhere, as far as an order exists for it. total_min: what it
  /// must come to, or nobody minds what becomes of it.
  PlanState in_order(const Packing::Wishes& wishes, double total_min) {
    PlanState ordered(w_.model);
    std::vector<Route> routes;
    for (const Step& step : w_.result.steps) {
      if (step.change.to.host == step.from.host || w_.settled(step.change.vm)) routes.push_back({step.change, {}});
    }
    std::vector<std::size_t> wanted(w_.model.vms.size(), kNowhere);
    for (const auto& [v, host] : wishes) wanted[v] = host;
    for (std::size_t v = 0; v < wanted.size(); ++v) {
      const std::size_t host = wanted[v] == kNowhere ? plan_.placement(v).host : wanted[v];
      if (host == home(v) || w_.settled(v)) continue;
      routes.push_back({to(v, host), {}});
      if (wishes.empty()) routes.back().stops = plan_.stops(v);
    }
    stop_search_.total_min = total_min;
    order_routes(ordered, std::move(routes), stop_search_);
    return ordered;
  }

  /// Goes to the best packing found, as far as an order exists for it. False: none is better.
  bool pack(int moves_max) {
    const ClusterModel& model = w_.model;
    std::vector<std::size_t> packable;
    for (const std::size_t v : movable_) {
      const auto apart = [&](std::uint32_t rule) { return model.policy.affinity[rule].apart; };
      if (std::all_of(model.vms[v].affinity.begin(), model.vms[v].affinity.end(), apart)) packable.push_back(v);
    }
    const auto places = static_cast<std::int64_t>(packable.size() * model.hosts.size());
    std::optional<PlanState> best;
    double best_total = plan_.total().total();
    Packing packing(plan_, packable, moves_max, model.policy.limits.concurrent_migrations_per_host);
    packing.improve(
        std::min(kPackingEvaluationsMax, kPackingEvaluationsPerPlace * places),
        [this](std::size_t n) { return w_.random_below(n); },
        [&](const Packing::Wishes& wishes) {
          PlanState ordered = in_order(wishes, best_total);
          const double total = ordered.total().total();
          if (total <= best_total + kEpsilon) return false;
          best_total = total;
          best = std::move(ordered);
          return true;
        });
    // Its bound is its own.
    w_.result.evaluations += packing.evaluations();
    w_.result.evaluations_max += packing.evaluations();
    if (best) reset(*best);
    return best.has_value();
  }

  /// A plan in which VMs stop on their way knew nothing of the stops when it was packed. Goes to the best plan in which
  /// two of the VMs that move have exchanged their targets; false: none is better.
  bool spare_stops() {
    std::vector<std::size_t> movers;
    bool any_stop = false;
    for (const std::size_t v : movable_) {
      if (plan_.moved(v)) movers.push_back(v);
      any_stop = any_stop || !plan_.stops(v).empty();
    }
    if (!any_stop) return false;
    std::optional<PlanState> best;
    double best_total = plan_.total().total();
    for (std::size_t i = 0; i < movers.size(); ++i) {
      for (std::size_t j = i + 1; j < movers.size(); ++j) {
        const std::size_t to_i = plan_.placement(movers[j]).host;
        const std::size_t to_j = plan_.placement(movers[i]).host;
        if (to_i == to_j || !spend()) continue;
        PlanState ordered = in_order({{movers[i], to_i}, {movers[j], to_j}}, best_total);
        const double total = ordered.total().total();
        if (total <= best_total + kEpsilon) continue;
        best_total = total;
        best = std::move(ordered);
      }
    }
    if (best) reset(*best);
    return best.has_value();
  }

  /// Cost of the hosts whose VMs differ between the plan at hand and another.
  double touched_cost(const PlanState& other) const {
    std::vector<bool> touched(versions_.size());
    for (const std::size_t v : movable_) {
      if (plan_.placement(v).host == other.placement(v).host) continue;
      touched[plan_.placement(v).host] = touched[other.placement(v).host] = true;
    }
    double cost = 0;
    for (std::size_t h = 0; h < touched.size(); ++h) {
      if (touched[h]) cost += other.cost_of_host(h);
    }
    return cost;
  }

  void put(std::size_t v, std::size_t host) {
    if (plan_.placement(v).host == host) return;
    ++versions_[plan_.placement(v).host];
    ++versions_[host];
    if (plan_.moved(v) && host != home(v)) plan_.apply(to(v, home(v)));
    plan_.apply(to(v, host));
  }

  bool descend() {
    bool any = false;
    for (bool improved = true; improved && !done();) {
      improved = false;
      for (const std::size_t a : by_cost_) {
        for (const std::size_t b : by_cost_) {
          if (a == b || done()) continue;
          const int version = versions_[a] + versions_[b];
          if (examined_[a][b] == version || at_ease(a, b)) continue;
          const bool better = relocate(a, b) || (examined_[b][a] != version && exchange(a, b));
          if (better) {
            improved = any = true;
          } else {
            examined_[a][b] = version;
          }
        }
      }
    }
    return any;
  }

  /// Puts the VM on the host, by way of its home if need be, and notes how to undo it. Returns the gain.
  double shift(std::size_t v, std::size_t host) {
    double gain = 0;
    const auto apply = [&](std::size_t where) {
      gain += plan_.evaluate(to(v, where)).gain();
      undo_.push_back(plan_.apply_saved(to(v, where)));
    };
    if (plan_.placement(v).host != host && plan_.moved(v) && host != home(v)) apply(home(v));
    if (plan_.placement(v).host != host) apply(host);
    return gain;
  }
  void undo(std::size_t keep = 0) {
    for (; undo_.size() > keep; undo_.pop_back()) plan_.restore(undo_.back());
  }

  /// The VM of `a` that gains most in `b`.
  bool relocate(std::size_t a, std::size_t b) {
    double best_gain = required(a, b);
    std::size_t best = kNowhere;
    const std::vector<std::size_t> vms = plan_.vms_on(a);
    for (const std::size_t v : vms) {
      if (!is_movable_[v] || !spend()) continue;
      double gain = b == home(v) ? 0 : shift(v, home(v));
      if (allowed(v, b)) {
        gain += plan_.evaluate(to(v, b)).gain();
        if (gain > best_gain) {
          best_gain = gain;
          best = v;
        }
      }
      undo();
    }
    if (best == kNowhere) return false;
    put(best, b);
    return true;
  }

  /// The VM, which is at home or about to return there, may be on the host in the end.
  bool allowed(std::size_t v, std::size_t host) const {
    const Change change = to(v, host);
    if (plan_.placement(v).host == host) return true;
    if (host != home(v)) return !refusal(plan_, change, Rule::Scope::kChange, false);
    // Home again is no move: only what has come there meanwhile may stand against it, or what its leaving mended.
    if (plan_.evaluate(change).hard_violations > 0) return false;
    const std::vector<std::size_t>& there = plan_.vms_on(host);
    if (std::none_of(there.begin(), there.end(), [&](std::size_t other) { return plan_.moved(other); })) return true;
    return !check_headroom(plan_, change, false) && !check_affinity(plan_, change, false);
  }

  /// The VM, which is at home, may stop on some host on its way to the target.
  bool may_stop(std::size_t v, std::size_t target) const {
    for (std::size_t h = 0; h < versions_.size(); ++h) {
      if (h != home(v) && h != target && allowed(v, h)) return true;
    }
    return false;
  }

  bool exchange(std::size_t a, std::size_t b) {
    double best_gain = required(a, b);
    std::pair<std::size_t, std::size_t> best{kNowhere, kNowhere};
    for (const std::size_t v : plan_.vms_on(a)) {
      if (!is_movable_[v]) continue;
      for (const std::size_t u : plan_.vms_on(b)) {
        if (!is_movable_[u] || !spend()) continue;
        const double bound = plan_.swap_gain_bound(v, u);
        if (bound > best_gain) candidates_.push_back({bound, v, u});
      }
    }
    std::sort(candidates_.begin(), candidates_.end(), [](const Pair& x, const Pair& y) {
      return x.gain != y.gain ? x.gain > y.gain : std::pair(x.v, x.u) < std::pair(y.v, y.u);
    });
    for (const Pair& pair : candidates_) {
      if (pair.gain <= best_gain) break;
      const double gain = try_exchange(pair.v, pair.u);
      if (gain > best_gain) {
        best_gain = gain;
        best = {pair.v, pair.u};
      }
    }
    candidates_.clear();
    if (best.first == kNowhere) return false;
    put(best.first, home(best.first));
    put(best.second, home(best.second));
    put(best.first, b);
    put(best.second, a);
    return true;
  }

  /// What the exchange gains; 0 if a rule forbids it. Leaves the plan as it was.
  double try_exchange(std::size_t v, std::size_t u) {
    const std::size_t a = plan_.placement(v).host;
    const std::size_t b = plan_.placement(u).host;
    double gain = shift(v, home(v));
    gain += shift(u, home(u));
    const std::size_t at_home = undo_.size();
    // If both are where they will come from, one must go first while the other is still there, or stop elsewhere.
    bool possible = home(v) != a || home(u) != b || allowed(v, b) || allowed(u, a);
    if (!possible) {
      const double price = std::min(may_stop(v, b) ? plan_.move_price(v) : kNoPrice,  //
                                    may_stop(u, a) ? plan_.move_price(u) : kNoPrice);
      possible = price < kNoPrice;
      gain -= price;
    }
    // Each is asked for with the other gone already: that is how it will be in the end.
    shift(v, b);
    possible = possible && allowed(u, a);
    undo(at_home);
    gain += shift(u, a);
    possible = possible && allowed(v, b);
    gain += shift(v, b);
    undo();
    return possible ? gain : 0;
  }

  struct Pair {
    double gain;
    std::size_t v;
    std::size_t u;
  };

  Workspace& w_;
  PlanState plan_;
  std::vector<std::size_t> movable_;
  std::vector<bool> is_movable_;
  std::vector<std::vector<int>> examined_;  ///< [a][b]: sum of both versions when nothing was found there
  std::vector<int> versions_;               ///< by host
  std::vector<std::size_t> by_cost_;        ///< hosts, the dearest first
  std::int64_t evaluations_left_ = std::numeric_limits<std::int64_t>::max();
  StopSearch stop_search_{0, kStopTrials};
  std::vector<Pair> candidates_;
  std::vector<PlanState::Saved> undo_;
};

}  // namespace

void improve(Workspace& w) {
  if (!w.thorough || w.model.hosts.size() < 2) return;
  const Limits& limits = w.model.policy.limits;
  if (limits.concurrent_migrations_per_host < 2 && w.plan.migrations_planned() < 2) return;
  // Scenarios are dear to price, and packing knows loads alone.
  if (w.model.service != nullptr) return;
  Improver improver(w);
  if (!improver.run()) return;

  std::vector<Step> wanted;
  std::map<std::size_t, Step> moves;
  for (const Step& step : w.result.steps) {
    const std::size_t v = step.change.vm;
    if (step.change.to.host == step.from.host || w.settled(v)) {
      wanted.push_back(step);
    } else if (improver.plan().placement(v).host == step.change.to.host) {
      wanted.push_back(step);
      moves.emplace(v, step);
    }
  }
  const double gain = improver.plan().total().total() - w.plan.total().total();
  for (std::size_t v = 0; v < w.model.vms.size(); ++v) {
    if (!improver.plan().moved(v) || w.settled(v) || moves.contains(v)) continue;
    Step step;
    step.change = {v, improver.plan().placement(v)};
    step.cause = Step::Cause::kSwap;
    wanted.push_back(std::move(step));
  }
  std::vector<Route> routes;
  for (const Step& step : wanted) routes.push_back({step.change, improver.plan().stops(step.change.vm)});
  PlanState ordered(w.model);
  std::vector<Step> steps = order_steps(ordered, wanted, routes);
  // An order may not exist for all of it; then what is left must still be better than what there was.
  if (ordered.total().total() <= w.plan.total().total() + kEpsilon) return;
  for (Step& step : steps) {
    if (step.cause == Step::Cause::kSwap || step.cause == Step::Cause::kStop) step.reason += exchange_reason(gain);
  }
  w.result.steps = std::move(steps);
  w.plan = ordered;
}

}  // namespace proteus::ham
