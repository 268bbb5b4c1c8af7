#include <algorithm>
#include <array>
#include <queue>

#include "controller/ham/search/workspace.h"
#include "controller/ham/strategies/strategy.h"

namespace proteus::ham {
namespace {

constexpr std::size_t kBlockedRaisesMax = 8;
/// Refused hosts that a VM is tried on, for each that may take it.
constexpr std::size_t kTriesPerTarget = 4;

/// The best move of each VM, kept in a heap. A move's gain depends on its two hosts alone: when one of them has
/// changed, the gain is worked out again, but only when its turn comes (lazy greedy).
class Reliever {
 public:
  explicit Reliever(Workspace& w) : w_(w), targets_(w), rows_(w.model.vms.size()), versions_(w.model.hosts.size()) {}

  /// Takes moves until none is sufficient. False: none was taken.
  bool run(bool explain) {
    bool taken_any = false;
    for (std::size_t v = 0; v < rows_.size(); ++v) {
      if (w_.moves_left() <= 0 && w_.result.rejections.full()) break;
      fill_row(v, explain);
    }
    while (w_.moves_left() > 0) {
      std::vector<Option> options = best_moves();
      if (!w_.blocked_raises.empty() && (w_.thorough || options.empty())) make_room_options(options);
      const Option* best = choose(options);
      if (best == nullptr) break;
      const Option taken = *best;
      for (const Option& option : options) push_back(option, option.changes == taken.changes);
      take(taken);
      taken_any = true;
    }
    return taken_any;
  }

 private:
  struct Row {
    Option best;
    std::size_t to = 0;
    int stamp = 0;  ///< of the heap's entry that counts
    int from_version = 0;
    int to_version = 0;
  };
  struct Entry {
    double gain;
    std::size_t vm;
    int stamp;
    bool operator<(const Entry& other) const { return gain != other.gain ? gain < other.gain : vm > other.vm; }
  };

  void fill_row(std::size_t v, bool explain) {
    ++rows_[v].stamp;
    if (!w_.eligible(v) || w_.plan.moved(v)) return;
    const std::size_t from = w_.plan.placement(v).host;
    if (w_.plan.cost_of_host(from) <= w_.price_min() && w_.model.vms[v].affinity.empty()) return;
    std::vector<Option> options;
    move_options(w_, targets_, v, explain, options);
    w_.remember(options);
    if (const Option* best = w_.pick(options, v)) {
      Row& row = rows_[v];
      row.best = *best;
      row.to = best->changes.front().to.host;
      row.from_version = versions_[from];
      row.to_version = versions_[row.to];
      heap_.push({best->gain, v, row.stamp});
    }
  }

  bool fresh(std::size_t v) const {
    const Row& row = rows_[v];
    return row.from_version == versions_[w_.plan.placement(v).host] && row.to_version == versions_[row.to];
  }

  /// The rows within 1 % of the best, taken off the heap.
  std::vector<Option> best_moves() {
    std::vector<Option> options;
    while (!heap_.empty()) {
      const Entry top = heap_.top();
      if (!options.empty() && top.gain < options.front().gain * 0.99) break;
      heap_.pop();
      if (top.stamp != rows_[top.vm].stamp) continue;
      if (fresh(top.vm)) {
        // The limits on the whole cluster, and affinities, change with moves between other hosts.
        if (!refusal(w_.plan, rows_[top.vm].best.changes.front(), false)) options.push_back(rows_[top.vm].best);
      } else {
        fill_row(top.vm, false);
      }
      if (w_.result.exhausted && options.empty() && heap_.empty()) break;
    }
    return options;
  }

  void push_back(const Option& option, bool taken) {
    if (taken || option.changes.size() != 1) return;
    const std::size_t v = option.changes.front().vm;
    heap_.push({option.gain, v, rows_[v].stamp});
  }

  void take(const Option& option) {
    std::vector<std::size_t> touched;
    for (const Change& change : option.changes) {
      touched.push_back(w_.plan.placement(change.vm).host);
      touched.push_back(change.to.host);
    }
    w_.take(option);
    std::sort(touched.begin(), touched.end());
    touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
    for (const std::size_t h : touched) {
      ++versions_[h];
      targets_.update(h);
    }
    // On the hosts touched, what did not pay before may pay now.
    for (const std::size_t h : touched) {
      for (const std::size_t v : w_.plan.vms_on(h)) fill_row(v, false);
    }
  }

