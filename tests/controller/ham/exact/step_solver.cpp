#include "tests/controller/ham/exact/step_solver.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <map>
#include <optional>
#include <queue>
#include <utility>

#include "tests/controller/ham/exact/step_descent.h"

namespace proteus::ham {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
/// Sets kept for one host; beyond that the case is given up.
constexpr std::size_t kSetsMax = 200'000;
/// Nodes looked at for one bound.
constexpr int kNodesOfBound = 200;

std::vector<std::size_t> members(VmSet set) {
  std::vector<std::size_t> vms;
  for (; set != 0; set &= set - 1) vms.push_back(static_cast<std::size_t>(std::countr_zero(set)));
  return vms;
}

/// What the first step of branching settles.
struct Case {
  unsigned emptied = 0;  ///< hosts, by bit
  unsigned opened = 0;
  std::optional<std::size_t> together;  ///< host of the pair; none: apart, or there is no pair
  double bound = 0;
};

/// Some of a host's VMs leave.
struct Leaving {
  VmSet vms = 0;
  double cost = 0;  ///< of the host, of those that stay, and of those that leave at their cheapest other place
};

class StepSolver {
 public:
  StepSolver(StepCosts& costs, std::int64_t nodes_max) : costs_(costs), nodes_max_(nodes_max) {
    for (std::size_t rule = 0; rule < model().policy.affinity.size(); ++rule) {
      const AffinityRule& affinity = model().policy.affinity[rule];
      if (pair_.empty() && !affinity.apart && !affinity.hard && model().rule_vms[rule].size() == 2) {
        pair_ = model().rule_vms[rule];
        pair_price_ = affinity.price_per_hour;
      }
    }
  }

  StepResult solve(const std::vector<std::size_t>& known) {
    StepResult result;
    result.known = costs_.total(known);
    best_ = good_step(costs_, known);
    best_cost_ = costs_.total(best_);
    const std::vector<Case> cases = all_cases();
    double bound = kNever;
    exploring_ = true;
    for (const Case& next : cases) {
      if (next.bound >= best_cost_ - kSameCost) break;
      if (!explore(next)) bound = std::min(bound, next.bound);
    }
    result.optimum = best_cost_;
    result.bound = std::min(bound, best_cost_);
    result.hosts = best_;
    result.bound_broken = broken_;
    result.priced = costs_.priced();
    return result;
  }

 private:
  const ClusterModel& model() const { return costs_.model(); }
  /// Counts one node; true: there are to be no more.
  bool spent() { return exploring_ && ++nodes_ > nodes_max_; }

  bool usable(std::size_t h) const {
    const unsigned bit = 1U << h;
    return costs_.home(h) != 0 ? (now_.emptied & bit) == 0 : (now_.opened & bit) != 0;
  }
  bool may_go(std::size_t v, std::size_t h) const {
    if (h == model().vms[v].host) return usable(h);
    return usable(h) && costs_.may_take(h) && (costs_.movable() & one(v)) != 0;
  }
  /// Of the VM there, alone, with its move.
  double price(std::size_t v, std::size_t h) const {
    const std::size_t from = model().vms[v].host;
    if (h == from) return costs_.own(v, h);
    const bool drained = (now_.emptied >> from & 1) != 0;
    const double move = costs_.move_price(v) * (drained && costs_.may_sleep(from) ? 1 - costs_.spared() : 1);
    const bool by_itself = !(drained && costs_.may_sleep(from)) && costs_.home(h) != 0;
    return costs_.own(v, h) + move + (by_itself ? costs_.floor() : 0);
  }
  double cheapest_away(std::size_t v) const {
    double least = kNever;
    for (std::size_t h = 0; h < costs_.hosts(); ++h) {
      if (h != model().vms[v].host && may_go(v, h)) least = std::min(least, price(v, h));
    }
    return least;
  }

  /// stress(), checked against that of a part of the set.
  double stress(std::size_t h, VmSet set, VmSet part) {
    const double value = costs_.stress(h, set);
    broken_ = std::max(broken_, costs_.stress(h, part) - value);
    return value;
  }

