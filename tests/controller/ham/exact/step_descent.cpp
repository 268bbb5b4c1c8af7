#include "tests/controller/ham/exact/step_descent.h"

#include <limits>
#include <utility>

namespace proteus::ham {
namespace {

class StepDescent {
 public:
  explicit StepDescent(StepCosts& costs) : costs_(costs) {}

  std::vector<std::size_t> from(const std::vector<std::size_t>& known) {
    std::vector<std::size_t> home;
    for (const VmModel& vm : model().vms) home.push_back(vm.host);
    best_ = known;
    best_cost_ = costs_.total(known);
    if (const double stays = costs_.total(home); stays < best_cost_) {
      best_ = home;
      best_cost_ = stays;
    }
    descend(home);
    descend(best_);
    for (std::size_t h = 0; h < costs_.hosts(); ++h) {
      if (costs_.home(h) == 0) {
        descend(with_opened(h));
      } else if ((costs_.home(h) & ~costs_.movable()) == 0) {
        descend(with_emptied(h));
      }
    }
    return best_;
  }

 private:
  const ClusterModel& model() const { return costs_.model(); }
  bool may_be(std::size_t v, std::size_t h) const {
    return h == model().vms[v].host || (costs_.may_take(h) && (costs_.movable() & one(v)) != 0);
  }
  bool allowed(const std::vector<std::size_t>& hosts, std::size_t h) const {
    VmSet set = 0;
    for (std::size_t v = 0; v < hosts.size(); ++v) {
      if (model().vms[v].active && hosts[v] == h) set |= one(v);
    }
    return costs_.allowed(h, set);
  }
  /// Takes the best move or exchange as long as there is one.
  void descend(std::vector<std::size_t> hosts) {
    double cost = costs_.total(hosts);
    while (true) {
      std::vector<std::size_t> best;
      const auto look = [&](std::size_t a, std::size_t b, std::size_t to_a, std::size_t to_b) {
        if (!may_be(a, to_a) || !may_be(b, to_b)) return;
        std::vector<std::size_t> trial = hosts;
        trial[a] = to_a;
        trial[b] = to_b;
        const double trial_cost = costs_.total(trial);
        if (trial_cost >= cost - kSameCost || !allowed(trial, to_a) || !allowed(trial, to_b)) return;
        cost = trial_cost;
        best = std::move(trial);
      };
      for (std::size_t a = 0; a < hosts.size(); ++a) {
        if (!model().vms[a].active) continue;
        for (std::size_t h = 0; h < costs_.hosts(); ++h) {
          if (h != hosts[a]) look(a, a, h, h);
        }
        for (std::size_t b = a + 1; b < hosts.size(); ++b) {
          if (model().vms[b].active && hosts[a] != hosts[b]) look(a, b, hosts[b], hosts[a]);
        }
      }
      if (best.empty()) break;
      hosts = std::move(best);
    }
    if (cost >= best_cost_ - kSameCost) return;
    best_cost_ = cost;
    best_ = std::move(hosts);
  }
  /// Its VMs where they cost least, one by one; some stay if there is no room.
  std::vector<std::size_t> with_emptied(std::size_t h) {
    std::vector<std::size_t> hosts = best_;
    for (std::size_t v = 0; v < hosts.size(); ++v) {
      if (!model().vms[v].active || hosts[v] != h) continue;
      double least = std::numeric_limits<double>::infinity();
      std::size_t place = h;
      for (std::size_t t = 0; t < costs_.hosts(); ++t) {
        if (t == h || costs_.home(t) == 0 || !may_be(v, t)) continue;
        hosts[v] = t;
        const double cost = costs_.total(hosts);
        if (cost >= least || !allowed(hosts, t)) continue;
        least = cost;
        place = t;
      }
      hosts[v] = place;
    }
    return hosts;
  }
  /// With the one VM there that costs least by going there.
  std::vector<std::size_t> with_opened(std::size_t h) {
    std::vector<std::size_t> best = best_;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t v = 0; v < best_.size(); ++v) {
      if (!model().vms[v].active || !may_be(v, h)) continue;
      std::vector<std::size_t> hosts = best_;
      hosts[v] = h;
      const double cost = costs_.total(hosts);
      if (cost >= least || !allowed(hosts, h)) continue;
      least = cost;
      best = std::move(hosts);
    }
    return best;
  }

  StepCosts& costs_;
  std::vector<std::size_t> best_;
  double best_cost_ = 0;
};

}  // namespace

std::vector<std::size_t> good_step(StepCosts& costs, const std::vector<std::size_t>& known) {
  return StepDescent(costs).from(known);
}

}  // namespace proteus::ham
