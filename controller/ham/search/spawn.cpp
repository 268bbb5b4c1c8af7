#include <algorithm>
#include <array>
#include <queue>

#include "controller/ham/search/targets.h"
#include "controller/ham/strategies/strategy.h"

namespace proteus::ham {
namespace {

/// Refused hosts that a helper is tried on, for each that may take it.
constexpr std::size_t kTriesPerTarget = 4;

/// The best helper of each VM, kept in a heap; worked out again when its turn comes and one of the hosts that it
/// touches has changed (lazy greedy).
class Spawner {
 public:
  explicit Spawner(Workspace& w) : w_(w), targets_(w), rows_(w.model.vms.size()), versions_(w.model.hosts.size()) {}

  void run() {
    for (std::size_t v = 0; v < rows_.size(); ++v) fill_row(v, true);
    while (!heap_.empty()) {
      const Entry top = heap_.top();
      heap_.pop();
      if (top.gain != rows_[top.vm].best.gain || w_.helped[top.vm]) continue;
      if (!fresh(top.vm) || refusal(w_.plan, rows_[top.vm].best.changes.front(), false)) {
        fill_row(top.vm, false);
      } else {
        take(rows_[top.vm]);
      }
    }
  }

 private:
  struct Row {
    Option best;
    std::array<std::size_t, 3> hosts{};  ///< that it touches
    std::array<int, 3> versions{};
  };
  struct Entry {
    double gain;
    std::size_t vm;
    bool operator<(const Entry& other) const { return gain != other.gain ? gain < other.gain : vm > other.vm; }
  };

  /// As of any change, but by the rule's own floor.
  double gain_required(std::size_t v, double present_cost_per_hour) const {
    return w_.policy().limits.gain_min * present_cost_per_hour +
           w_.model.vms[v].helper_rule->gain_floor / w_.model.payback_hours();
  }

  int version_of(std::size_t host) const { return host == kNowhere ? 0 : versions_[host]; }

  bool fresh(std::size_t v) const {
    const Row& row = rows_[v];
    for (std::size_t i = 0; i < row.hosts.size(); ++i) {
      if (row.versions[i] != version_of(row.hosts[i])) return false;
    }
    return true;
  }

  /// No helper takes more from its VM's host than the VM's leaving would, nor more from the VM than its own limit
  /// costs.
  bool may_gain(std::size_t v) const {
    const Departure& departure = w_.plan.depart(v);
    const double at_most = std::max(0.0, departure.performance) + std::max(0.0, departure.utilisation) +
                           w_.plan.own_cost(v) - w_.model.vms[v].helper_rule->price / w_.model.payback_hours();
    return at_most > gain_required(v, w_.plan.cost_of_host(w_.plan.placement(v).host));
  }

  void fill_row(std::size_t v, bool explain) {
    rows_[v].best = {};
    if (!w_.model.vms[v].scalable || !w_.eligible(v) || w_.helped[v] || !may_gain(v)) return;
    std::vector<Option> options;
    std::vector<Change> changes;
    std::size_t asked = 0;
    std::size_t accepted = 0;
    const auto try_host = [&](std::size_t h) {
      changes.clear();
      propose_helpers(w_.plan, v, std::array{h}, changes);
      for (const Change& change : changes) {
        if (asked++ == 0 && refusal(w_.plan, change, Rule::Scope::kVm, false)) {
          if (explain) w_.reject_explained(change, Rule::Scope::kVm);
          return false;
        }
        if (refusal(w_.plan, change, Rule::Scope::kChange, false)) {
          if (explain) w_.reject_explained(change, Rule::Scope::kChange);
          continue;
        }
        if (!w_.spend()) return false;
        const Evaluation evaluation = w_.plan.evaluate(change);
        if (evaluation.hard_violations <= 0) {
          options.push_back(w_.make_option(change, evaluation, Step::Cause::kSpawn));
          options.back().gain_required = gain_required(v, evaluation.present_cost_per_hour);
        }
        ++accepted;
      }
      return w_.thorough || (accepted < kTargetsMax && asked < kTriesPerTarget * kTargetsMax);
    };
    // Its own host is as good as any where its limit is what holds it back.
    if (try_host(w_.plan.placement(v).host)) targets_.for_each(v, try_host);
    w_.remember(options);
    const Option* best = choose(options);
    if (best == nullptr) return;
    Row& row = rows_[v];
    row.best = *best;
    const Placement& now = w_.plan.placement(v);
    row.hosts = {now.host, now.helper, best->changes.front().to.helper};
    for (std::size_t i = 0; i < row.hosts.size(); ++i) row.versions[i] = version_of(row.hosts[i]);
    heap_.push({best->gain, v});
  }

  void take(const Row& row) {
    const std::array hosts = row.hosts;
    w_.take(Option(row.best));
    for (const std::size_t h : hosts) {
      if (h == kNowhere) continue;
      ++versions_[h];
      targets_.update(h);
    }
  }

  Workspace& w_;
  Targets targets_;
  std::vector<Row> rows_;      ///< by VM
  std::vector<int> versions_;  ///< by host: how often it has changed
  std::priority_queue<Entry> heap_;
};

}  // namespace

void end_helpers(Workspace& w) {
  std::vector<Change> changes;
  for (std::size_t v = 0; v < w.model.vms.size(); ++v) {
    if (!w.eligible(v)) continue;
    propose_helper_end(w.plan, v, changes);
  }
  for (const Change& change : changes) {
    if (refusal(w.plan, change, false) || !w.spend()) continue;
    const Evaluation evaluation = w.plan.evaluate(change);
    // What a new one would cost and have to gain keeps it from coming and going.
    if (evaluation.gain() <= 0 && w.model.vms[change.vm].scalable) continue;
    w.take({{change}, evaluation.gain(), 0, 0, Step::Cause::kEndHelper});
  }
}

void start_helpers(Workspace& w) {
  Spawner(w).run();
}

}  // namespace proteus::ham