  std::vector<Case> all_cases() {
    unsigned filled = 0;
    unsigned empty = 0;
    for (std::size_t h = 0; h < costs_.hosts(); ++h) {
      const unsigned bit = 1U << h;
      if (costs_.home(h) == 0) {
        if (costs_.may_take(h)) empty |= bit;
      } else if ((costs_.home(h) & ~costs_.movable()) == 0) {
        filled |= bit;
      }
    }
    std::vector<Case> cases;
    const auto add = [&](Case next) {
      now_ = next;
      begin();
      next.bound = case_bound();
      if (next.bound < best_cost_) cases.push_back(next);
    };
    for (unsigned emptied = filled;; emptied = (emptied - 1) & filled) {
      for (unsigned opened = empty;; opened = (opened - 1) & empty) {
        add({emptied, opened, std::nullopt, 0});
        if (!pair_.empty()) {
          for (std::size_t h = 0; h < costs_.hosts(); ++h) add({emptied, opened, h, 0});
        }
        if (opened == 0) break;
      }
      if (emptied == 0) break;
    }
    std::stable_sort(cases.begin(), cases.end(), [](const Case& a, const Case& b) { return a.bound < b.bound; });
    return cases;
  }

  /// Sets out what now_ has settled.
  void begin() {
    fixed_.assign(costs_.hosts(), 0);
    free_.assign(costs_.hosts(), 0);
    least_.clear();
    forced_.clear();
    settled_ = 0;
    impossible_ = false;
    for (std::size_t h = 0; h < costs_.hosts(); ++h) {
      if (costs_.home(h) == 0 ? usable(h) : true) {
        settled_ += usable(h) ? costs_.idle(h) : 0;
        // Its step: opened, or emptied so that it may sleep.
        if (costs_.home(h) == 0 || (!usable(h) && costs_.may_sleep(h))) settled_ += costs_.floor();
      }
    }
    VmSet open = 0;
    for (std::size_t h = 0; h < costs_.hosts(); ++h) open |= costs_.home(h);
    if (now_.together) {
      for (const std::size_t v : pair_) {
        impossible_ = impossible_ || !may_go(v, *now_.together);
        fixed_[*now_.together] |= one(v);
        settled_ += price(v, *now_.together);
        open &= ~one(v);
      }
    } else if (!pair_.empty()) {
      settled_ += pair_price_;
    }
    for (std::size_t h = 0; h < costs_.hosts(); ++h) {
      const VmSet here = costs_.home(h) & open;
      if (!usable(h)) {
        for (const std::size_t v : members(here)) forced_.push_back(v);
        continue;
      }
      for (const std::size_t v : members(here & ~costs_.movable())) settled_ += price(v, h);
      fixed_[h] |= here & ~costs_.movable();
      free_[h] = here & costs_.movable();
    }
    std::stable_sort(forced_.begin(), forced_.end(),
                     [&](std::size_t a, std::size_t b) { return costs_.own(a, 0) > costs_.own(b, 0); });
    forced_rest_.assign(forced_.size() + 1, 0);
    for (std::size_t i = forced_.size(); i-- > 0;) forced_rest_[i] = forced_rest_[i + 1] + cheapest_away(forced_[i]);
  }

  double case_bound() {
    if (impossible_) return kNever;
    double bound = settled_ + forced_rest_[0];
    for (std::size_t h = 0; h < costs_.hosts(); ++h) {
      if (usable(h)) bound += Ways(*this, h).rest[0] + costs_.stress(h, fixed_[h]);
    }
    if (bound >= best_cost_) return kNever;
    bound = settled_ + forced_rest_[0];
    for (std::size_t h = 0; h < costs_.hosts(); ++h) {
      if (usable(h)) bound += least(h, fixed_[h]);
    }
    return bound;
  }

  /// The least that the host can cost with these VMs beside those of its own that may stay or leave; a bound where that
  /// is long to find.
  double least(std::size_t h, VmSet base) {
    const auto [entry, added] = least_.try_emplace({h, base}, 0);
    if (!added) return entry->second;
    const double all = stress(h, base | free_[h], base);
    double stay = 0;
    double penalty = kNever;
    for (const std::size_t v : members(free_[h])) {
      stay += price(v, h);
      penalty = std::min(penalty, cheapest_away(v) - price(v, h));
    }
    // Whoever leaves pays more than all who stay could save.
    if (penalty >= all - costs_.stress(h, base)) return entry->second = all + stay;
    return least_[{h, base}] = std::min(all + stay, search_least(h, base));
  }

