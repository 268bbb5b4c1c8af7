#include "controller/simulate/kvm/policies/threshold.h"

#include <algorithm>

namespace proteus::simulate::kvm {
namespace {

constexpr double kCpuHigh = 0.8;
constexpr double kCpuTarget = 0.7;
constexpr double kMemoryHigh = 0.9;
constexpr double kMemoryTarget = 0.85;
constexpr int kCooldownTicks = 6;

/// What a host has to carry once the migrations under way have ended.
struct Load {
  double cpu_mhz = 0;
  double memory_mib = 0;
};

class Step {
 public:
  explicit Step(Console& console) : console_(console), loads_(console.host_count()) {
    for (std::size_t v = 0; v < console_.vm_count(); ++v) {
      const int vm = static_cast<int>(v);
      const VmState& state = console_.vm(vm);
      if (!state.present) continue;
      add(state.migrating() ? state.target : state.host, vm, 1);
    }
  }

  void relieve(int host) {
    const bool cpu_case = cpu_share(host) > kCpuHigh;
    if (!cpu_case && memory_share(host) <= kMemoryHigh) return;
    for (const int vm : candidates(host, cpu_case)) {
      for (const int target : targets(host, cpu_case)) {
        const HostClass& host_class = console_.host_class(target);
        const Load& load = loads_[static_cast<std::size_t>(target)];
        const bool fits =
            load.cpu_mhz + console_.newest(vm, Series::kCpu) <= kCpuTarget * host_class.cpu_mhz() &&
            load.memory_mib + console_.vm(vm).resident_mib + kVmOverhead_mib <= kMemoryTarget * host_class.memory_mib;
        if (!fits || console_.migration_refusal(vm, target) != Refusal::kNone) continue;
        console_.migrate(vm, target);
        add(host, vm, -1);
        add(target, vm, 1);
        return;
      }
    }
  }

 private:
  void add(int host, int vm, double sign) {
    Load& load = loads_[static_cast<std::size_t>(host)];
    load.cpu_mhz += sign * console_.newest(vm, Series::kCpu);
    load.memory_mib += sign * (console_.vm(vm).resident_mib + kVmOverhead_mib);
  }
  double cpu_share(int host) const {
    return loads_[static_cast<std::size_t>(host)].cpu_mhz / console_.host_class(host).cpu_mhz();
  }
  double memory_share(int host) const {
    return loads_[static_cast<std::size_t>(host)].memory_mib / console_.host_class(host).memory_mib;
  }

  std::vector<int> candidates(int host, bool by_cpu) const {
    std::vector<int> vms;
    for (const int vm : console_.host(host).vms) {
      const VmState& state = console_.vm(vm);
      const bool rested = state.moved_at == kNever || console_.tick() - state.moved_at >= kCooldownTicks;
      if (!state.migrating() && !console_.pinned(vm) && !state.down(console_.tick()) && rested) vms.push_back(vm);
    }
    std::stable_sort(vms.begin(), vms.end(), [&](int a, int b) {
      return by_cpu ? console_.newest(a, Series::kCpu) > console_.newest(b, Series::kCpu)
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
      return by_cpu ? cpu_share(a) < cpu_share(b) : memory_share(a) < memory_share(b);
    });
    return hosts;
  }

  Console& console_;
  std::vector<Load> loads_;
};

}  // namespace

void ThresholdPolicy::decide(Console& console) {
  Step step(console);
  for (std::size_t h = 0; h < console.host_count(); ++h) {
    if (console.host(static_cast<int>(h)).power == Power::kOn) step.relieve(static_cast<int>(h));
  }
}

}  // namespace proteus::simulate::kvm
