#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "controller/ham/score/plan_state.h"

namespace proteus::ham {

/// Where each VM would best be in the end, without the way there: the sum of what hosts cost, of the rules broken and
/// of what each move costs once. A copy of a plan small enough that taking a VM out or putting it in costs one look at
/// one host; no order, no contention until a VM has arrived, no memory that is free only later. What it finds is a
/// wish: search/order.cpp says how much of it can be had. Capacity, headroom, pins, maintenance, rules apart and the
/// limits on the number of moves are kept.
class Packing {
 public:
  /// movable: the VMs that may be put elsewhere, none with a rule that keeps VMs together; all others count where they
  /// are. moves_max: of all VMs together; moves_per_host_max: in and out.
  Packing(const PlanState& plan, const std::vector<std::size_t>& movable, int moves_max, int moves_per_host_max);

  using Wishes = std::vector<std::pair<std::size_t, std::size_t>>;  ///< VMs that are elsewhere than at first, and where
  using Random = std::function<std::size_t(std::size_t)>;           ///< next number below n

  /// Ruin and recreate under simulated annealing: VMs of a few hosts are taken out together and put back one by one
  /// where each costs least; a dearer result is kept with a chance that shrinks as the budget is used up.
  /// accept: called with each packing that costs less than the best accepted; true: it is the best now. The search
  /// ends early after many refusals. evaluations_max: how many times a host is priced.
  /// Source: slack induction by string removals (Christiaens, Vanden Berghe 2020), without its strings.
  void improve(std::int64_t evaluations_max, const Random& random_below,
               const std::function<bool(const Wishes&)>& accept);
  /// How many times a host has been priced.
  std::int64_t evaluations() const { return evaluations_; }

 private:
  struct Item {
    std::size_t vm = 0;
    std::size_t home = 0;
    std::size_t host = kNowhere;  ///< kNowhere: taken out
    Load load;
    double move_price = 0;
    double home_price = 0;             ///< of hard rules broken at home
    std::vector<bool> may;             ///< by host
    std::vector<std::uint32_t> apart;  ///< rules, indices into Policy::affinity
  };
  struct Bin {
    Load load;
    double cost = 0;
    int foreign = 0;           ///< VMs that came in this plan
    int migrations = 0;        ///< in and out
    std::int64_t version = 0;  ///< the same only if the load is the same
    std::vector<std::size_t> items;
  };
  /// An item's price in a bin of that version.
  struct Quote {
    std::int64_t version = -1;
    double price = 0;
    bool fits = false;  ///< within headroom
  };
  struct Undo {
    std::vector<std::pair<std::size_t, Bin>> bins;
    std::vector<std::pair<std::size_t, std::size_t>> items;
  };

  double price_of(std::size_t host, const Load& load);
  const Quote& quote(std::size_t item, std::size_t host);
  double apart_price(const Item& item, std::size_t host, bool& forbidden) const;
  void count(const Item& item, std::size_t host, int sign);
  void touch(std::size_t host, Undo& undo);
  void take_out(std::size_t item, Undo& undo);
  bool put_back(std::size_t item, const Random& random_below, Undo& undo);
  void take_back(const Undo& undo);
  void ruin(const Random& random_below, Undo& undo, std::vector<std::size_t>& out);

  const ClusterModel& model_;
  std::vector<Item> items_;
  std::vector<Bin> bins_;
  std::vector<std::vector<Quote>> quotes_;                ///< [item][host]
  std::vector<std::map<std::size_t, int>> apart_counts_;  ///< [rule][zone]: VMs there
  int moves_ = 0;
  int moves_max_;
  int moves_per_host_max_;
  double cost_ = 0;  ///< of bins, moves and rules; up to a constant
  std::int64_t versions_ = 0;
  std::int64_t evaluations_ = 0;
};

}  // namespace proteus::ham
