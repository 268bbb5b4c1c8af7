#include <algorithm>
#include <queue>

#include "common/prefetch.h"
#include "controller/ham/search/workspace.h"
#include "controller/ham/strategies/strategy.h"

namespace proteus::ham {
namespace {

constexpr std::size_t kAhead = 4;  ///< VMs whose demand is fetched before it is their turn

/// Hosts do not compete for reshapes: each has a best one of its own, and the best of those is taken next.
class Reshaper {
 public:
  explicit Reshaper(Workspace& w)
      : w_(w), lowered_(w.model.hosts.size()), best_(w.model.hosts.size()), options_(w.model.vms.size()) {}

  void run() {
    w_.blocked_raises.clear();
    const std::vector<VmModel>& vms = w_.model.vms;
    for (std::size_t v = 0; v < vms.size(); ++v) {
      if (v + kAhead < vms.size()) {
        prefetch(&vms[v + kAhead].demand->cpu_max);
        prefetch(&vms[v + kAhead].demand->memory_max);
      }
      options_[v] = options(v, true);
      w_.remember(options_[v]);
    }
    for (std::size_t h = 0; h < w_.model.hosts.size(); ++h) find_best(h);
    while (!queue_.empty()) {
      const Entry entry = queue_.top();
      queue_.pop();
      take(entry.host);
    }
  }

 private:
  struct Entry {
    double gain;
    std::size_t vm;
    std::size_t host;
    bool operator<(const Entry& other) const { return gain != other.gain ? gain < other.gain : vm > other.vm; }
  };

  std::vector<Option> options(std::size_t v, bool explain) {
    std::vector<Option> options;
    if (!w_.eligible(v) || w_.reshaped[v]) return options;
    std::vector<Change> proposals;
    propose_cpu_raise(w_.plan, v, proposals);
    // Where memory is counted by need, share_memory() sets all targets.
    const bool by_target = w_.policy().limits.memory_promise <= 0;
    if (by_target) propose_memory_raise(w_.plan, v, proposals);
    const std::size_t raises = proposals.size();
    if (!lowered_[w_.plan.placement(v).host]) {
      propose_cpu_lower(w_.plan, v, proposals);
      if (by_target) propose_memory_lower(w_.plan, v, proposals);
    }
    for (std::size_t i = 0; i < proposals.size(); ++i) {
      const Change& change = proposals[i];
      if (const auto refused = refusal(w_.plan, change, false)) {
        if (i >= raises) continue;
        if (refused->rule == "headroom" && (w_.blocked_raises.empty() || w_.blocked_raises.back().vm != v)) {
          w_.blocked_raises.push_back(change);
        }
        if (explain && w_.result.rejections.takes(name_of(w_.plan, v))) {
          w_.reject(change, *refusal(w_.plan, change, true));
        }
        continue;
      }
      if (!w_.spend()) break;
      options.push_back(w_.make_option(change, w_.plan.evaluate(change), Step::Cause::kReshape));
    }
    return options;
  }

  void find_best(std::size_t h) {
    const Option* best = nullptr;
    for (const std::size_t v : w_.plan.vms_on(h)) {
      const Option* option = choose(options_[v]);
      if (option != nullptr && (best == nullptr || option->gain > best->gain)) best = option;
    }
    if (best == nullptr) return;
    best_[h] = *best;
    queue_.push({best->gain, best->changes.front().vm, h});
  }

  /// Giving is not limited; a host's VMs are lowered one at a time, so that its outcome is seen before the next.
  void take(std::size_t h) {
    const Change change = best_[h].changes.front();
    const Allocation& before = w_.plan.placement(change.vm).allocation;
    const bool lowers = change.to.allocation.cpu_limit_cores() < before.cpu_limit_cores() ||
                        change.to.allocation.memory_bytes < before.memory_bytes;
    w_.take(best_[h]);
    if (lowers) lowered_[h] = true;
    for (const std::size_t v : w_.plan.vms_on(h)) options_[v] = options(v, false);
    find_best(h);
  }

  Workspace& w_;
  std::vector<bool> lowered_;                 ///< by host, in this phase
  std::vector<Option> best_;                  ///< by host
  std::vector<std::vector<Option>> options_;  ///< by VM
  std::priority_queue<Entry> queue_;
};

}  // namespace

void reshape(Workspace& w) {
  Reshaper(w).run();
}

}  // namespace proteus::ham
