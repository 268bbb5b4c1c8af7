#include "controller/simulate/kvm/policies/host_loads.h"

namespace proteus::simulate::kvm {

HostLoads::HostLoads(const Console& console) : console_(console), loads_(console.host_count()) {
  for (std::size_t v = 0; v < console_.vm_count(); ++v) {
    const int vm = static_cast<int>(v);
    const VmState& state = console_.vm(vm);
    if (state.present) add(state.migrating() ? state.target : state.host, vm, 1);
  }
}

bool HostLoads::fits(int vm, int host, double cpu_share_max, double memory_share_max) const {
  const HostClass& host_class = console_.host_class(host);
  return load(host).cpu_mhz + console_.newest(vm, Series::kCpu) <= cpu_share_max * host_class.cpu_mhz() &&
         load(host).memory_mib + console_.vm(vm).resident_mib + kVmOverhead_mib <=
             memory_share_max * host_class.memory_mib;
}

void HostLoads::move(int vm, int from, int to) {
  add(from, vm, -1);
  add(to, vm, 1);
}

void HostLoads::add(int host, int vm, double sign) {
  Load& load = loads_[static_cast<std::size_t>(host)];
  load.cpu_mhz += sign * console_.newest(vm, Series::kCpu);
  load.memory_mib += sign * (console_.vm(vm).resident_mib + kVmOverhead_mib);
}

}  // namespace proteus::simulate::kvm
