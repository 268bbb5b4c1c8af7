#include "controller/simulate/kvm/policies/packing.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace proteus::simulate::kvm {
namespace {

class Step {
 public:
  Step(Console& console, const PackingRules& rules)
      : console_(console), rules_(rules), loads_(console, peak_cpu(console, rules.peak_ticks)) {}

  /// False: it stays overloaded, since for one of its VMs there is no place.
  bool relieve(int host) {
    int moves = 0;
    bool lacking = false;
    for (const int vm : in_order(host)) {
      if (!loads_.above(host, rules_.high) || moves == rules_.moves_max) return true;
      const int target = nearest(vm, host, [&](int h) { return console_.migration_refusal(vm, h) == Refusal::kNone; });
      if (target == kNever) {
        lacking = true;
        continue;
      }
      move(vm, host, target);
      ++moves;
    }
    return !lacking || !loads_.above(host, rules_.high);
  }

  /// The one that does most for its power.
  void wake_one() {
    int best = kNever;
    for (int h = 0; h < host_count(); ++h) {
      if (console_.host(h).power == Power::kAsleep && (best == kNever || efficiency(h) > efficiency(best))) best = h;
    }
    if (best != kNever) console_.wake(best);
  }

  void empty_one() {
    std::vector<int> hosts;
    for (int h = 0; h < host_count(); ++h) {
      if (on(h) && !console_.host(h).vms.empty() && loads_.cpu_share(h) < rules_.empty_below) hosts.push_back(h);
    }
    std::stable_sort(hosts.begin(), hosts.end(),
                     [&](int a, int b) { return loads_.cpu_share(a) < loads_.cpu_share(b); });
    for (const int host : hosts) {
      if (empty(host) || rules_.least_only) return;
    }
  }

  /// Hosts that nothing is on or on its way to, but for the last that is on.
  void sleep_empty() {
    int on_count = 0;
    for (int h = 0; h < host_count(); ++h) on_count += on(h) ? 1 : 0;
    for (int h = 0; h < host_count() && on_count > 1; ++h) {
      const HostState& host = console_.host(h);
      if (on(h) && host.vms.empty() && host.incoming.empty() && host.helped.empty() && console_.sleep(h)) --on_count;
    }
  }

 private:
  int host_count() const { return static_cast<int>(console_.host_count()); }
  bool on(int host) const { return console_.host(host).power == Power::kOn; }
  double efficiency(int host) const { return console_.host_class(host).cpu_mhz() / console_.host_class(host).peak_w; }

  /// Those of its VMs that may leave.
  std::vector<int> in_order(int host) const {
    std::vector<int> vms;
    for (const int vm : console_.host(host).vms) {
      if (movable(console_, vm, rules_.cooldown_ticks)) vms.push_back(vm);
    }
    std::stable_sort(vms.begin(), vms.end(), [&](int a, int b) {
      return rules_.largest_first ? loads_.vm_cpu_mhz(a) > loads_.vm_cpu_mhz(b)
                                  : console_.vm(a).resident_mib < console_.vm(b).resident_mib;
    });
    return vms;
  }

  /// Where a VM fits best of the hosts that are on and allowed; of equals the one that does most for its power, then
  /// the first. kNever: nowhere.
  template <typename Allowed>
  int nearest(int vm, int from, const Allowed& allowed) const {
    int best = kNever;
    std::pair<double, double> least;
    for (int h = 0; h < host_count(); ++h) {
      if (h == from || !on(h) || !loads_.fits(vm, h, rules_.target) || !allowed(h)) continue;
      const double added = rules_.near_with_vm ? loads_.vm_cpu_mhz(vm) / console_.host_class(h).cpu_mhz() : 0;
      const std::pair distance{std::abs(loads_.cpu_share(h) + added - rules_.best_load), -efficiency(h)};
      if (best != kNever && distance >= least) continue;
      best = h;
      least = distance;
    }
    return best;
  }

  void move(int vm, int from, int to) {
    console_.migrate(vm, to);
    loads_.move(vm, from, to);
  }

  /// Begins as many moves as the links allow, if all VMs find a place; false: they do not, and none is begun.
  bool empty(int host) {
    const HostState& state = console_.host(host);
    const std::vector<int> vms = in_order(host);
    if (!state.incoming.empty() || vms.size() + static_cast<std::size_t>(state.outgoing) != state.vms.size()) {
      return false;
    }
    const HostLoads before = loads_;
    std::vector<std::pair<int, int>> plan;
    for (const int vm : vms) {
      const int target =
          nearest(vm, host, [&](int h) { return !console_.host(h).vms.empty() && console_.anti_affinity_kept(vm, h); });
      if (target == kNever) break;
      plan.emplace_back(vm, target);
      loads_.move(vm, host, target);
    }
    loads_ = before;
    if (plan.size() < vms.size()) return false;
    for (const auto& [vm, target] : plan) {
      if (console_.migration_refusal(vm, target) == Refusal::kNone) move(vm, host, target);
    }
    return true;
  }

  Console& console_;
  const PackingRules& rules_;
  HostLoads loads_;
};

}  // namespace

PackingRules mfped_rules() {
  return {};
}

PackingRules peak_day_rules() {
  PackingRules rules;
  rules.peak_ticks = kDayTicks;
  rules.every_ticks = 12;
  rules.high = {1, 0.9};
  rules.target = {1, 0.85};
  rules.best_load = 1;
  rules.largest_first = true;
  return rules;
}

void PackingPolicy::decide(Console& console) {
  if (console.tick() % rules_.every_ticks != 0) return;
  Step step(console, rules_);
  bool lacking = false;
  for (int h = 0; h < static_cast<int>(console.host_count()); ++h) {
    if (console.host(h).power == Power::kOn && !step.relieve(h)) lacking = true;
  }
  if (lacking) return step.wake_one();
  step.empty_one();
  step.sleep_empty();
}

}  // namespace proteus::simulate::kvm