  /// A raise that its host has no room for, together with the move of a neighbour that makes the room.
  void make_room_options(std::vector<Option>& options) {
    std::size_t tried = 0;
    for (const Change& raise : w_.blocked_raises) {
      if (w_.reshaped[raise.vm] || w_.plan.placement(raise.vm).host != raise.to.host) continue;
      if (++tried > kBlockedRaisesMax) return;
      const std::vector<std::size_t> neighbours = w_.plan.vms_on(raise.to.host);
      for (const std::size_t v : neighbours) {
        if (v == raise.vm || !w_.eligible(v) || w_.plan.moved(v)) continue;
        std::size_t accepted = 0;
        std::size_t asked = 0;
        targets_.for_each(v, [&](std::size_t target) {
          const Change move{v, w_.plan.placement(v).on(target)};
          if (asked++ == 0 && refusal(w_.plan, move, Rule::Scope::kVm, false)) return false;
          if (!refusal(w_.plan, move, Rule::Scope::kChange, false)) {
            if (!w_.spend()) return false;
            pair_options(move, raise.vm, options);
            ++accepted;
          }
          return w_.thorough || (accepted < kTargetsMax && asked < kTriesPerTarget * kTargetsMax);
        });
      }
    }
  }

  /// How much of a raise there is room for shows only once the neighbour has left.
  void pair_options(const Change& move, std::size_t raised, std::vector<Option>& options) {
    const Evaluation one = w_.plan.evaluate(move);
    const PlanState::Saved saved = w_.plan.apply_saved(move);
    std::vector<Change> raises;
    propose_cpu_raise(w_.plan, raised, raises);
    propose_memory_raise(w_.plan, raised, raises);
    for (const Change& raise : raises) {
      if (refusal(w_.plan, raise, false)) continue;
      const Evaluation two = w_.plan.evaluate(raise);
      options.push_back({{move, raise},
                         one.gain() + two.gain(),
                         one.delta.cost + one.delta.latency + two.delta.cost + two.delta.latency,
                         w_.model.gain_required(std::max(one.present_cost_per_hour, two.present_cost_per_hour)),
                         Step::Cause::kMakeRoom});
      w_.remember({options.back()});
    }
    w_.plan.restore(saved);
  }

  Workspace& w_;
  Targets targets_;
  std::vector<Row> rows_;      ///< by VM
  std::vector<int> versions_;  ///< by host: how often it has changed
  std::priority_queue<Entry> heap_;
};

}  // namespace

namespace {

/// What soft rules could cost a VM at most.
double soft_price(const Workspace& w, std::size_t v) {
  double price = 0;
  for (const std::uint32_t rule : w.model.vms[v].affinity) {
    const AffinityRule& affinity = w.model.policy.affinity[rule];
    if (!affinity.hard) price += affinity.price_per_hour;
  }
  return price;
}

}  // namespace

void move_options(Workspace& w, const Targets& targets, std::size_t v, bool explain, std::vector<Option>& out) {
  const Departure& departure = w.plan.depart(v);
  // In a large cluster, or where prices are dear to work out, a VM is not priced on any host if leaving its own cannot
  // pay: no host is better off for having it, and its own cost changes only where it is given more.
  const bool in_place = w.plan.hard_violations_of(v) == 0;
  if ((!w.thorough || w.model.service != nullptr) && in_place && !w.plan.moved(v)) {
    const bool raises = wants_cpu(w.plan, v) && w.model.policy.strategies.reshape;
    const double gain_at_most = departure.performance + departure.utilisation + soft_price(w, v) +
                                (raises ? w.plan.own_cost(v) : 0) - w.plan.move_price(v);
    const double present_cost = w.plan.cost_of_host(w.plan.placement(v).host);
    if (gain_at_most <= w.model.gain_required(present_cost)) return;
  }
  std::size_t asked = 0;
  std::size_t accepted = 0;
  std::vector<Change> moves;
  targets.for_each(v, [&](std::size_t target) {
    moves.clear();
    propose_moves(w.plan, v, std::array{target}, moves);
    if (moves.empty()) return true;
    if (asked++ == 0 && refusal(w.plan, moves.front(), Rule::Scope::kVm, false)) {
      if (explain) w.reject_explained(moves.front(), Rule::Scope::kVm);
      return false;
    }
    bool taken = false;
    for (const Change& move : moves) {
      if (refusal(w.plan, move, Rule::Scope::kChange, false)) {
        if (explain) w.reject_explained(move, Rule::Scope::kChange);
        continue;
      }
      if (!w.spend()) return false;
      out.push_back(w.make_option(move, w.plan.evaluate(move, departure), Step::Cause::kRelieve));
      taken = true;
    }
    if (taken) ++accepted;
    return w.thorough || (accepted < kTargetsMax && asked < kTriesPerTarget * kTargetsMax);
  });
}

void relieve(Workspace& w) {
  // What has become emptier since its rows were filled may be a better place by now: again until nothing is found.
  for (bool first = true; Reliever(w).run(first); first = false) {
    if (w.moves_left() <= 0 || w.result.exhausted) return;
  }
}

}  // namespace proteus::ham
