#include <algorithm>
#include <array>
#include <queue>

#include "controller/ham/search/targets.h"
#include "controller/ham/strategies/strategy.h"

namespace proteus::ham {
namespace {

constexpr std::size_t kBlockedRaisesMax = 8;
/// Refused hosts that a VM is tried on, for each that may take it.
constexpr std::size_t kTriesPerTarget = 4;

/// What soft rules could cost a VM at most.
double soft_price(const Workspace& w, std::size_t v) {
  double price = 0;
  for (const std::uint32_t rule : w.model.vms[v].affinity) {
    const AffinityRule& affinity = w.model.policy.affinity[rule];
    if (!affinity.hard) price += affinity.price_per_hour;
  }
  return price;
}

/// In a large cluster, or where prices are dear to work out, a VM is not priced on any host if leaving its own cannot
/// pay: no host is better off for having it, and its own cost changes only where it is given more.
bool cannot_pay(const Workspace& w, std::size_t v) {
  if ((w.thorough && w.model.service == nullptr) || w.plan.hard_violations_of(v) != 0 || w.plan.moved(v)) return false;
  const bool raises = wants_cpu(w.plan, v) && w.model.policy.strategies.reshape;
  const Departure& departure = w.plan.depart(v);
  const double gain_at_most = departure.performance + departure.utilisation + soft_price(w, v) +
                              (raises ? w.plan.own_cost(v) : 0) - w.plan.move_price(v);
  return gain_at_most <= w.model.gain_required(w.plan.cost_of_host(w.plan.placement(v).host));
}

/// The best move of each VM, kept in a heap. A move's gain depends on its two hosts alone: when one of them has
/// changed, the gain is worked out again, but only when its turn comes (lazy greedy).
class Reliever {
 public:
  explicit Reliever(Workspace& w)
      : w_(w), targets_(w), rows_(w.model.vms.size()), changed_(w.model.hosts.size()), moved_(w.model.vms.size()) {}

  /// Takes moves until none is sufficient. False: none was taken. Again: what has become emptier since a VM was tried
  /// on it may be a better place by now.
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
  static constexpr int kNever = -1;
  struct Row {
    Option best;
    std::size_t to = 0;
    int stamp = 0;  ///< of the heap's entry that counts
    int filled = kNever;
    bool stays = false;   ///< leaving its host does not pay, wherever it goes
    bool futile = false;  ///< no host that it was tried on would do
  };
  struct Entry {
    double gain;
    std::size_t vm;
    int stamp;
    bool operator<(const Entry& other) const { return gain != other.gain ? gain < other.gain : vm > other.vm; }
  };

  void fill_row(std::size_t v, bool explain) {
    Row& row = rows_[v];
    ++row.stamp;
    if (!w_.eligible(v) || w_.plan.moved(v)) return;
    const std::size_t from = w_.plan.placement(v).host;
    if (row.stays && changed_[from] <= row.filled) return;
    if (w_.plan.cost_of_host(from) <= w_.price_min() && w_.model.vms[v].affinity.empty()) return;
    row.stays = cannot_pay(w_, v);
    std::vector<Option> options;
    if (!row.stays) options = move_options(v, futile_since(v), explain);
    w_.remember(options);
    const Option* best = w_.pick(options, v);
    row.futile = best == nullptr && !w_.result.exhausted;
    row.filled = now_;
    if (best == nullptr) return;
    row.best = *best;
    row.to = best->changes.front().to.host;
    heap_.push({best->gain, v, row.stamp});
  }

  bool fresh(std::size_t v) const {
    const Row& row = rows_[v];
    return changed_[w_.plan.placement(v).host] <= row.filled && changed_[row.to] <= row.filled;
  }

  /// Hosts that have not changed since then need not be tried again: neither the VM's own host has changed, nor where
  /// those are that its rules are about.
  int futile_since(std::size_t v) const {
    const Row& row = rows_[v];
    if (!row.futile || changed_[w_.plan.placement(v).host] > row.filled) return kNever;
    for (const std::uint32_t rule : w_.model.vms[v].affinity) {
      for (const std::size_t other : w_.model.rule_vms[rule]) {
        if (moved_[other] > row.filled) return kNever;
      }
    }
    return row.filled;
  }

  /// The moves of a VM to hosts that have changed since, evaluated, as far as rules allow them; explain: refusals are
  /// logged.
  std::vector<Option> move_options(std::size_t v, int since, bool explain) {
    std::vector<Option> options;
    const Departure& departure = w_.plan.depart(v);
    std::size_t asked = 0;
    std::size_t accepted = 0;
    bool may_move = false;
    std::vector<Change> moves;
    targets_.for_each(v, [&](std::size_t target) {
      bool taken = changed_[target] <= since;
      if (!taken) {
        moves.clear();
        propose_moves(w_.plan, v, std::array{target}, moves);
        if (moves.empty()) return true;
        if (!may_move && refusal(w_.plan, moves.front(), Rule::Scope::kVm, false)) {
          if (explain) w_.reject_explained(moves.front(), Rule::Scope::kVm);
          return false;
        }
        may_move = true;
        for (const Change& move : moves) {
          if (refusal(w_.plan, move, Rule::Scope::kChange, false)) {
            if (explain) w_.reject_explained(move, Rule::Scope::kChange);
            continue;
          }
          if (!w_.spend()) return false;
          options.push_back(w_.make_option(move, w_.plan.evaluate(move, departure), Step::Cause::kRelieve));
          taken = true;
        }
      }
      ++asked;
      if (taken) ++accepted;
      return w_.thorough || (accepted < kTargetsMax && asked < kTriesPerTarget * kTargetsMax);
    });
    return options;
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
    ++now_;
    for (const Change& change : option.changes) moved_[change.vm] = now_;
    std::sort(touched.begin(), touched.end());
    touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
    for (const std::size_t h : touched) {
      changed_[h] = now_;
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
  std::vector<Row> rows_;     ///< by VM
  int now_ = 0;               ///< moves taken
  std::vector<int> changed_;  ///< by host: when it did last
  std::vector<int> moved_;    ///< by VM
  std::priority_queue<Entry> heap_;
};

}  // namespace

void relieve(Workspace& w) {
  Reliever reliever(w);
  for (bool first = true; reliever.run(first); first = false) {
    if (w.moves_left() <= 0 || w.result.exhausted) return;
  }
}

}  // namespace proteus::ham
