#include "controller/simulate/kvm/policies/mfped.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "controller/simulate/kvm/policies/host_loads.h"

namespace proteus::simulate::kvm {
namespace {

constexpr double kCpuHigh = 0.8;
constexpr double kMemoryHigh = 0.9;
constexpr double kCpuWanted = 0.6;

class Step {
 public:
  explicit Step(Console& console)
      : console_(console), loads_(console), hosts_(static_cast<int>(console.host_count())) {}

  /// False: no host that is on can take a VM that should leave.
  bool relieve(int host) {
    if (!overloaded(host)) return true;
    std::vector<int> vms = console_.host(host).vms;
    std::stable_sort(vms.begin(), vms.end(),
                     [&](int a, int b) { return console_.vm(a).resident_mib < console_.vm(b).resident_mib; });
    for (const int vm : vms) {
      if (!overloaded(host)) return true;
      if (console_.pinned(vm) || console_.vm(vm).migrating() || console_.vm(vm).down(console_.tick())) continue;
      const int target = place(vm, host, {});
      if (target == kNever) return false;
      begin(vm, host, target);
    }
    return true;
  }

  void wake_one() {
    for (int h = 0; h < hosts_; ++h) {
      if (console_.host(h).power == Power::kAsleep && console_.wake(h)) return;
    }
  }

  /// The least used first; no more than one a step.
  void empty_one() {
    std::vector<int> hosts;
    for (int h = 0; h < hosts_; ++h) {
      if (console_.host(h).power == Power::kOn && !console_.host(h).vms.empty() && console_.host(h).migrations() == 0) {
        hosts.push_back(h);
      }
    }
    std::stable_sort(hosts.begin(), hosts.end(),
                     [&](int a, int b) { return loads_.cpu_share(a) < loads_.cpu_share(b); });
    for (const int h : hosts) {
      if (empty(h)) return;
    }
  }

  void sleep_empty() {
    for (int h = 0; h < hosts_; ++h) {
      const HostState& host = console_.host(h);
      if (host.power == Power::kOn && host.vms.empty() && host.incoming.empty()) console_.sleep(h);
    }
  }

 private:
  bool overloaded(int host) const {
    return loads_.cpu_share(host) > kCpuHigh || loads_.memory_share(host) > kMemoryHigh;
  }

  /// The host nearest to the wanted use that can take it; kNever: none. avoided: hosts that are not to be filled.
  int place(int vm, int from, const std::vector<int>& avoided) const {
    int best = kNever;
    double nearest = 0;
    for (int h = 0; h < hosts_; ++h) {
      if (h == from || std::find(avoided.begin(), avoided.end(), h) != avoided.end()) continue;
      if (!loads_.fits(vm, h, kCpuHigh, kMemoryHigh)) continue;
      if (console_.migration_refusal(vm, h) != Refusal::kNone) continue;
      const double distance = std::abs(loads_.cpu_share(h) - kCpuWanted);
      if (best == kNever || distance < nearest) {
        best = h;
        nearest = distance;
      }
    }
    return best;
  }

  void begin(int vm, int from, int target) {
    if (console_.migrate(vm, target)) loads_.move(vm, from, target);
  }

  /// As many VMs as may leave at once, if all of them fit elsewhere.
  bool empty(int host) {
    const HostLoads before = loads_;
    std::vector<std::pair<int, int>> moves;
    std::vector<int> empty_hosts;
    for (int h = 0; h < hosts_; ++h) {
      if (console_.host(h).vms.empty()) empty_hosts.push_back(h);
    }
    for (const int vm : console_.host(host).vms) {
      const int target = place(vm, host, empty_hosts);
      if (target == kNever) break;
      loads_.move(vm, host, target);
      moves.emplace_back(vm, target);
    }
    const bool all = moves.size() == console_.host(host).vms.size();
    loads_.restore(before);
    if (!all) return false;
    for (const auto& [vm, target] : moves) begin(vm, host, target);
    return true;
  }

  Console& console_;
  HostLoads loads_;
  int hosts_;
};

}  // namespace

void MfpedPolicy::decide(Console& console) {
  Step step(console);
  bool all_placed = true;
  for (int h = 0; h < static_cast<int>(console.host_count()); ++h) {
    if (console.host(h).power == Power::kOn && !step.relieve(h)) all_placed = false;
  }
  if (all_placed) {
    step.empty_one();
    step.sleep_empty();
  } else {
    step.wake_one();
  }
}

}  // namespace proteus::simulate::kvm
