#include "controller/simulate/kvm/policies/helper_policy.h"

#include <algorithm>

#include "controller/simulate/kvm/metrics.h"

namespace proteus::simulate::kvm {
namespace {

constexpr double kTick_h = kTick_s / 3600.0;
constexpr double kTicksAhead = 12;   ///< over which a helper has to pay
constexpr double kFade = 1.0 / 6;    ///< weight of the newest tick
constexpr double kClear = 2;         ///< times its price is what it has to save
constexpr double kIdle = 0.5;        ///< times its price; one that saves less is ended
constexpr double kShare = 0.5;       ///< of a VM's work, what a helper does at most
constexpr double kCost = 1.1;        ///< MHz for each MHz of work
constexpr double kCpuMost = 0.7;     ///< of its host, with it
constexpr double kMemoryMost = 0.9;  ///< likewise

double paid(double performance) {
  return std::max(0.0, 1 - performance - kLossFree);
}

double wait_of(const Console& console, int host) {
  const std::vector<HostTick>& hosts = console.last().hosts;
  return hosts.empty() ? 0 : hosts[static_cast<std::size_t>(host)].wait;
}

double work_of(const Console& console, int vm, int host) {
  return std::min(kShare * console.newest(vm, Series::kCpu), console.host_class(host).core_mhz / kCost);
}

}  // namespace

/// Of the last tick: what a helper did save, or one on the best host would have.
double HelperPolicy::saving(const Console& console, int v) const {
  const VmState& vm = console.vm(v);
  const double cpu = console.newest(v, Series::kCpu);
  if (console.last().vms.empty() || cpu <= 0 || vm.down(console.tick())) return 0;
  const std::optional<int> host = vm.helper == kNever ? best_host(console, v) : vm.helper;
  if (!host) return 0;
  const double work = work_of(console, v, *host);
  const double most = console.vcpus(v) * console.host_class(vm.host).core_mhz;
  const HostTick& home = console.last().hosts[static_cast<std::size_t>(vm.host)];
  // Of a host that is asked for more than it has, all are taken to get the same share.
  const double scarce = home.demand_mhz > 0 ? std::min(1.0, home.cpu_mhz / home.demand_mhz) : 1;
  const auto alone = [&](double wanted) { return std::min(wanted, most) / cpu * scarce * (1 - home.wait); };
  const double with = alone(cpu - work) + work / cpu * (1 - wait_of(console, *host));
  const HostClass& there = console.host_class(*host);
  const double more_w = (kCost - 1) * work / there.cpu_mhz() * (there.peak_w - there.idle_w);
  return kLossPrice * console.value(v) * kTick_h * (paid(alone(cpu)) - paid(with)) -
         more_w / 1000 * kTick_h * kEnergyPrice_eur_kwh;
}

std::optional<int> HelperPolicy::best_host(const Console& console, int v) const {
  std::optional<int> best;
  double least = 0;
  for (int h = 0; h < static_cast<int>(console.host_count()); ++h) {
    const HostState& host = console.host(h);
    if (host.power != Power::kOn || h == console.vm(v).host || host.vms.empty() || console.last().hosts.empty())
      continue;
    const HostClass& kind = console.host_class(h);
    const HostTick& last = console.last().hosts[static_cast<std::size_t>(h)];
    const double cpu = (last.demand_mhz + last.overhead_mhz + kCost * work_of(console, v, h)) / kind.cpu_mhz();
    if (cpu > kCpuMost || host.used_mib + kHelperMemory_mib + kVmOverhead_mib > kMemoryMost * kind.memory_mib) continue;
    const double wait = last.wait + 1e-3 * cpu;  // the less used of two on which nobody waits
    if (best && wait >= least) continue;
    best = h;
    least = wait;
  }
  return best;
}

void HelperPolicy::learn(const Console& console) {
  saving_.resize(console.vm_count());
  for (std::size_t v = 0; v < saving_.size(); ++v) {
    const int vm = static_cast<int>(v);
    if (!console.vm(vm).present || !console.scalable(vm)) {
      saving_[v] = 0;
    } else {
      saving_[v] += kFade * (saving(console, vm) - saving_[v]);
    }
  }
}

void HelperPolicy::decide(Console& console) {
  learn(console);
  for (std::size_t v = 0; v < saving_.size(); ++v) {
    const int vm = static_cast<int>(v);
    const int host = console.vm(vm).helper;
    if (host == kNever) continue;
    // One that is the last on its host would keep that from sleeping.
    const bool idle = saving_[v] * kTicksAhead < kIdle * kHelperPrice_eur;
    if (idle || console.host(host).vms.empty()) console.end_helper(vm);
  }
  policy_->decide(console);
  for (std::size_t v = 0; v < saving_.size(); ++v) {
    const int vm = static_cast<int>(v);
    if (console.vm(vm).helper != kNever || saving_[v] * kTicksAhead <= kClear * kHelperPrice_eur) continue;
    if (const std::optional<int> host = best_host(console, vm)) console.start_helper(vm, *host);
  }
}

}  // namespace proteus::simulate::kvm