  /// Best first: who leaves and who stays, those first that use the host most.
  double search_least(std::size_t h, VmSet base) {
    struct Node {
      double bound;
      std::size_t decided;
      VmSet kept;
      double cost;
      bool operator<(const Node& other) const {
        return bound != other.bound ? bound > other.bound : decided < other.decided;
      }
    };
    const Ways ways(*this, h);
    std::priority_queue<Node> open;
    open.push({costs_.stress(h, base) + ways.rest[0], 0, 0, 0});
    for (int popped = 0;; ++popped) {
      const Node node = open.top();
      if (node.decided == ways.vms.size() || popped == kNodesOfBound) return node.bound;
      open.pop();
      const std::size_t i = node.decided;
      const auto push = [&](VmSet kept, double cost) {
        const double bound = stress(h, base | kept, base) + cost + ways.rest[i + 1];
        if (bound < kNever) open.push({std::max(bound, node.bound), i + 1, kept, cost});
      };
      push(node.kept | one(ways.vms[i]), node.cost + ways.stay[i]);
      if (ways.away[i] < kNever) push(node.kept, node.cost + ways.away[i]);
    }
  }

  /// Everybody who could leave the host at a cost below `limit`.
  std::vector<Leaving> leaving(std::size_t h, VmSet base, double limit) {
    const Ways ways(*this, h);
    std::vector<Leaving> all;
    const auto look = [&](const auto& self, std::size_t i, VmSet kept, VmSet gone, double cost) -> void {
      const double stressed = stress(h, base | kept, base);
      if (stressed + cost + ways.rest[i] >= limit || spent()) return;
      if (i == ways.vms.size()) {
        overflow_ = overflow_ || all.size() >= kSetsMax;
        if (!overflow_) all.push_back({gone, stressed + cost});
        return;
      }
      const VmSet vm = one(ways.vms[i]);
      self(self, i + 1, kept | vm, gone, cost + ways.stay[i]);
      if (ways.away[i] < kNever) self(self, i + 1, kept, gone | vm, cost + ways.away[i]);
    };
    look(look, 0, 0, 0, 0);
    std::stable_sort(all.begin(), all.end(), [](const Leaving& a, const Leaving& b) { return a.cost < b.cost; });
    return all;
  }

  /// What the free VMs of a host cost there and at their cheapest elsewhere.
  struct Ways {
    Ways(const StepSolver& solver, std::size_t h) : vms(solver.by_use(h)), rest(vms.size() + 1, 0.0) {
      for (const std::size_t v : vms) {
        stay.push_back(solver.price(v, h));
        away.push_back(solver.cheapest_away(v));
      }
      for (std::size_t i = vms.size(); i-- > 0;) rest[i] = rest[i + 1] + std::min(stay[i], away[i]);
    }
    std::vector<std::size_t> vms;
    std::vector<double> stay;
    std::vector<double> away;
    std::vector<double> rest;  ///< of those from here on, at the lesser of both
  };

  /// Free VMs of the host, what uses it most first.
  std::vector<std::size_t> by_use(std::size_t h) const {
    std::vector<std::size_t> vms = members(free_[h]);
    std::stable_sort(vms.begin(), vms.end(),
                     [&](std::size_t a, std::size_t b) { return costs_.own(a, h) > costs_.own(b, h); });
    return vms;
  }

  /// False: given up.
  bool explore(const Case& next) {
    now_ = next;
    begin();
    overflow_ = false;
    std::vector<VmSet> bases = fixed_;
    place_forced(0, bases, settled_);
    return nodes_ <= nodes_max_ && !overflow_;
  }

  void place_forced(std::size_t i, std::vector<VmSet>& bases, double cost) {
    double bound = cost + forced_rest_[i];
    for (std::size_t h = 0; h < costs_.hosts(); ++h) {
      if (usable(h)) bound += least(h, bases[h]);
    }
    if (bound >= best_cost_ - kSameCost || spent()) return;
    if (i == forced_.size()) {
      combine(bases, cost, bound);
      return;
    }
    const std::size_t v = forced_[i];
    std::vector<std::pair<double, std::size_t>> places;
    for (std::size_t h = 0; h < costs_.hosts(); ++h) {
      if (!may_go(v, h) || !costs_.allowed(h, bases[h] | one(v))) continue;
      places.emplace_back(price(v, h) + least(h, bases[h] | one(v)) - least(h, bases[h]), h);
    }
    std::sort(places.begin(), places.end());
    for (const auto& [more, h] : places) {
      bases[h] |= one(v);
      place_forced(i + 1, bases, cost + price(v, h));
      bases[h] &= ~one(v);
    }
  }

