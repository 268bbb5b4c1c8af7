#include "controller/ham/search/targets.h"

#include <algorithm>

namespace proteus::ham {
namespace {

constexpr double kNoTarget = -1;

}  // namespace

HostKind kind_of(const HostModel& host) {
  return {host.capacity_cores, host.state->core_speed, host.memory_bytes, host.idle_watts};
}

Targets::Targets(const Workspace& workspace) : workspace_(workspace), use_(workspace.model.hosts.size(), kNoTarget) {
  if (workspace.thorough) return;
  sort_by_kind();
  for (std::size_t h = 0; h < use_.size(); ++h) {
    if (!may_take(h)) continue;
    ByUse& group = group_of(h);
    if (workspace.model.hosts[h].state->asleep && group.size() == kTargetsMax) continue;
    use_[h] = use_of(h);
    group.emplace(use_[h], h);
  }
}

bool Targets::may_take(std::size_t h) const {
  const ClusterModel& model = workspace_.model;
  const HostState& host = *model.hosts[h].state;
  const bool busy = model.policy.limits.settle_hosts && model.hosts[h].migrations_running > 0;
  if (host.maintenance || busy || model.hosts[h].capacity_cores <= 0) return false;
  return host.asleep ? model.policy.strategies.consolidate : host.fresh && host.commandable;
}

void Targets::sort_by_kind() {
  std::vector<HostKind> kinds;
  for (const HostModel& host : workspace_.model.hosts) {
    const HostKind kind = kind_of(host);
    const auto found = std::find(kinds.begin(), kinds.end(), kind);
    kind_.push_back(static_cast<std::size_t>(found - kinds.begin()));
    if (found == kinds.end()) kinds.push_back(kind);
    if (kinds.size() > kKindsMax) break;
  }
  if (kinds.size() > kKindsMax) {
    kinds.resize(1);
    kind_.assign(use_.size(), 0);
  }
  for (std::vector<ByUse>& groups : by_use_) groups.resize(kinds.size());
}

Targets::ByUse& Targets::group_of(std::size_t h) {
  return by_use_[workspace_.model.hosts[h].state->asleep ? 1 : 0][kind_[h]];
}

double Targets::use_of(std::size_t h) const {
  const HostModel& host = workspace_.model.hosts[h];
  const double cpu = workspace_.plan.cpu_peak_cores(h) / host.capacity_cores;
  const double memory = static_cast<double>(workspace_.plan.memory_committed_bytes(h)) /
                        static_cast<double>(std::max<std::int64_t>(1, host.memory_bytes));
  return std::max(cpu, memory);
}

void Targets::update(std::size_t h) {
  if (use_[h] == kNoTarget) return;
  ByUse& group = group_of(h);
  group.erase({use_[h], h});
  use_[h] = use_of(h);
  group.emplace(use_[h], h);
}

std::vector<std::size_t> Targets::partners(std::size_t v) const {
  std::vector<std::size_t> hosts;
  const ClusterModel& model = workspace_.model;
  if (workspace_.thorough) return hosts;
  for (const std::uint32_t rule : model.vms[v].affinity) {
    if (model.policy.affinity[rule].apart) continue;
    for (const std::size_t other : model.rule_vms[rule]) {
      const std::size_t host = workspace_.plan.placement(other).host;
      if (other != v && hosts.size() < kTargetsMax && std::find(hosts.begin(), hosts.end(), host) == hosts.end()) {
        hosts.push_back(host);
      }
    }
  }
  return hosts;
}

}  // namespace proteus::ham
