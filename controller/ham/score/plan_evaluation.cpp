// What a change would do to the plan, and what it costs once.
#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>

#include "controller/ham/score/plan_state.h"

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

}  // namespace

ScoreTerms PlanState::one_off_terms(std::size_t v, const Placement& to) const {
  const VmModel& vm = model_->vms[v];
  ScoreTerms terms = to.host == vm.host ? ScoreTerms{} : move_terms(v);
  if (to.helper != vm.helper_host) terms.cost += helper_start_price(v, to.helper);
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
  const double throttled_core_h = vm.demand->cpu_mean[0].p50 * vm.migration.throttled_s / 3600;
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
/// their errors, which are independent of each other. Of the CPU only what it may be worse at the target: what is
/// forecast to come at the source may never have been seen there, and to act before it has is what forecasts are for.
/// Where both hosts are read from one curve, whatever it is wrong by is wrong at both. Home again is where the VM is
/// known.
double PlanState::doubt(const Change& move, const Departure& departure, const HostScore& after) const {
  const std::size_t to = move.to.host;
  if (to == model_->vms[move.vm].host) return 0;
  const HostScore& before = hosts_[to].score;
  double cpu = after.cpu_error - before.cpu_error;
  if (model_->hosts[to].wait == model_->hosts[placements_[move.vm].host].wait) cpu -= departure.cpu_error;
  return kDoubtDeviations *
         std::hypot(departure.device_error, after.device_error - before.device_error, std::max(0.0, cpu));
}

double PlanState::helper_doubt(const Change& change, const HostScore& after) const {
  const std::size_t to = change.to.helper;
  const Placement& from = placements_[change.vm];
  // On the VM's own host, or where it has been already, it is known.
  if (to == from.host || to == model_->vms[change.vm].helper_host) return 0;
  const HostScore& before = hosts_[to].score;
  return kDoubtDeviations *
         std::hypot(after.device_error - before.device_error, std::max(0.0, after.cpu_error - before.cpu_error));
}

const Departure& PlanState::depart(std::size_t v) const {
  const std::size_t h = placements_[v].host;
  KnownDeparture& known = departures_[v];
  if (known.revision == hosts_[h].revision) return known.departure;
  known.revision = hosts_[h].revision;
  Load load = hosts_[h].load;
  load.add(vm_loads_[v], -1);
  const HostScore& before = hosts_[h].score;
  const HostScore after = score_of(h, load, std::array{guest_of(v, placements_[v].helper)}, {});
  Departure& departure = known.departure;
  departure.vm = v;
  departure.performance = before.performance() - after.performance();
  departure.utilisation = before.utilisation() - after.utilisation();
  departure.cpu_error = before.cpu_error - after.cpu_error;
  departure.device_error = before.device_error - after.device_error;
  for (std::size_t i = 0; i < kSlots; ++i) departure.relief[i] = before.contention[i] - after.contention[i];
  return departure;
}

Evaluation PlanState::evaluate(const Change& change) const {
  if (change.to.helper != placements_[change.vm].helper) return evaluate_helper(change);
  if (change.to.host != placements_[change.vm].host) return evaluate(change, depart(change.vm));
  const std::size_t v = change.vm;
  const std::size_t h = change.to.host;
  KnownReshape& known = reshapes_[v][change.to.allocation.memory_bytes != placements_[v].allocation.memory_bytes];
  const VmScore& old_vm_score = vm_scores_[v];
  if (known.revision != hosts_[h].revision || !(known.to == change.to.allocation)) {
    Load load = hosts_[h].load;
    load.add(vm_loads_[v], -1);
    load.add(load_if(v, change.to.allocation), 1);
    const HostScore& before = hosts_[h].score;
    const HostScore after = score_of(h, load, hosts_[h].service);
    const VmScore new_vm_score = score_if(v, change.to.allocation);
    known = {hosts_[h].revision, change.to.allocation, before.performance() - after.performance(),
             before.utilisation() - after.utilisation()};
    known.performance += old_vm_score.performance() - new_vm_score.performance();
    known.utilisation += old_vm_score.idle - new_vm_score.idle;
  }
  Evaluation result;
  result.delta.performance = known.performance;
  result.delta.utilisation = known.utilisation;
  // A move that it comes after keeps its own latency.
  result.delta.cost = one_off_terms(v, change.to).cost - one_off_terms(v, placements_[v]).cost;
  result.present_cost_per_hour = old_vm_score.performance() + old_vm_score.idle;
  return result;
}

Evaluation PlanState::evaluate(const Change& change, const Departure& departure) const {
  const std::size_t v = change.vm;
  const VmModel& vm = model_->vms[v];
  const Placement& from = placements_[v];
  assert(departure.vm == v && change.to.host != from.host && change.to.helper == from.helper);
  const bool reshapes = !(change.to.allocation == from.allocation);
  const VmScore& old_vm_score = vm_scores_[v];
  const VmScore new_vm_score = reshapes ? score_if(v, change.to.allocation) : old_vm_score;

  Evaluation result;
  if (moves_on(change)) {
    result.delta = move_terms(v);
    result.delta.cost += one_off_terms(v, change.to).cost - one_off_terms(v, from).cost;
  } else {
    const ScoreTerms one_off = one_off_terms(v, change.to);
    result.delta.cost = one_off.cost - vm_one_off_[v].cost;
    result.delta.latency = one_off.latency - vm_one_off_[v].latency;
  }
  result.delta.performance = departure.performance;
  result.delta.utilisation = departure.utilisation;
  SlotValues relief = departure.relief;

  Load load = hosts_[change.to.host].load;
  load.add(reshapes ? load_if(v, change.to.allocation) : vm_loads_[v], 1);
  const HostScore& before = hosts_[change.to.host].score;
  const HostScore after = score_of(change.to.host, load, {}, std::array{guest_of(v, from.helper)});
  result.doubt = doubt(change, departure, after);
  result.delta.cost += result.doubt;
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
  if (change.to.host != vm.host) result.delta.latency += lost_until(arrival_s(change), relief);
  result.present_cost_per_hour = cost_of_host(from.host) + cost_of_host(change.to.host);
  return result;
}

/// The last slot stands for whatever follows the horizon.
double PlanState::lost_until(double wait_s, const SlotValues& relief) const {
  const double slot_s = to_seconds(model_->horizon.slot());
  double lost = 0;
  for (std::size_t i = 0; i < kSlots && wait_s > 0; ++i) {
    const double overlap_s = i + 1 == kSlots ? wait_s : std::min(wait_s, slot_s);
    lost += std::max(0.0, relief[i]) * overlap_s / 3600;
    wait_s -= overlap_s;
  }
  return lost / model_->payback_hours();
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
    const HostScore after = score_of(h, load, std::array{guest_of(leaves, placements_[leaves].helper)},
                                     std::array{guest_of(comes, placements_[comes].helper)});
    gain += before.performance() - after.performance() + before.utilisation() - after.utilisation();
  };
  exchange(home_a, a, b);
  exchange(home_b, b, a);
  // By way of home: stops are not paid again.
  const auto pay = [&](std::size_t v, std::size_t host) {
    const ScoreTerms terms = one_off_terms(v, placements_[v].on(host));
    gain -= terms.cost + terms.latency - vm_one_off_[v].cost - vm_one_off_[v].latency;
  };
  pay(a, home_b);
  pay(b, home_a);
  return gain;
}

}  // namespace proteus::ham