  void combine(const std::vector<VmSet>& bases, double cost, double bound) {
    std::vector<std::size_t> hosts;
    std::vector<std::vector<Leaving>> choices;
    std::vector<double> rest(1, 0.0);
    for (std::size_t h = 0; h < costs_.hosts(); ++h) {
      if (!usable(h)) continue;
      hosts.push_back(h);
      const double limit = best_cost_ - bound + least(h, bases[h]);
      choices.push_back(leaving(h, bases[h], limit));
      if (choices.back().empty()) return;
    }
    rest.assign(hosts.size() + 1, 0.0);
    for (std::size_t i = hosts.size(); i-- > 0;) rest[i] = rest[i + 1] + choices[i].front().cost;
    std::vector<VmSet> sets = bases;
    const auto look = [&](const auto& self, std::size_t i, VmSet gone, double sum) -> void {
      if (i == hosts.size()) {
        place_leaving(sets, gone, cost);
        return;
      }
      for (const Leaving& choice : choices[i]) {
        if (sum + choice.cost + rest[i + 1] >= best_cost_ - kSameCost || spent()) return;
        sets[hosts[i]] = bases[hosts[i]] | (free_[hosts[i]] & ~choice.vms);
        self(self, i + 1, gone | choice.vms, sum + choice.cost);
      }
    };
    look(look, 0, 0, cost);
  }

  /// sets: who is on each host so far.
  void place_leaving(std::vector<VmSet> sets, VmSet gone, double settled) {
    const std::vector<std::size_t> vms = members(gone);
    double stays = settled;
    for (std::size_t h = 0; h < costs_.hosts(); ++h) {
      if (!usable(h)) continue;
      for (const std::size_t v : members(sets[h] & free_[h])) stays += price(v, h);
    }
    std::vector<double> rest(vms.size() + 1, 0.0);
    for (std::size_t i = vms.size(); i-- > 0;) rest[i] = rest[i + 1] + cheapest_away(vms[i]);
    const auto look = [&](const auto& self, std::size_t i, double cost) -> void {
      double bound = cost + rest[i];
      for (std::size_t h = 0; h < costs_.hosts(); ++h) {
        if (usable(h)) bound += costs_.stress(h, sets[h]);
      }
      if (bound >= best_cost_ - kSameCost || spent()) return;
      if (i == vms.size()) {
        accept(sets);
        return;
      }
      for (std::size_t h = 0; h < costs_.hosts(); ++h) {
        if (h == model().vms[vms[i]].host || !may_go(vms[i], h)) continue;
        if (!costs_.allowed(h, sets[h] | one(vms[i]))) continue;
        sets[h] |= one(vms[i]);
        self(self, i + 1, cost + price(vms[i], h));
        sets[h] &= ~one(vms[i]);
      }
    };
    look(look, 0, stays);
  }

  void accept(const std::vector<VmSet>& sets) {
    std::vector<std::size_t> hosts;
    for (const VmModel& vm : model().vms) hosts.push_back(vm.host);
    for (std::size_t h = 0; h < sets.size(); ++h) {
      if (!costs_.allowed(h, sets[h])) return;
      for (const std::size_t v : members(sets[h])) hosts[v] = h;
    }
    const double cost = costs_.total(hosts);
    if (cost >= best_cost_ - kSameCost) return;
    best_cost_ = cost;
    best_ = hosts;
  }

  StepCosts& costs_;
  std::int64_t nodes_max_;
  std::vector<std::size_t> pair_;
  double pair_price_ = 0;

  Case now_;
  double settled_ = 0;  ///< cost of what the case has settled
  bool impossible_ = false;
  std::vector<VmSet> fixed_;         ///< [host] VMs that the case has put there
  std::vector<VmSet> free_;          ///< [host] its own that may stay or leave
  std::vector<std::size_t> forced_;  ///< VMs that must leave
  std::vector<double> forced_rest_;  ///< of those from here on, at their cheapest
  std::map<std::pair<std::size_t, VmSet>, double> least_;
  std::int64_t nodes_ = 0;
  bool exploring_ = false;
  bool overflow_ = false;

  std::vector<std::size_t> best_;
  double best_cost_ = 0;
  double broken_ = 0;
};

}  // namespace

StepResult solve_step(StepCosts& costs, const std::vector<std::size_t>& known, std::int64_t nodes_max) {
  return StepSolver(costs, nodes_max).solve(known);
}

}  // namespace proteus::ham
