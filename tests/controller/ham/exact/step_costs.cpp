#include "tests/controller/ham/exact/step_costs.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <map>

#include "controller/ham/rules/rule.h"
#include "controller/ham/score/service.h"

namespace proteus::ham {
namespace {

template <typename Visit>
void for_each(VmSet set, const Visit& visit) {
  for (; set != 0; set &= set - 1) visit(static_cast<std::size_t>(std::countr_zero(set)));
}

}  // namespace

StepCosts::StepCosts(const ClusterModel& model)
    : model_(model), home_(model.hosts.size()), idle_(model.hosts.size()), known_(model.hosts.size()) {
  assert(model.vms.size() <= 64 && model.service != nullptr && model.policy.limits.gain_min == 0);
  const PlanState start(model);
  const Limits& limits = model.policy.limits;
  for (std::size_t v = 0; v < model.vms.size(); ++v) {
    const VmModel& vm = model.vms[v];
    loads_.push_back(load_of(vm, vm.state->allocation));
    move_.push_back(vm.active ? start.move_price(v) : 0);
    if (!vm.active) continue;
    home_[vm.host] |= one(v);
    const Change somewhere{v, {vm.host == 0 ? model.hosts.size() - 1 : 0, vm.state->allocation}};
    if (vm.automation == Automation::kAutomatic && !refusal(start, somewhere, Rule::Scope::kVm, false)) {
      movable_ |= one(v);
    }
  }
  for (std::size_t h = 0; h < model.hosts.size(); ++h) {
    const HostState& host = *model.hosts[h].state;
    const bool takes_part = host.fresh && host.commandable && !host.maintenance;
    may_take_.push_back(static_cast<char>((takes_part || host.asleep) && !(host.emptying && home_[h] != 0)));
    const bool rests = host.woken_at && model.state.now - *host.woken_at < limits.awake_min;
    may_sleep_.push_back(static_cast<char>(takes_part && !rests && model.hosts[h].idle_watts > 0));
    idle_[h] = energy_cost(model.policy, model.hosts[h], 0);
  }
  for (std::size_t v = 0; v < model.vms.size(); ++v) {
    std::vector<double>& own = own_.emplace_back(model.hosts.size());
    if (!model.vms[v].active) continue;
    for (std::size_t h = 0; h < model.hosts.size(); ++h) own[h] = host(h, one(v)) - idle_[h];
  }
  const double payback = model.payback_hours();
  const double sleep_payback = std::max(payback, to_seconds(limits.sleep_payback) / 3600);
  spared_ = 1 - payback / sleep_payback;
  floor_ = limits.gain_floor / payback;
  emptying_floor_ = limits.emptying_floor / sleep_payback;
}

double StepCosts::host(std::size_t h, VmSet set) {
  if (set == 0) return 0;
  const auto [entry, added] = known_[h].try_emplace(set, 0);
  if (!added) return entry->second;
  ++priced_;
  Load load;
  std::vector<Guest> guests;
  for_each(set, [&](std::size_t v) {
    load.add(loads_[v], 1);
    guests.push_back({v});
  });
  HostScore score = score_host(model_.policy, model_.hosts[h], load);
  const ServicePrice service = model_.service->price(h, guests, {}, {}, model_.service->load_of(h, guests));
  score.slowdown = service.slowdown_per_hour;
  score.energy = energy_cost(model_.policy, model_.hosts[h], service.used);
  return entry->second = score.performance() + score.utilisation();
}

double StepCosts::stress(std::size_t h, VmSet set) {
  if (set == 0) return 0;
  double alone = idle_[h];
  for_each(set, [&](std::size_t v) { alone += own_[v][h]; });
  return host(h, set) - alone;
}

bool StepCosts::allowed(std::size_t h, VmSet set) const {
  const VmSet arriving = set & ~home_[h];
  if (arriving == 0) return true;
  const HostModel& host = model_.hosts[h];
  PeakLoad peak;
  std::int64_t committed = host.transit_memory_bytes;
  std::int64_t free = host.state->memory_available_bytes - host.transit_memory_bytes;
  for_each(set, [&](std::size_t v) {
    peak.add(loads_[v].peak, 1);
    committed += loads_[v].memory_bytes;
  });
  for_each(arriving, [&](std::size_t v) { free -= loads_[v].memory_bytes; });
  for_each(home_[h] & ~set, [&](std::size_t v) { free += model_.vms[v].state->memory_resident_bytes; });
  const double cores = peak.most() + host.state->cpu_overhead_cores + host.transit_cpu_cores;
  const auto memory = static_cast<std::int64_t>(static_cast<double>(host.memory_bytes) * (1 - host.memory_headroom));
  if (cores > host.capacity_cores * (1 - host.cpu_headroom) || committed > memory ||
      free < host.memory_bytes - memory) {
    return false;
  }
  for (std::size_t rule = 0; rule < model_.policy.affinity.size(); ++rule) {
    if (!model_.policy.affinity[rule].apart || !model_.policy.affinity[rule].hard) continue;
    VmSet group = 0;
    for (const std::size_t v : model_.rule_vms[rule]) group |= one(v);
    if ((group & arriving) != 0 && std::popcount(group & set) > 1) return false;
  }
  return true;
}

std::vector<VmSet> StepCosts::sets_of(const std::vector<std::size_t>& hosts) const {
  std::vector<VmSet> sets(this->hosts());
  for (std::size_t v = 0; v < hosts.size(); ++v) {
    if (model_.vms[v].active) sets[hosts[v]] |= one(v);
  }
  return sets;
}

double StepCosts::affinity(const std::vector<std::size_t>& hosts) const {
  double cost = 0;
  for (std::size_t rule = 0; rule < model_.policy.affinity.size(); ++rule) {
    const AffinityRule& affinity = model_.policy.affinity[rule];
    std::map<std::size_t, int> counts;
    int all = 0;
    int largest = 0;
    int apart = 0;
    for (const std::size_t v : model_.rule_vms[rule]) {
      const int count = ++counts[hosts[v]];
      ++all;
      largest = std::max(largest, count);
      apart += static_cast<int>(count > 1);
    }
    const int violations = affinity.apart ? apart : all - largest;
    cost += violations * (affinity.hard ? model_.policy.prices.rule_violation_per_hour : affinity.price_per_hour);
  }
  return cost;
}

double StepCosts::total(const std::vector<std::size_t>& hosts) {
  const std::vector<VmSet> sets = sets_of(hosts);
  double cost = bare_total(hosts);
  std::vector<char> paid(this->hosts());  // its step: emptied, or opened
  for (std::size_t v = 0; v < hosts.size(); ++v) {
    const std::size_t from = model_.vms[v].host;
    if (!model_.vms[v].active || hosts[v] == from) continue;
    const bool drained = sets[from] == 0 && may_sleep_[from] != 0;
    const bool opens = home_[hosts[v]] == 0;
    if (drained) cost += emptying_floor_ - spared_ * move_[v];
    if (!drained && !opens) cost += floor_;
    if (drained && paid[from]++ == 0) cost += floor_;
    if (opens && paid[hosts[v]]++ == 0) cost += floor_;
  }
  return cost;
}

double StepCosts::bare_total(const std::vector<std::size_t>& hosts) {
  const std::vector<VmSet> sets = sets_of(hosts);
  double cost = affinity(hosts);
  for (std::size_t h = 0; h < sets.size(); ++h) cost += host(h, sets[h]);
  for (std::size_t v = 0; v < hosts.size(); ++v) {
    if (model_.vms[v].active && hosts[v] != model_.vms[v].host) cost += move_[v];
  }
  return cost;
}

}  // namespace proteus::ham
