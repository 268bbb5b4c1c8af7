#include "controller/ham/score/plan_state.h"

#include <algorithm>
#include <cmath>

namespace proteus::ham {
namespace {

std::int64_t held_bytes(const VmState& vm) {
  return vm.memory_resident_bytes > 0 ? vm.memory_resident_bytes : vm.allocation.memory_bytes;
}

}  // namespace

PlanState::PlanState(const ClusterModel& model)
    : model_(&model),
      vm_versions_(model.vms.size()),
      host_versions_(model.hosts.size()),
      departures_(model.vms.size()),
      reshapes_(model.vms.size()),
      placements_(model.vms.size()),
      stops_(model.vms.size()),
      arrival_s_(model.vms.size()),
      doubts_(model.vms.size()),
      vm_loads_(model.vms.size()),
      vm_scores_(model.vms.size()),
      vm_one_off_(model.vms.size()),
      hosts_(model.hosts.size()),
      affinity_counts_(model.policy.affinity.size()) {
  for (std::size_t v = 0; v < model.vms.size(); ++v) {
    const VmModel& vm = model.vms[v];
    placements_[v] = {vm.host, vm.state->allocation, vm.helper_host};
    if (vm.helper_host != kNowhere) put_helper(v, kNowhere, vm.helper_host);
    if (!vm.active) continue;
    hosts_[vm.host].vms.push_back(v);
    vm_versions_[v] = vm.version;
    vm_loads_[v] = load_if(v, vm.state->allocation);
    vm_scores_[v] = score_if(v, vm.state->allocation);
    count_affinity(v, vm.host, 1);
  }
  for (std::size_t h = 0; h < hosts_.size(); ++h) {
    host_versions_[h] = model.hosts[h].version;
    recompute(h, false);
  }
}

bool PlanState::rebase(const ClusterModel& model) {
  if (model.service != nullptr || model.vms.size() != placements_.size() || model.hosts.size() != hosts_.size() ||
      model.policy.affinity.size() != affinity_counts_.size()) {
    return false;
  }
  for (std::size_t v = 0; v < placements_.size(); ++v) {
    const bool was_active = vm_versions_[v] != 0;
    if (model.vms[v].version == 0 || model.vms[v].active != was_active) return false;
    if (placements_[v].host != model.vms[v].host) return false;
    const bool has_helper = placements_[v].helper != kNowhere || model.vms[v].helper_host != kNowhere;
    if (has_helper && !was_active) return false;
  }
  model_ = &model;
  std::vector<bool> changed(hosts_.size());
  for (auto& counts : affinity_counts_) counts.clear();
  for (std::size_t v = 0; v < placements_.size(); ++v) {
    const VmModel& vm = model.vms[v];
    placements_[v].allocation = vm.state->allocation;
    if (!vm.active) continue;
    count_affinity(v, vm.host, 1);
    if (vm_versions_[v] == vm.version) continue;
    vm_versions_[v] = vm.version;
    for (const std::size_t helper : {placements_[v].helper, vm.helper_host}) {
      if (helper != kNowhere) changed[helper] = true;
    }
    put_helper(v, placements_[v].helper, vm.helper_host);
    placements_[v].helper = vm.helper_host;
    vm_loads_[v] = load_if(v, vm.state->allocation);
    vm_scores_[v] = score_if(v, vm.state->allocation);
    changed[vm.host] = true;
  }
  for (std::size_t h = 0; h < hosts_.size(); ++h) {
    if (!changed[h] && host_versions_[h] == model.hosts[h].version) continue;
    host_versions_[h] = model.hosts[h].version;
    recompute(h, false);
  }
  return true;
}

void PlanState::recompute(std::size_t h, bool same_vms) {
  // From the beginning each time: adding and subtracting for a whole search would let rounding pile up.
  HostPlan& host = hosts_[h];
  host.revision = ++revisions_;
  host.load = Load{};
  host.vm_performance = 0;
  for (const std::size_t v : host.vms) {
    host.load.add(vm_loads_[v], 1);
    host.vm_performance += vm_scores_[v].performance();
  }
  for (const std::size_t v : host.helpers) host.load.add(helper_loads_.at(v), 1);
  if (model_->service != nullptr && !same_vms) {
    list_guests(host);
    host.service_load = model_->service->load_of(h, host.guests);
    host.service = model_->service->price(h, host.guests, {}, {}, host.service_load);
  }
  host.score = score_of(h, host.load, host.service);
  host.peak_cores = host.load.peak.most();
}

HostScore PlanState::score_of(std::size_t h, const Load& load, const ServicePrice& service) const {
  HostScore score = score_host(policy(), model_->hosts[h], load);
  if (model_->service == nullptr || load.vms == 0) return score;
  score.slowdown = service.slowdown_per_hour;
  score.cpu_error += service.slowdown_error;
  score.energy = energy_cost(policy(), model_->hosts[h], service.used);
  return score;
}

HostScore PlanState::score_of(std::size_t h, const Load& load, std::span<const Guest> leaves,
                              std::span<const Guest> comes) const {
  if (model_->service == nullptr) return score_of(h, load, ServicePrice{});
  ServiceLoad service_load = hosts_[h].service_load;
  for (const Guest& guest : leaves) model_->service->add(service_load, h, guest, -1);
  for (const Guest& guest : comes) model_->service->add(service_load, h, guest, 1);
  return score_of(h, load, model_->service->price(h, hosts_[h].guests, leaves, comes, service_load));
}

void PlanState::count_affinity(std::size_t v, std::size_t host, int sign) {
  for (const std::uint32_t rule : model_->vms[v].affinity) {
    ZoneCount& count = affinity_counts_[rule][model_->zone(rule, host)];
    count.all += sign;
    // A host that is being emptied anchors nobody: its VMs may join each other elsewhere one by one.
    if (!model_->hosts[host].state->maintenance) count.staying += sign;
  }
}

int PlanState::violations(std::uint32_t rule) const {
  int sum = 0;
  int largest = 0;
  int apart = 0;
  for (const auto& [zone, count] : affinity_counts_[rule]) {
    apart += std::max(0, count.all - 1);
    sum += count.staying;
    largest = std::max(largest, count.staying);
  }
  return policy().affinity[rule].apart ? apart : sum - largest;
}

int PlanState::affinity_count(std::uint32_t rule, std::size_t host) const {
  const auto it = affinity_counts_[rule].find(model_->zone(rule, host));
  return it == affinity_counts_[rule].end() ? 0 : it->second.all;
}

int PlanState::affinity_change(std::uint32_t rule, std::size_t from, std::size_t to) const {
  const std::size_t from_zone = model_->zone(rule, from);
  const std::size_t to_zone = model_->zone(rule, to);
  const bool from_stays = !model_->hosts[from].state->maintenance;
  const bool to_stays = !model_->hosts[to].state->maintenance;
  if (from_zone == to_zone && from_stays == to_stays) return 0;
  if (policy().affinity[rule].apart) {
    if (from_zone == to_zone) return 0;
    return (affinity_count(rule, to) >= 1 ? 1 : 0) - (affinity_count(rule, from) > 1 ? 1 : 0);
  }
  int sum = 0;
  int largest = 0;
  int sum_after = 0;
  int largest_after = 0;
  bool to_seen = false;
  for (const auto& [zone, count] : affinity_counts_[rule]) {
    int after = count.staying;
    if (zone == from_zone && from_stays) --after;
    if (zone == to_zone && to_stays) ++after;
    to_seen = to_seen || zone == to_zone;
    sum += count.staying;
    largest = std::max(largest, count.staying);
    sum_after += after;
    largest_after = std::max(largest_after, after);
  }
  if (!to_seen && to_stays) {
    sum_after += 1;
    largest_after = std::max(largest_after, 1);
  }
  return (sum_after - largest_after) - (sum - largest);
}

double PlanState::rule_cost_change(std::size_t v, std::size_t from, std::size_t to, int& hard) const {
  const VmModel& vm = model_->vms[v];
  double soft_cost = 0;
  hard = 0;
  for (const std::uint32_t rule : vm.affinity) {
    const int change = affinity_change(rule, from, to);
    if (policy().affinity[rule].hard) {
      hard += change;
    } else {
      soft_cost += policy().affinity[rule].price_per_hour * change;
    }
  }
  hard += static_cast<int>(!model_->pins_allow(v, to)) - static_cast<int>(!model_->pins_allow(v, from));
  hard +=
      static_cast<int>(model_->hosts[to].state->maintenance) - static_cast<int>(model_->hosts[from].state->maintenance);
  return soft_cost;
}

void PlanState::leave(std::size_t h, std::size_t v, int sign) {
  HostPlan& host = hosts_[h];
  if (sign > 0) {
    host.left.push_back(v);
  } else {
    host.left.erase(std::find(host.left.begin(), host.left.end(), v));
  }
  host.left_by_s = 0;
  for (const std::size_t other : host.left) host.left_by_s = std::max(host.left_by_s, arrival_s_[other]);
}

/// What the VM's difference to the model means for room and budgets, put into the books or taken out.
void PlanState::book(std::size_t v, int sign) {
  const VmModel& vm = model_->vms[v];
  const Placement& now = placements_[v];
  if (now.helper != vm.helper_host && now.helper != kNowhere) {
    hosts_[now.helper].memory_arriving_bytes += sign * vm.helper_rule->memory_bytes;
  }
  if (now.host == vm.host) {
    hosts_[now.host].memory_growth_bytes +=
        sign * std::max<std::int64_t>(0, promised_bytes(vm, now.allocation) - promised_bytes(vm, vm.state->allocation));
    return;
  }
  migrations_planned_ += sign * migrations_of(v);
  hosts_[vm.host].migrations += sign;
  leave(vm.host, v, sign);
  for (const std::size_t stop : stops_[v]) {
    hosts_[stop].migrations += 2 * sign;
    leave(stop, v, sign);
  }
  hosts_[now.host].migrations += sign;
  hosts_[now.host].memory_arriving_bytes += sign * promised_bytes(vm, now.allocation);
  hosts_[vm.host].memory_leaving_bytes += sign * held_bytes(*vm.state);
}

void PlanState::place(std::size_t v, const Placement& to, std::vector<std::size_t> stops, double arrival_s) {
  const std::size_t from_host = placements_[v].host;
  const std::size_t from_helper = placements_[v].helper;
  const bool helped_anew = to.helper != from_helper;
  if (helped_anew) put_helper(v, from_helper, to.helper);
  if (helped_anew || !(placements_[v].allocation == to.allocation)) {
    vm_loads_[v] = load_if(v, to.allocation, to.helper);
    vm_scores_[v] = score_if(v, to.allocation, to.helper);
  }
  book(v, -1);
  placements_[v] = to;
  stops_[v] = std::move(stops);
  arrival_s_[v] = arrival_s;
  book(v, 1);
  if (to.host != from_host) {
    auto& left = hosts_[from_host].vms;
    left.erase(std::lower_bound(left.begin(), left.end(), v));
    auto& joined = hosts_[to.host].vms;
    joined.insert(std::lower_bound(joined.begin(), joined.end(), v), v);
    count_affinity(v, from_host, -1);
    count_affinity(v, to.host, 1);
    recompute(from_host, false);
  }
  // What the VMs get done does not hang on how much memory each may have.
  recompute(to.host, to.host == from_host && !helped_anew);
  if (!helped_anew) return;
  for (const std::size_t helper : {from_helper, to.helper}) {
    if (helper != kNowhere && helper != to.host) recompute(helper, false);
  }
}

PlanState::Saved PlanState::apply_saved(const Change& change) {
  const std::size_t v = change.vm;
  Saved saved{v, placements_[v], vm_one_off_[v], stops_[v], arrival_s_[v], doubts_[v]};
  std::vector<std::size_t> stops;
  if (change.to.host != model_->vms[v].host) stops = stops_[v];
  if (moves_on(change)) stops.push_back(placements_[v].host);
  double arrival = arrival_s_[v];
  if (change.to.host != placements_[v].host) arrival = change.to.host == model_->vms[v].host ? 0 : arrival_s(change);
  // Rules broken and mended are counted afresh by total(); only what is paid once, and the doubt, is kept.
  const Evaluation evaluation = evaluate(change);
  vm_one_off_[v].latency += evaluation.delta.latency;
  if (change.to.host != placements_[v].host) doubts_[v] = (moves_on(change) ? doubts_[v] : 0) + evaluation.doubt;
  if (change.to.helper != placements_[v].helper) doubts_[v] += evaluation.doubt;
  vm_one_off_[v].cost =
      one_off_terms(v, change.to).cost + static_cast<double>(stops.size()) * move_terms(v).cost + doubts_[v];
  place(v, change.to, std::move(stops), arrival);
  return saved;
}

void PlanState::apply(const Change& change) {
  apply_saved(change);
}

void PlanState::restore(const Saved& saved) {
  place(saved.vm, saved.placement, saved.stops, saved.arrival_s);
  vm_one_off_[saved.vm] = saved.one_off;
  doubts_[saved.vm] = saved.doubt;
}

void PlanState::rewind() {
  for (std::size_t v = 0; v < placements_.size(); ++v) {
    const VmModel& vm = model_->vms[v];
    vm_one_off_[v] = {};
    doubts_[v] = 0;
    const Placement home{vm.host, vm.state->allocation, vm.helper_host};
    if (vm.active && !(placements_[v] == home)) place(v, home, {}, 0);
  }
}

ScoreTerms PlanState::total() const {
  ScoreTerms terms;
  for (std::size_t h = 0; h < hosts_.size(); ++h) {
    terms.performance -= hosts_[h].score.performance();
    terms.utilisation -= hosts_[h].score.utilisation();
  }
  for (std::size_t v = 0; v < placements_.size(); ++v) {
    if (!model_->vms[v].active) continue;
    terms.performance -= vm_scores_[v].performance();
    terms.utilisation -= vm_scores_[v].idle;
    terms.cost += vm_one_off_[v].cost;
    terms.latency += vm_one_off_[v].latency;
  }
  for (std::uint32_t rule = 0; rule < affinity_counts_.size(); ++rule) {
    if (!policy().affinity[rule].hard) terms.cost += policy().affinity[rule].price_per_hour * violations(rule);
  }
  terms.cost += policy().prices.rule_violation_per_hour * hard_violations();
  return terms;
}

double PlanState::cost_of_host(std::size_t h) const {
  return hosts_[h].score.performance() + hosts_[h].score.imbalance + hosts_[h].vm_performance;
}

int PlanState::hard_violations() const {
  int count = 0;
  for (std::uint32_t rule = 0; rule < affinity_counts_.size(); ++rule) {
    if (policy().affinity[rule].hard) count += violations(rule);
  }
  for (std::size_t h = 0; h < hosts_.size(); ++h) {
    if (model_->hosts[h].state->maintenance) count += static_cast<int>(hosts_[h].helpers.size());
    for (const std::size_t v : hosts_[h].vms) {
      count += static_cast<int>(!model_->pins_allow(v, h)) + static_cast<int>(model_->hosts[h].state->maintenance);
    }
  }
  return count;
}

int PlanState::hard_violations_of(std::size_t v) const {
  const std::size_t host = placements_[v].host;
  int count = static_cast<int>(!model_->pins_allow(v, host)) + static_cast<int>(model_->hosts[host].state->maintenance);
  for (const std::uint32_t rule : model_->vms[v].affinity) {
    if (!policy().affinity[rule].hard) continue;
    if (policy().affinity[rule].apart) {
      count += static_cast<int>(affinity_count(rule, host) > 1);
    } else {
      count += static_cast<int>(violations(rule) > 0);
    }
  }
  return count;
}

double PlanState::cpu_peak_cores(std::size_t h) const {
  return hosts_[h].peak_cores + model_->hosts[h].state->cpu_overhead_cores + model_->hosts[h].transit_cpu_cores;
}

double PlanState::cpu_peak_cores(std::size_t h, const Change& change) const {
  PeakLoad load = hosts_[h].load.peak;
  const Placement& now = placements_[change.vm];
  const bool helped_anew = change.to.helper != now.helper;
  if (now.host == h) load.add(vm_loads_[change.vm].peak, -1);
  if (change.to.host == h) {
    const bool same = !helped_anew && change.to.allocation == now.allocation;
    load.add(same ? vm_loads_[change.vm].peak : load_if(change.vm, change.to.allocation, change.to.helper).peak, 1);
  }
  if (helped_anew && now.helper == h) load.add(helper_loads_.at(change.vm).peak, -1);
  if (helped_anew && change.to.helper == h) load.add(load_of_helper(change.vm, h).peak, 1);
  return load.most() + model_->hosts[h].state->cpu_overhead_cores + model_->hosts[h].transit_cpu_cores;
}

std::int64_t PlanState::memory_committed_bytes(std::size_t h) const {
  return hosts_[h].load.memory_bytes + model_->hosts[h].transit_memory_bytes;
}

std::int64_t PlanState::memory_free_bytes(std::size_t h) const {
  return model_->hosts[h].state->memory_available_bytes - model_->hosts[h].transit_memory_bytes -
         hosts_[h].memory_arriving_bytes - hosts_[h].memory_growth_bytes + hosts_[h].memory_leaving_bytes;
}

namespace {

Uncertain wait_ratio_of(const HostModel& host, const Load& load) {
  if (!(load.median[0] > 0)) return {};
  const Uncertain waiting = waiting_cores(host, load.vcpus, load.median[0]);
  return {waiting.value / load.median[0], waiting.error / load.median[0]};
}

}  // namespace

Uncertain PlanState::wait_ratio(std::size_t h) const {
  return wait_ratio_of(model_->hosts[h], hosts_[h].load);
}

Uncertain PlanState::wait_ratio_after(const Change& change) const {
  Load load = hosts_[change.to.host].load;
  if (placements_[change.vm].host == change.to.host) load.add(vm_loads_[change.vm], -1);
  load.add(load_if(change.vm, change.to.allocation), 1);
  return wait_ratio_of(model_->hosts[change.to.host], load);
}

double PlanState::seconds_until_full(std::size_t h) const {
  const double overhead = model_->hosts[h].state->cpu_overhead_cores;
  for (std::size_t i = 0; i < kSlots; ++i) {
    if (hosts_[h].load.peak.at(i) + overhead > model_->hosts[h].capacity_cores) {
      const Horizon& horizon = model_->horizon;
      return std::max(0.0,
                      to_seconds(horizon.start + horizon.slot() * static_cast<std::int64_t>(i) - model_->state.now));
    }
  }
  return -1;
}

}  // namespace proteus::ham
