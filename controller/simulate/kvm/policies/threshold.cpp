#include "controller/simulate/kvm/policies/threshold.h"

#include <algorithm>

#include "controller/simulate/kvm/policies/host_loads.h"

namespace proteus::simulate::kvm {
namespace {

constexpr HostShares kHigh{0.8, 0.9};
constexpr HostShares kTarget{0.7, 0.85};
constexpr int kCooldownTicks = 6;

class Step {
 public:
  explicit Step(Console& console) : console_(console), loads_(console, peak_cpu(console, 1)) {}

  void relieve(int host) {
    if (!loads_.above(host, kHigh)) return;
    const bool cpu_case = loads_.cpu_share(host) > kHigh.cpu;
    for (const int vm : candidates(host, cpu_case)) {
      for (const int target : targets(host, cpu_case)) {
        if (!loads_.fits(vm, target, kTarget) || console_.migration_refusal(vm, target) != Refusal::kNone) continue;
        console_.migrate(vm, target);
        loads_.move(vm, host, target);
        return;
      }
    }
  }

 private:
  std::vector<int> candidates(int host, bool by_cpu) const {
    std::vector<int> vms;
    for (const int vm : console_.host(host).vms) {
      if (movable(console_, vm, kCooldownTicks)) vms.push_back(vm);
    }
    std::stable_sort(vms.begin(), vms.end(), [&](int a, int b) {
      return by_cpu ? loads_.vm_cpu_mhz(a) > loads_.vm_cpu_mhz(b)
                    : console_.vm(a).resident_mib > console_.vm(b).resident_mib;
    });
    return vms;
  }

  std::vector<int> targets(int host, bool by_cpu) const {
    std::vector<int> hosts;
    for (std::size_t h = 0; h < console_.host_count(); ++h) {
      if (static_cast<int>(h) != host && console_.host(static_cast<int>(h)).power == Power::kOn) {
        hosts.push_back(static_cast<int>(h));
      }
    }
    std::stable_sort(hosts.begin(), hosts.end(), [&](int a, int b) {
      return by_cpu ? loads_.cpu_share(a) < loads_.cpu_share(b) : loads_.memory_share(a) < loads_.memory_share(b);
    });
    return hosts;
  }

  Console& console_;
  HostLoads loads_;
};

}  // namespace

void ThresholdPolicy::decide(Console& console) {
  Step step(console);
  for (std::size_t h = 0; h < console.host_count(); ++h) {
    if (console.host(static_cast<int>(h)).power == Power::kOn) step.relieve(static_cast<int>(h));
  }
}

}  // namespace proteus::simulate::kvm
