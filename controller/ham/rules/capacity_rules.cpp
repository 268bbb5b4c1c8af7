#include <fmt/core.h>

#include "controller/ham/rules/rule.h"

namespace proteus::ham {
namespace {

double mib(std::int64_t bytes) {
  return static_cast<double>(bytes) / static_cast<double>(kMiB);
}

/// A value leaves its bounds, or goes further out: one that is outside already may still come nearer.
template <typename T>
bool leaves(T from, T to, T min, T max) {
  return (to > max && to > from) || (to < min && to < from);
}

std::optional<Refusal> check_memory_room(const PlanState& plan, std::size_t h, std::int64_t added, bool explain) {
  const HostModel& host = plan.model().hosts[h];
  const double share = 1 - host.memory_headroom;
  const auto allowed = static_cast<std::int64_t>(static_cast<double>(host.memory_bytes) * share);
  const std::int64_t committed = plan.memory_committed_bytes(h) + added;
  if (committed > allowed) {
    return Refusal{"headroom",
                   explain
                       ? fmt::format("{} would have promised {:.0f} MiB to its VMs, VMs in transit included; {:.0f} of "
                                     "its {:.0f} MiB are allowed",
                                     host_name(plan, h), mib(committed), mib(allowed), mib(host.memory_bytes))
                       : std::string()};
  }
  const std::int64_t free_after = plan.memory_free_bytes(h) - added;
  const std::int64_t reserve = host.memory_bytes - allowed;
  if (free_after < reserve) {
    return Refusal{"headroom",
                   explain ? fmt::format("{} would have {:.0f} MiB available, less than the {:.0f} MiB to be kept free",
                                         host_name(plan, h), mib(free_after), mib(reserve))
                           : std::string()};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Refusal> check_size(const PlanState& plan, const Change& change, bool explain) {
  const SizeBounds& bounds = plan.model().vms[change.vm].size;
  if (bounds.rule.empty()) return std::nullopt;
  const Allocation& from = plan.placement(change.vm).allocation;
  const Allocation& to = change.to.allocation;
  if (leaves(from.vcpus, to.vcpus, bounds.vcpus_min, bounds.vcpus_max)) {
    return Refusal{bounds.rule,
                   explain ? fmt::format("{} would have {} vCPUs, {} to {} are allowed", name_of(plan, change.vm),
                                         to.vcpus, bounds.vcpus_min, bounds.vcpus_max)
                           : std::string()};
  }
  // Quotas are whole microseconds per vCPU; the slack keeps a bound of exactly 0.6 cores reachable.
  constexpr double kSlackCores = 1e-6;
  if (leaves(from.cpu_limit_cores(), to.cpu_limit_cores(), bounds.cpu_cores_min - kSlackCores,
             bounds.cpu_cores_max + kSlackCores)) {
    return Refusal{bounds.rule, explain
                                    ? fmt::format("{} would be limited to {:.2f} cores, {:.2f} to {:.2f} are allowed",
                                                  name_of(plan, change.vm), to.cpu_limit_cores(), bounds.cpu_cores_min,
                                                  bounds.cpu_cores_max)
                                    : std::string()};
  }
  if (leaves(from.memory_bytes, to.memory_bytes, bounds.memory_bytes_min, bounds.memory_bytes_max)) {
    return Refusal{bounds.rule, explain ? fmt::format("{} would have {:.0f} MiB, {:.0f} to {:.0f} are allowed",
                                                      name_of(plan, change.vm), mib(to.memory_bytes),
                                                      mib(bounds.memory_bytes_min), mib(bounds.memory_bytes_max))
                                        : std::string()};
  }
  return std::nullopt;
}

std::optional<Refusal> check_helper_headroom(const PlanState& plan, const Change& change, bool explain) {
  if (!is_helper_change(plan, change) || change.to.helper == kNowhere) return std::nullopt;
  const std::size_t h = change.to.helper;
  const HostModel& host = plan.model().hosts[h];
  const double allowed = host.capacity_cores * (1 - host.cpu_headroom);
  const double peak = plan.cpu_peak_cores(h, change);
  // On its VM's own host it may take more off than it puts on.
  if (peak > allowed && peak > plan.cpu_peak_cores(h) + 1e-9) {
    return Refusal{"headroom", explain ? fmt::format("{}'s VMs would need {:.2f} cores (forecast p90) with the helper; "
                                                     "{:.2f} of its {:.2f} are allowed",
                                                     host_name(plan, h), peak, allowed, host.capacity_cores)
                                       : std::string()};
  }
  return check_memory_room(plan, h, plan.model().vms[change.vm].helper_rule->memory_bytes, explain);
}

std::optional<Refusal> check_headroom(const PlanState& plan, const Change& change, bool explain) {
  const std::size_t h = change.to.host;
  const HostModel& host = plan.model().hosts[h];
  const Allocation& from = plan.placement(change.vm).allocation;
  const Allocation& to = change.to.allocation;
  const bool moves = is_move(plan, change);
  if (moves || to.cpu_limit_cores() > from.cpu_limit_cores()) {
    // The headroom is what the VMs of a host grow into: closed to arrivals, open to a raise in place.
    const double allowed = host.capacity_cores * (1 - (moves ? host.cpu_headroom : 0));
    const double peak = plan.cpu_peak_cores(h, change);
    // A host beyond its headroom already may still serve a VM whose own demand does not grow by the change.
    if (peak > allowed && peak > plan.cpu_peak_cores(h) + 1e-9) {
      return Refusal{
          "headroom",
          explain ? fmt::format("{}'s VMs would need {:.2f} cores (forecast p90); {:.2f} of its {:.2f} are allowed",
                                host_name(plan, h), peak, allowed, host.capacity_cores)
                  : std::string()};
    }
  }
  const VmModel& vm = plan.model().vms[change.vm];
  const std::int64_t added = promised_bytes(vm, to) - (moves ? 0 : promised_bytes(vm, from));
  if (added > 0) return check_memory_room(plan, h, added, explain);
  return std::nullopt;
}

}  // namespace proteus::ham
