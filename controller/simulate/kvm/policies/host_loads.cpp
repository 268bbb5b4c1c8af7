#include "controller/simulate/kvm/policies/host_loads.h"

#include <algorithm>
#include <utility>

namespace proteus::simulate::kvm {

std::vector<double> peak_cpu(const Console& console, int ticks) {
  std::vector<double> cpu_mhz(console.vm_count());
  for (std::size_t v = 0; v < cpu_mhz.size(); ++v) {
    const int vm = static_cast<int>(v);
    if (!console.vm(vm).present) continue;
    for (int t = std::max(console.first_sample(vm), console.tick() - ticks); t < console.tick(); ++t) {
      cpu_mhz[v] = std::max(cpu_mhz[v], console.sample(vm, Series::kCpu, t));
    }
  }
  return cpu_mhz;
}

bool movable(const Console& console, int vm, int cooldown_ticks) {
  const VmState& state = console.vm(vm);
  const bool rested = state.moved_at == kNever || console.tick() - state.moved_at >= cooldown_ticks;
  return !state.migrating() && !console.pinned(vm) && !state.down(console.tick()) && rested;
}

HostLoads::HostLoads(const Console& console, std::vector<double> cpu_mhz)
    : console_(&console), cpu_mhz_(std::move(cpu_mhz)), loads_(console.host_count()) {
  for (std::size_t v = 0; v < console_->vm_count(); ++v) {
    const int vm = static_cast<int>(v);
    const VmState& state = console_->vm(vm);
    if (state.present) add(state.migrating() ? state.target : state.host, vm, 1);
  }
}

void HostLoads::add(int host, int vm, double sign) {
  Load& load = loads_[static_cast<std::size_t>(host)];
  load.cpu_mhz += sign * vm_cpu_mhz(vm);
  load.memory_mib += sign * vm_memory_mib(vm);
}

double HostLoads::cpu_share(int host) const {
  return loads_[static_cast<std::size_t>(host)].cpu_mhz / console_->host_class(host).cpu_mhz();
}

double HostLoads::memory_share(int host) const {
  return loads_[static_cast<std::size_t>(host)].memory_mib / console_->host_class(host).memory_mib;
}

bool HostLoads::above(int host, const HostShares& limits) const {
  return cpu_share(host) > limits.cpu || memory_share(host) > limits.memory;
}

bool HostLoads::fits(int vm, int host, const HostShares& limits) const {
  const Load& load = loads_[static_cast<std::size_t>(host)];
  const HostClass& host_class = console_->host_class(host);
  return load.cpu_mhz + vm_cpu_mhz(vm) <= limits.cpu * host_class.cpu_mhz() &&
         load.memory_mib + vm_memory_mib(vm) <= limits.memory * host_class.memory_mib;
}

void HostLoads::move(int vm, int from, int to) {
  add(from, vm, -1);
  add(to, vm, 1);
}

}  // namespace proteus::simulate::kvm
