#include <algorithm>
#include <cmath>

#include "controller/ham/strategies/strategy.h"

namespace proteus::ham {
namespace {

constexpr double kCoresMin = 0.05;
constexpr std::int64_t kMemoryStepBytes = 16 * kMiB;

std::int64_t round_up(std::int64_t value, std::int64_t step) {
  return (value + step - 1) / step * step;
}

void add_if_more(const PlanState& plan, std::size_t vm, const Allocation& allocation, std::vector<Change>& out) {
  const Placement& now = plan.placement(vm);
  if (allocation.cpu_limit_cores() <= now.allocation.cpu_limit_cores() + 1e-9) return;
  for (const Change& other : out) {
    if (other.vm == vm && other.to.host == now.host && other.to.allocation == allocation) return;
  }
  out.push_back({vm, now.with(allocation)});
}

}  // namespace

Allocation with_cores(const VmModel& vm, Allocation allocation, double cores, double host_cores) {
  const int vcpus_most = std::max(allocation.vcpus, std::min(allocation.vcpus_max, vm.size.vcpus_max));
  // More than the host has would be more vCPUs that share the same.
  cores = std::min(cores, std::max(host_cores, kCoresMin));
  cores = std::clamp(cores, std::max(kCoresMin, vm.size.cpu_cores_min), std::max(kCoresMin, vm.size.cpu_cores_max));
  allocation.vcpus = std::clamp(static_cast<int>(std::ceil(cores - 1e-9)), allocation.vcpus, vcpus_most);
  if (allocation.cpu_quota_us < 0 || allocation.cpu_period_us < 1000) return allocation;
  const std::int64_t period = allocation.cpu_period_us;
  const std::int64_t step = std::max<std::int64_t>(1, period / 20);
  const auto quota_for = [&](double total) { return total / allocation.vcpus * static_cast<double>(period); };
  const auto exact = static_cast<std::int64_t>(std::ceil(quota_for(cores) - 1e-6));
  // Rounding up must not cross the operator's bound, nor what the host has.
  const double bound = std::min(vm.size.cpu_cores_max, std::max(host_cores, kCoresMin));
  const auto most = static_cast<std::int64_t>(std::floor(quota_for(std::min(bound, 1.0 * allocation.vcpus)) + 1e-6));
  const std::int64_t quota = std::min(round_up(exact, step), std::max<std::int64_t>(most, 1));
  // The share of a vCPU never shrinks here: whichever of the two orders comes first, the VM only gains.
  allocation.cpu_quota_us = std::max(allocation.cpu_quota_us, std::clamp<std::int64_t>(quota, 1000, period));
  return allocation;
}

bool wants_cpu(const PlanState& plan, std::size_t vm) {
  return plan.model().vms[vm].demand->cpu_max.p99 > plan.placement(vm).allocation.cpu_limit_cores();
}

void propose_cpu_raise(const PlanState& plan, std::size_t v, std::vector<Change>& out) {
  if (!wants_cpu(plan, v)) return;
  const VmModel& vm = plan.model().vms[v];
  const Placement& now = plan.placement(v);
  const forecast::Quantiles& need = vm.demand->cpu_max;
  const double capacity = plan.model().hosts[now.host].capacity_cores;
  // In steps worth an action: a load that rises for minutes must not call for one every few seconds.
  const double step = now.allocation.cpu_limit_cores() * kRaiseFactorMin;
  add_if_more(plan, v, with_cores(vm, now.allocation, std::max(need.p99 * kRaiseMargin, step), capacity), out);
  add_if_more(plan, v, with_cores(vm, now.allocation, std::max(need.p90 * kRaiseMargin, step), capacity), out);
  // A host without room for all of it may still have some: what fills it, what leaves its headroom, and, if that is a
  // step worth an action, half of that.
  if (now.allocation.cpu_quota_us < 0 || now.allocation.cpu_period_us < 1000) return;
  const double room = capacity - plan.cpu_peak_cores(now.host);
  const double kept = plan.policy().limits.cpu_headroom * capacity;
  const double half = (room - kept) / 2 >= step - now.allocation.cpu_limit_cores() ? (room - kept) / 2 : 0;
  for (const double some : {room, room - kept, half}) {
    if (some <= 0) return;
    Allocation partial = now.allocation;
    const double cores = std::min(now.allocation.cpu_limit_cores() + some, vm.size.cpu_cores_max);
    const auto period = static_cast<double>(partial.cpu_period_us);
    partial.cpu_quota_us =
        std::min(partial.cpu_period_us, static_cast<std::int64_t>(std::floor(cores / partial.vcpus * period)));
    // Less than a twentieth of a vCPU is not worth an action.
    if (partial.cpu_quota_us - now.allocation.cpu_quota_us < partial.cpu_period_us / 20) return;
    add_if_more(plan, v, partial, out);
  }
}

void propose_memory_raise(const PlanState& plan, std::size_t v, std::vector<Change>& out) {
  const VmModel& vm = plan.model().vms[v];
  const Placement& now = plan.placement(v);
  if (!vm.demand->memory_known) return;
  const auto memory = static_cast<double>(now.allocation.memory_bytes);
  if (vm.demand->memory_max.p99 * (1 + kMemorySpare) <= memory) return;
  Allocation allocation = now.allocation;
  const auto wanted =
      round_up(static_cast<std::int64_t>(vm.demand->memory_max.p99 * (1 + 2 * kMemorySpare)), kMemoryStepBytes);
  allocation.memory_bytes = std::min({wanted, allocation.memory_max_bytes, vm.size.memory_bytes_max});
  if (allocation.memory_bytes > now.allocation.memory_bytes) out.push_back({v, now.with(allocation)});
}

void propose_cpu_lower(const PlanState& plan, std::size_t v, std::vector<Change>& out) {
  const VmModel& vm = plan.model().vms[v];
  const Placement& now = plan.placement(v);
  const double limit = now.allocation.cpu_limit_cores();
  const double enough = std::max({vm.demand->cpu_max.p99 * kRaiseMargin, kCoresMin, vm.size.cpu_cores_min});
  if (limit <= kLowerFactor * enough) return;
  if (!vm.state->forecasts.contains(forecast::Resource::kCpu) || vm.demand->model == "current demand") return;
  const double target = std::max(enough, limit / kLowerFactor);
  Allocation allocation = now.allocation;
  if (!vm.size.rule.empty()) {
    // As many as give the target at the present share of a vCPU, so that the share need not rise.
    const double cores_per_vcpu = limit / allocation.vcpus;
    allocation.vcpus = std::clamp(static_cast<int>(std::ceil(target / cores_per_vcpu - 1e-9)),
                                  std::min(std::max(1, vm.size.vcpus_min), allocation.vcpus), allocation.vcpus);
  }
  if (allocation.cpu_quota_us >= 0 && allocation.cpu_period_us >= 1000) {
    const std::int64_t step = std::max<std::int64_t>(1, allocation.cpu_period_us / 20);
    const auto quota =
        static_cast<std::int64_t>(std::ceil(target / allocation.vcpus * static_cast<double>(allocation.cpu_period_us)));
    allocation.cpu_quota_us = std::min(allocation.cpu_quota_us, std::max<std::int64_t>(round_up(quota, step), 1000));
  }
  if (allocation.cpu_limit_cores() < limit - 1e-9) out.push_back({v, now.with(allocation)});
}

void propose_memory_lower(const PlanState& plan, std::size_t v, std::vector<Change>& out) {
  const VmModel& vm = plan.model().vms[v];
  const Placement& now = plan.placement(v);
  if (!vm.demand->memory_known) return;
  const double enough = vm.demand->memory_max.p99 * (1 + 2 * kMemorySpare);
  const auto memory = static_cast<double>(now.allocation.memory_bytes);
  if (memory <= 1.5 * enough) return;
  Allocation allocation = now.allocation;
  const auto target = round_up(static_cast<std::int64_t>(std::max(enough, memory / kLowerFactor)), kMemoryStepBytes);
  allocation.memory_bytes = std::max({target, vm.size.memory_bytes_min, 64 * kMiB});
  if (allocation.memory_bytes < now.allocation.memory_bytes) out.push_back({v, now.with(allocation)});
}

}  // namespace proteus::ham
