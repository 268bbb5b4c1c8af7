#include "controller/ham/score/plan_state.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace proteus::ham {
namespace {

constexpr double kBytesPerGib = static_cast<double>(kGiB);
/// Share of its performance that a VM loses while its memory is copied. Source: Beloglazov & Buyya (2012).
constexpr double kMigrationSlowdown = 0.1;
/// Standard errors that a move has to be better by: nine of ten are, if errors are normal.
constexpr double kDoubtDeviations = 1.28;

/// Number of separate orders that the change needs besides the move.
int count_reshapes(const Allocation& from, const Allocation& to) {
  return (from.vcpus != to.vcpus) + (from.cpu_quota_us != to.cpu_quota_us) + (from.memory_bytes != to.memory_bytes);
}

std::int64_t held_bytes(const VmState& vm) {
  return vm.memory_resident_bytes > 0 ? vm.memory_resident_bytes : vm.allocation.memory_bytes;
}

}  // namespace

PlanState::PlanState(const ClusterModel& model)
    : model_(&model),
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
    placements_[v] = {vm.host, vm.state->allocation};
    if (!vm.active) continue;
    hosts_[vm.host].vms.push_back(v);
    vm_loads_[v] = load_of(vm, vm.state->allocation);
    vm_scores_[v] = score_vm(policy(), vm, vm.state->allocation);
    count_affinity(v, vm.host, 1);
  }
  for (std::size_t h = 0; h < hosts_.size(); ++h) recompute(h, false);
}

void PlanState::recompute(std::size_t h, bool same_vms) {
  // From the beginning each time: adding and subtracting for a whole search would let rounding pile up.
  HostPlan& host = hosts_[h];
  host.load = Load{};
  host.vm_performance = 0;
  for (const std::size_t v : host.vms) {
    host.load.add(vm_loads_[v], 1);
    host.vm_performance += vm_scores_[v].performance();
  }
  if (model_->service != nullptr && !same_vms) {
    host.service_load = model_->service->load_of(h, host.vms);
    host.service = model_->service->price(h, host.vms, kNowhere, kNowhere, host.service_load);
  }
  host.score = score_of(h, host.load, host.service);
  host.peak_cores = host.load.peak.most();
}

HostScore PlanState::score_of(std::size_t h, const Load& load, const ServicePrice& service) const {
  HostScore score = score_host(policy(), model_->hosts[h], load);
  if (model_->service == nullptr || load.vms == 0) return score;
  score.slowdown = service.slowdown_per_hour;
  score.energy = energy_cost(policy(), model_->hosts[h], service.used);
  return score;
}

