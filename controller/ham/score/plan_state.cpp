#include "controller/ham/score/plan_state.h"

#include <algorithm>
#include <cmath>

#include "controller/ham/score/contention.h"

namespace proteus::ham {
namespace {

constexpr double kBytesPerGib = static_cast<double>(kGiB);

double mean(const std::array<double, kSlots>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(kSlots);
}

/// A quantile of a sum of demands whose forecast errors correlate by kErrorCorrelation.
double quantile_of_sum(double median, double spread, double square) {
  return median + std::sqrt(std::max(0.0, (1 - kErrorCorrelation) * square + kErrorCorrelation * spread * spread));
}

double expectation(double p50, double p90, double p99) {
  return kQuantileWeights[0] * p50 + kQuantileWeights[1] * p90 + kQuantileWeights[2] * p99;
}

/// Number of separate orders that the change needs besides the move.
int count_reshapes(const Allocation& from, const Allocation& to) {
  return (from.vcpus != to.vcpus) + (from.cpu_quota_us != to.cpu_quota_us) + (from.memory_bytes != to.memory_bytes);
}

}  // namespace

void PlanState::Load::add(const Load& other, double sign) {
  for (std::size_t i = 0; i < kSlots; ++i) {
    median[i] += sign * other.median[i];
    spread90[i] += sign * other.spread90[i];
    square90[i] += sign * other.square90[i];
    spread99[i] += sign * other.spread99[i];
    square99[i] += sign * other.square99[i];
    peak_median[i] += sign * other.peak_median[i];
    peak_spread90[i] += sign * other.peak_spread90[i];
    peak_square90[i] += sign * other.peak_square90[i];
  }
  vcpus += sign * other.vcpus;
  memory_used_bytes += sign * other.memory_used_bytes;
  memory_bytes += sign > 0 ? other.memory_bytes : -other.memory_bytes;
}

double PlanState::HostScore::performance() const {
  return mean(contention) + memory_shortage;
}
double PlanState::VmScore::performance() const {
  return mean(unserved) + memory_shortage;
}

PlanState::PlanState(const ClusterModel& model)
    : model_(&model),
      placements_(model.vms.size()),
      vm_loads_(model.vms.size()),
      vm_scores_(model.vms.size()),
      hosts_(model.hosts.size()),
      affinity_counts_(model.policy.affinity.size()) {
  for (std::size_t v = 0; v < model.vms.size(); ++v) {
    const VmModel& vm = model.vms[v];
    placements_[v] = {vm.host, vm.state->allocation};
    if (!vm.active) continue;
    hosts_[vm.host].vms.push_back(v);
    vm_loads_[v] = load_of(v, vm.state->allocation);
    vm_scores_[v] = score_vm(v, vm.state->allocation);
    for (const std::uint32_t rule : vm.affinity) ++affinity_counts_[rule][vm.host];
  }
  for (std::size_t h = 0; h < hosts_.size(); ++h) recompute(h);
}

PlanState::Load PlanState::load_of(std::size_t v, const Allocation& allocation) const {
  const Demand& demand = model_->vms[v].demand;
  const double limit = allocation.cpu_limit_cores();
  Load load;
  load.vcpus = allocation.vcpus;
  for (std::size_t i = 0; i < kSlots; ++i) {
    const double p50 = std::min(demand.cpu_mean[i].p50, limit);
    const double s90 = std::min(demand.cpu_mean[i].p90, limit) - p50;
    const double s99 = std::min(demand.cpu_mean[i].p99, limit) - p50;
    load.median[i] = p50;
    load.spread90[i] = s90;
    load.square90[i] = s90 * s90;
    load.spread99[i] = s99;
    load.square99[i] = s99 * s99;
    const double peak = std::min(demand.cpu_peak[i].p50, limit);
    const double peak_spread = std::min(demand.cpu_peak[i].p90, limit) - peak;
    load.peak_median[i] = peak;
    load.peak_spread90[i] = peak_spread;
    load.peak_square90[i] = peak_spread * peak_spread;
  }
  const auto memory = static_cast<double>(allocation.memory_bytes);
  const VmState& vm = *model_->vms[v].state;
  const double used = demand.memory_known ? demand.memory_max.p99 : static_cast<double>(vm.memory_resident_bytes);
  load.memory_used_bytes = std::min(memory, used);
  load.memory_bytes = allocation.memory_bytes;
  return load;
}

double PlanState::peak_of(const Load& load, std::size_t slot) const {
  return quantile_of_sum(load.peak_median[slot], load.peak_spread90[slot], load.peak_square90[slot]);
}

PlanState::HostScore PlanState::score_host(std::size_t h, const Load& load) const {
  const HostModel& host = model_->hosts[h];
  const Prices& prices = policy().prices;
  const Limits& limits = policy().limits;
  HostScore score;
  if (host.capacity_cores > 0) {
    const double overhead = host.state->cpu_overhead_cores;
    const double evidence_s = host.state->fingerprint.evidence_s;
    const double trust = evidence_s / (evidence_s + kCurveTrustRun_s);
    const auto waiting = [&](double cores) {
      // However full the host: a vCPU that runs does not wait.
      const double at_most = std::max(0.0, load.vcpus - std::min(cores, host.capacity_cores));
      const double by_curve = std::min(at_most, cores * host.wait->at((cores + overhead) / host.capacity_cores));
      if (trust > 0.9) return by_curve;
      const double finite = finite_wait_cores(cores, load.vcpus, host.capacity_cores - overhead);
      return trust * by_curve + (1 - trust) * std::min(by_curve, finite);
    };
    double beyond_headroom = 0;
    const auto cost = [&](double cores) {
      return prices.contention_per_core_hour * waiting(cores) +
             prices.shortfall_per_core_hour * std::max(0.0, cores + overhead - host.capacity_cores);
    };
    for (std::size_t i = 0; i < kSlots; ++i) {
      score.contention[i] =
          expectation(cost(load.median[i]), cost(quantile_of_sum(load.median[i], load.spread90[i], load.square90[i])),
                      cost(quantile_of_sum(load.median[i], load.spread99[i], load.square99[i])));
      beyond_headroom += std::max(0.0, (peak_of(load, i) + overhead) / host.capacity_cores - (1 - limits.cpu_headroom));
    }
    score.imbalance = prices.imbalance_per_host_hour * beyond_headroom / static_cast<double>(kSlots) /
                      std::max(limits.cpu_headroom, 0.01);
  }
  if (host.memory_bytes > 0) {
    const auto memory = static_cast<double>(host.memory_bytes);
    score.memory_shortage =
        prices.memory_shortage_per_gib_hour * std::max(0.0, load.memory_used_bytes - memory) / kBytesPerGib;
    const double beyond = static_cast<double>(load.memory_bytes) / memory - (1 - limits.memory_headroom);
    score.imbalance += prices.imbalance_per_host_hour * std::max(0.0, beyond) / std::max(limits.memory_headroom, 0.01);
  }
  return score;
}

PlanState::VmScore PlanState::score_vm(std::size_t v, const Allocation& allocation) const {
  const Demand& demand = model_->vms[v].demand;
  const Prices& prices = policy().prices;
  const double limit = allocation.cpu_limit_cores();
  VmScore score;
  for (std::size_t i = 0; i < kSlots; ++i) {
    const forecast::Quantiles& q = demand.cpu_mean[i];
    const auto cost = [&](double cores) {
      return prices.contention_per_core_hour * held_back_cores(cores, limit, allocation.vcpus) +
             prices.shortfall_per_core_hour * std::max(0.0, cores - limit);
    };
    score.unserved[i] = expectation(cost(q.p50), cost(q.p90), cost(q.p99));
  }
  if (demand.memory_known) {
    const auto memory = static_cast<double>(allocation.memory_bytes);
    const auto shortage = [&](double used) { return std::max(0.0, used * (1 + kMemorySpare) - memory); };
    score.memory_shortage =
        prices.memory_shortage_per_gib_hour *
        expectation(shortage(demand.memory_max.p50), shortage(demand.memory_max.p90), shortage(demand.memory_max.p99)) /
        kBytesPerGib;
  }
  score.idle = prices.capacity_per_core_hour * std::max(0.0, limit - demand.cpu_max.p99);
  return score;
}

void PlanState::recompute(std::size_t h) {
  // From the beginning each time: adding and subtracting for a whole search would let rounding pile up.
  HostPlan& host = hosts_[h];
  host.load = Load{};
  host.vm_performance = 0;
  for (const std::size_t v : host.vms) {
    host.load.add(vm_loads_[v], 1);
    host.vm_performance += vm_scores_[v].performance();
  }
  host.score = score_host(h, host.load);
}

int PlanState::violations(std::uint32_t rule, const std::map<std::size_t, int>& counts) const {
  int sum = 0;
  int largest = 0;
  int apart = 0;
  for (const auto& [host, count] : counts) {
    apart += std::max(0, count - 1);
    // A host that is being emptied anchors nobody: its VMs may join each other elsewhere one by one.
    if (model_->hosts[host].state->maintenance) continue;
    sum += count;
    largest = std::max(largest, count);
  }
  return policy().affinity[rule].apart ? apart : sum - largest;
}

int PlanState::affinity_count(std::uint32_t rule, std::size_t host) const {
  const auto it = affinity_counts_[rule].find(host);
  return it == affinity_counts_[rule].end() ? 0 : it->second;
}

int PlanState::affinity_change(std::uint32_t rule, std::size_t from, std::size_t to) const {
  const std::map<std::size_t, int>& counts = affinity_counts_[rule];
  if (policy().affinity[rule].apart) {
    return (affinity_count(rule, to) >= 1 ? 1 : 0) - (affinity_count(rule, from) > 1 ? 1 : 0);
  }
  std::map<std::size_t, int> moved = counts;
  --moved[from];
  ++moved[to];
  return violations(rule, moved) - violations(rule, counts);
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

ScoreTerms PlanState::one_off_terms(const Change& change) const {
  const VmModel& vm = model_->vms[change.vm];
  const Placement& from = placements_[change.vm];
  const Prices& prices = policy().prices;
  const double payback_h = model_->payback_hours();
  const bool moves = change.to.host != from.host;
  ScoreTerms terms;
  const int orders = count_reshapes(from.allocation, change.to.allocation) + (moves ? 1 : 0);
  terms.cost = prices.action_fixed * orders / payback_h;
  if (moves) {
    terms.cost += prices.migration_per_gib * vm.migration.copied_bytes / kBytesPerGib / payback_h;
    const double throttled_core_h = vm.demand.cpu_mean[0].p50 * vm.migration.throttled_s / 3600;
    terms.latency =
        (prices.downtime_per_second * vm.migration.downtime_s + prices.contention_per_core_hour * throttled_core_h) /
        payback_h;
  }
  return terms;
}

Evaluation PlanState::evaluate(const Change& change) const {
  const std::size_t v = change.vm;
  const Placement& from = placements_[v];
  const bool moves = change.to.host != from.host;
  const bool reshapes = !(change.to.allocation == from.allocation);
  const Load new_vm_load = reshapes ? load_of(v, change.to.allocation) : vm_loads_[v];
  const VmScore new_vm_score = reshapes ? score_vm(v, change.to.allocation) : vm_scores_[v];

  Evaluation result;
  result.delta = one_off_terms(change);
  std::array<double, kSlots> relief{};  // what the change takes off the contention, by slot
  const auto account = [&](std::size_t h, const Load& load) {
    const HostScore& before = hosts_[h].score;
    const HostScore after = score_host(h, load);
    result.delta.performance += before.performance() - after.performance();
    result.delta.utilisation += before.imbalance - after.imbalance;
    for (std::size_t i = 0; i < kSlots; ++i) relief[i] += before.contention[i] - after.contention[i];
  };
  Load load = hosts_[from.host].load;
  load.add(vm_loads_[v], -1);
  if (moves) {
    account(from.host, load);
    load = hosts_[change.to.host].load;
  }
  load.add(new_vm_load, 1);
  account(change.to.host, load);

  const VmScore& old_vm_score = vm_scores_[v];
  result.delta.performance += old_vm_score.performance() - new_vm_score.performance();
  result.delta.utilisation += old_vm_score.idle - new_vm_score.idle;
  for (std::size_t i = 0; i < kSlots; ++i) relief[i] += old_vm_score.unserved[i] - new_vm_score.unserved[i];

  if (moves) {
    const double soft_cost = rule_cost_change(v, from.host, change.to.host, result.hard_violations);
    result.delta.cost += soft_cost + policy().prices.rule_violation_per_hour * result.hard_violations;
    // Until it has arrived, nothing is relieved; the last slot stands for whatever follows the horizon.
    double wait_s = model_->vms[v].migration.duration_s;
    const double slot_s = to_seconds(model_->horizon.slot());
    double lost = 0;
    for (std::size_t i = 0; i < kSlots && wait_s > 0; ++i) {
      const double overlap_s = i + 1 == kSlots ? wait_s : std::min(wait_s, slot_s);
      lost += std::max(0.0, relief[i]) * overlap_s / 3600;
      wait_s -= overlap_s;
    }
    result.delta.latency += lost / model_->payback_hours();
    result.present_cost_per_hour = cost_of_host(from.host) + cost_of_host(change.to.host);
  } else {
    result.present_cost_per_hour = old_vm_score.performance() + old_vm_score.idle;
  }
  return result;
}

void PlanState::place(std::size_t v, const Placement& to) {
  const std::size_t from_host = placements_[v].host;
  if (!(placements_[v].allocation == to.allocation)) {
    vm_loads_[v] = load_of(v, to.allocation);
    vm_scores_[v] = score_vm(v, to.allocation);
  }
  placements_[v] = to;
  if (to.host != from_host) {
    auto& left = hosts_[from_host].vms;
    left.erase(std::lower_bound(left.begin(), left.end(), v));
    auto& joined = hosts_[to.host].vms;
    joined.insert(std::lower_bound(joined.begin(), joined.end(), v), v);
    for (const std::uint32_t rule : model_->vms[v].affinity) {
      --affinity_counts_[rule][from_host];
      ++affinity_counts_[rule][to.host];
    }
    recompute(from_host);
  }
  recompute(to.host);
}

PlanState::Saved PlanState::apply_saved(const Change& change) {
  const Placement from = placements_[change.vm];
  Saved saved{change.vm, from, one_off_, change.to.host != from.host};
  const Evaluation evaluation = evaluate(change);
  // Rules broken and mended are counted afresh by total(); only what is paid once is kept.
  one_off_.cost += one_off_terms(change).cost;
  one_off_.latency += evaluation.delta.latency;
  if (saved.moved) {
    ++migrations_planned_;
    ++hosts_[from.host].migrations;
    ++hosts_[change.to.host].migrations;
    hosts_[change.to.host].memory_arriving_bytes += change.to.allocation.memory_bytes;
  } else {
    hosts_[from.host].memory_growth_bytes +=
        std::max<std::int64_t>(0, change.to.allocation.memory_bytes - from.allocation.memory_bytes);
  }
  place(change.vm, change.to);
  return saved;
}

void PlanState::apply(const Change& change) {
  apply_saved(change);
}

void PlanState::restore(const Saved& saved) {
  const Placement now = placements_[saved.vm];
  if (saved.moved) {
    --migrations_planned_;
    --hosts_[saved.placement.host].migrations;
    --hosts_[now.host].migrations;
    hosts_[now.host].memory_arriving_bytes -= now.allocation.memory_bytes;
  } else {
    hosts_[now.host].memory_growth_bytes -=
        std::max<std::int64_t>(0, now.allocation.memory_bytes - saved.placement.allocation.memory_bytes);
  }
  place(saved.vm, saved.placement);
  one_off_ = saved.one_off;
}

ScoreTerms PlanState::total() const {
  ScoreTerms terms = one_off_;
  for (std::size_t h = 0; h < hosts_.size(); ++h) {
    terms.performance -= hosts_[h].score.performance();
    terms.utilisation -= hosts_[h].score.imbalance;
  }
  for (std::size_t v = 0; v < placements_.size(); ++v) {
    if (!model_->vms[v].active) continue;
    terms.performance -= vm_scores_[v].performance();
    terms.utilisation -= vm_scores_[v].idle;
  }
  for (std::uint32_t rule = 0; rule < affinity_counts_.size(); ++rule) {
    if (policy().affinity[rule].hard) continue;
    terms.cost += policy().affinity[rule].price_per_hour * violations(rule, affinity_counts_[rule]);
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
    if (policy().affinity[rule].hard) count += violations(rule, affinity_counts_[rule]);
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
      count += static_cast<int>(affinity_counts_[rule].at(host) > 1);
    } else {
      count += static_cast<int>(violations(rule, affinity_counts_[rule]) > 0);
    }
  }
  return count;
}

double PlanState::cpu_peak_cores(std::size_t h, const Change* change) const {
  Load load = hosts_[h].load;
  if (change != nullptr) {
    if (placements_[change->vm].host == h) load.add(vm_loads_[change->vm], -1);
    if (change->to.host == h) load.add(load_of(change->vm, change->to.allocation), 1);
  }
  double peak = 0;
  for (std::size_t i = 0; i < kSlots; ++i) peak = std::max(peak, peak_of(load, i));
  return peak + model_->hosts[h].state->cpu_overhead_cores + model_->hosts[h].transit_cpu_cores;
}

std::int64_t PlanState::memory_committed_bytes(std::size_t h) const {
  return hosts_[h].load.memory_bytes + model_->hosts[h].transit_memory_bytes;
}

std::int64_t PlanState::memory_free_bytes(std::size_t h) const {
  return model_->hosts[h].state->memory_available_bytes - model_->hosts[h].transit_memory_bytes -
         hosts_[h].memory_arriving_bytes - hosts_[h].memory_growth_bytes;
}

double PlanState::seconds_until_full(std::size_t h) const {
  const double overhead = model_->hosts[h].state->cpu_overhead_cores;
  for (std::size_t i = 0; i < kSlots; ++i) {
    if (peak_of(hosts_[h].load, i) + overhead > model_->hosts[h].capacity_cores) {
      return to_seconds(model_->horizon.slot()) * static_cast<double>(i);
    }
  }
  return -1;
}

}  // namespace proteus::ham