HostScore PlanState::score_of(std::size_t h, const Load& load, std::size_t leaves, std::size_t comes) const {
  if (model_->service == nullptr) return score_of(h, load, ServicePrice{});
  ServiceLoad service_load = hosts_[h].service_load;
  if (leaves != kNowhere) model_->service->add(service_load, h, leaves, -1);
  if (comes != kNowhere) model_->service->add(service_load, h, comes, 1);
  return score_of(h, load, model_->service->price(h, hosts_[h].vms, leaves, comes, service_load));
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

ScoreTerms PlanState::one_off_terms(std::size_t v, const Placement& to) const {
  const VmModel& vm = model_->vms[v];
  ScoreTerms terms = to.host == vm.host ? ScoreTerms{} : move_terms(v);
  terms.cost +=
      policy().prices.action_fixed * count_reshapes(vm.state->allocation, to.allocation) / model_->payback_hours();
  return terms;
}

ScoreTerms PlanState::move_terms(std::size_t v) const {
  const VmModel& vm = model_->vms[v];
  const Prices& prices = policy().prices;
  const double payback_h = model_->payback_hours();
  ScoreTerms terms;
  terms.cost = (prices.action_fixed + prices.migration_per_gib * vm.migration.copied_bytes / kBytesPerGib) / payback_h;
  const double throttled_core_h = vm.demand.cpu_mean[0].p50 * vm.migration.throttled_s / 3600;
  const double slowed_h = (kMigrationSlowdown * vm.migration.duration_s + vm.migration.downtime_s) / 3600;
  terms.latency = (prices.downtime_per_second * vm.migration.downtime_s +
                   vm.priority * prices.contention_per_core_hour * throttled_core_h + vm.value_per_hour * slowed_h) /
                  payback_h;
  return terms;
}

double PlanState::move_price(std::size_t v) const {
  const ScoreTerms terms = move_terms(v);
  return terms.cost + terms.latency;
}

bool PlanState::moves_on(const Change& change) const {
  const std::size_t now = placements_[change.vm].host;
  const std::size_t home = model_->vms[change.vm].host;
  return now != home && change.to.host != now && change.to.host != home;
}

/// When a move has been made if it begins as soon as it may: once everybody who leaves its target in this plan has
/// left, and the VM itself has arrived where it starts from.
double PlanState::arrival_s(const Change& move) const {
  const HostState& target = *model_->hosts[move.to.host].state;
  double start_s = hosts_[move.to.host].left_by_s;
  if (moves_on(move)) start_s = std::max(start_s, arrival_s_[move.vm]);
  if (target.asleep) start_s = std::max(start_s, to_seconds(target.wake_time));
  return start_s + model_->vms[move.vm].migration.duration_s;
}

/// What the move may bring less than expected because of what its two hosts are not known well for: the change of
/// their errors, which are independent of each other. Home again is where the VM is known.
double PlanState::doubt(const Change& move) const {
  if (move.to.host == model_->vms[move.vm].host) return 0;
  const Load& vm = vm_loads_[move.vm];
  if (vm.storage_lean_per_s <= 0 && vm.packets_per_s <= 0) return 0;
  const auto change_of = [&](std::size_t h, double sign) {
    Load load = hosts_[h].load;
    load.add(vm, sign);
    return device_error(policy(), model_->hosts[h], load) - device_error(policy(), model_->hosts[h], hosts_[h].load);
  };
  return kDoubtDeviations * std::hypot(change_of(placements_[move.vm].host, -1), change_of(move.to.host, 1));
}

Departure PlanState::depart(std::size_t v) const {
  const std::size_t h = placements_[v].host;
  Load load = hosts_[h].load;
  load.add(vm_loads_[v], -1);
  const HostScore& before = hosts_[h].score;
  const HostScore after = score_of(h, load, v, kNowhere);
  Departure departure;
  departure.vm = v;
  departure.performance = before.performance() - after.performance();
  departure.utilisation = before.utilisation() - after.utilisation();
  for (std::size_t i = 0; i < kSlots; ++i) departure.relief[i] = before.contention[i] - after.contention[i];
  return departure;
}

Evaluation PlanState::evaluate(const Change& change) const {
  if (change.to.host != placements_[change.vm].host) return evaluate(change, depart(change.vm));
  const std::size_t v = change.vm;
  const VmModel& vm = model_->vms[v];
  const std::size_t h = change.to.host;
  Load load = hosts_[h].load;
  load.add(vm_loads_[v], -1);
  load.add(load_of(vm, change.to.allocation), 1);
  const HostScore& before = hosts_[h].score;
  const HostScore after = score_of(h, load, hosts_[h].service);
  const VmScore& old_vm_score = vm_scores_[v];
  const VmScore new_vm_score = score_vm(policy(), vm, change.to.allocation);
  Evaluation result;
  result.delta.performance = before.performance() - after.performance();
  result.delta.utilisation = before.utilisation() - after.utilisation();
  result.delta.performance += old_vm_score.performance() - new_vm_score.performance();
  result.delta.utilisation += old_vm_score.idle - new_vm_score.idle;
  // A move that it comes after keeps its own latency.
  result.delta.cost = one_off_terms(v, change.to).cost - one_off_terms(v, placements_[v]).cost;
  result.present_cost_per_hour = old_vm_score.performance() + old_vm_score.idle;
  return result;
}

Evaluation PlanState::evaluate(const Change& change, const Departure& departure) const {
  const std::size_t v = change.vm;
  const VmModel& vm = model_->vms[v];
  const Placement& from = placements_[v];
  assert(departure.vm == v && change.to.host != from.host);
  const bool reshapes = !(change.to.allocation == from.allocation);
  const VmScore& old_vm_score = vm_scores_[v];
  const VmScore new_vm_score = reshapes ? score_vm(policy(), vm, change.to.allocation) : old_vm_score;

  Evaluation result;
  if (moves_on(change)) {
    result.delta = move_terms(v);
    result.delta.cost += one_off_terms(v, change.to).cost - one_off_terms(v, from).cost;
  } else {
    const ScoreTerms one_off = one_off_terms(v, change.to);
    result.delta.cost = one_off.cost - vm_one_off_[v].cost;
    result.delta.latency = one_off.latency - vm_one_off_[v].latency;
  }
  result.doubt = doubt(change);
  result.delta.cost += result.doubt;
  result.delta.performance = departure.performance;
  result.delta.utilisation = departure.utilisation;
  SlotValues relief = departure.relief;

  Load load = hosts_[change.to.host].load;
  load.add(reshapes ? load_of(vm, change.to.allocation) : vm_loads_[v], 1);
  const HostScore& before = hosts_[change.to.host].score;
  const HostScore after = score_of(change.to.host, load, kNowhere, v);
  result.delta.performance += before.performance() - after.performance();
  result.delta.utilisation += before.utilisation() - after.utilisation();
  result.delta.performance += old_vm_score.performance() - new_vm_score.performance();
  result.delta.utilisation += old_vm_score.idle - new_vm_score.idle;
  for (std::size_t i = 0; i < kSlots; ++i) {
    relief[i] += before.contention[i] - after.contention[i];
    relief[i] += old_vm_score.unserved[i] - new_vm_score.unserved[i];
  }

  const double soft_cost = rule_cost_change(v, from.host, change.to.host, result.hard_violations);
  result.delta.cost += soft_cost + policy().prices.rule_violation_per_hour * result.hard_violations;
  if (change.to.host != vm.host) {
    // Until it has arrived, nothing is relieved; the last slot stands for whatever follows the horizon.
    double wait_s = arrival_s(change);
    const double slot_s = to_seconds(model_->horizon.slot());
    double lost = 0;
    for (std::size_t i = 0; i < kSlots && wait_s > 0; ++i) {
      const double overlap_s = i + 1 == kSlots ? wait_s : std::min(wait_s, slot_s);
      lost += std::max(0.0, relief[i]) * overlap_s / 3600;
      wait_s -= overlap_s;
    }
    result.delta.latency += lost / model_->payback_hours();
  }
  result.present_cost_per_hour = cost_of_host(from.host) + cost_of_host(change.to.host);
  return result;
}

double PlanState::swap_gain_bound(std::size_t a, std::size_t b) const {
  const std::size_t home_a = placements_[a].host;
  const std::size_t home_b = placements_[b].host;
  double gain = 0;
  const auto exchange = [&](std::size_t h, std::size_t leaves, std::size_t comes) {
    Load load = hosts_[h].load;
    load.add(vm_loads_[leaves], -1);
    load.add(vm_loads_[comes], 1);
    const HostScore& before = hosts_[h].score;
    const HostScore after = score_of(h, load, leaves, comes);
    gain += before.performance() - after.performance() + before.utilisation() - after.utilisation();
  };
  exchange(home_a, a, b);
  exchange(home_b, b, a);
  // By way of home: stops are not paid again.
  const auto pay = [&](std::size_t v, std::size_t host) {
    const ScoreTerms terms = one_off_terms(v, {host, placements_[v].allocation});
    gain -= terms.cost + terms.latency - vm_one_off_[v].cost - vm_one_off_[v].latency;
  };
  pay(a, home_b);
  pay(b, home_a);
  return gain;
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
  if (!(placements_[v].allocation == to.allocation)) {
    vm_loads_[v] = load_of(model_->vms[v], to.allocation);
    vm_scores_[v] = score_vm(policy(), model_->vms[v], to.allocation);
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
  recompute(to.host, to.host == from_host);
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
    const Placement home{vm.host, vm.state->allocation};
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
  if (now.host == h) load.add(vm_loads_[change.vm].peak, -1);
  if (change.to.host == h) {
    const bool reshapes = !(change.to.allocation == now.allocation);
    load.add(reshapes ? load_of(model_->vms[change.vm], change.to.allocation).peak : vm_loads_[change.vm].peak, 1);
  }
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

double wait_ratio_of(const HostModel& host, const Load& load) {
  return load.median[0] > 0 ? waiting_cores(host, load.vcpus, load.median[0]) / load.median[0] : 0;
}

}  // namespace

double PlanState::wait_ratio(std::size_t h) const {
  return wait_ratio_of(model_->hosts[h], hosts_[h].load);
}

double PlanState::wait_ratio_after(const Change& change) const {
  Load load = hosts_[change.to.host].load;
  if (placements_[change.vm].host == change.to.host) load.add(vm_loads_[change.vm], -1);
  load.add(load_of(model_->vms[change.vm], change.to.allocation), 1);
  return wait_ratio_of(model_->hosts[change.to.host], load);
}

double PlanState::seconds_until_full(std::size_t h) const {
  const double overhead = model_->hosts[h].state->cpu_overhead_cores;
  for (std::size_t i = 0; i < kSlots; ++i) {
    if (hosts_[h].load.peak.at(i) + overhead > model_->hosts[h].capacity_cores) {
      return to_seconds(model_->horizon.slot()) * static_cast<double>(i);
    }
  }
  return -1;
}

}  // namespace proteus::ham
