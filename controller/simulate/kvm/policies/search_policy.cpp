#include "controller/simulate/kvm/policies/search_policy.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "controller/simulate/kvm/metrics.h"

namespace proteus::simulate::kvm {
namespace {

constexpr double kAsleep_w = 8;
/// A host that was woken gets its first VMs within so many ticks, or sleeps again.
constexpr int kTicksToFill = 3;
/// In large clusters only the least used hosts are looked at as targets, and the least populated as ones to empty.
constexpr std::size_t kTargetsMax = 24;
constexpr std::size_t kDrainsLookedAt = 12;

}  // namespace

SearchPolicy::SearchPolicy(std::unique_ptr<OutlookSource> source, std::unique_ptr<Response> response,
                           SearchOptions options)
    : source_(std::move(source)), response_(std::move(response)), options_(options) {}

double SearchPolicy::move_price(const Console& console, int v, int h) const {
  const int from = console.vm(v).host;
  const double rate = 0.8 / 1024 * std::min(console.host_class(from).network_kbs, console.host_class(h).network_kbs);
  const double duration_s = std::max(console.vm(v).resident_mib, 64.0) / rate * 1.3;
  return kMigrationPrice_eur + kLossPrice * console.value(v) * 0.06 * duration_s / 3600;
}

SearchPolicy::Move SearchPolicy::best_target(const Console& console, const PricedPlan& plan, int v, double saved,
                                             double hours) const {
  Move best{v, kNever, 0};
  const auto look = [&](int h) {
    const double gain = target_gain(console, plan, v, h, saved, hours);
    if (gain > best.gain && console.migration_refusal(v, h) == Refusal::kNone) best = {v, h, gain};
  };
  for (const int h : targets_) look(h);
  const int partner = console.partner(v);
  if (partner != kNever && console.vm(partner).present) look(plan.host_of(partner));
  return best;
}

double SearchPolicy::target_gain(const Console& console, const PricedPlan& plan, int v, int h, double saved,
                                 double hours) const {
  const int from = plan.host_of(v);
  if (h == from || !plan.allowed(v, h)) return -std::numeric_limits<double>::infinity();
  double each_hour = saved - (plan.cost_with(h, v) - plan.cost(h));
  const int partner = console.partner(v);
  if (partner != kNever && console.vm(partner).present) {
    if (plan.host_of(partner) == h) each_hour += plan.apart_price(v);
    if (plan.host_of(partner) == from) each_hour -= plan.apart_price(v);
  }
  return hours * each_hour - move_price(console, v, h);
}

bool SearchPolicy::begin_move(Console& console, int v, int h) const {
  const VmState& vm = console.vm(v);
  // While it moves its ceiling cannot be changed, and both hosts must be able to stand it and three more like it.
  const auto room = [&](int host) { return console.host_class(host).memory_mib - console.host(host).used_mib; };
  const double growth = std::min(room(vm.host), room(h) - vm.resident_mib - kVmOverhead_mib) / kHostMigrationsMax;
  const double wanted = need_mib_[static_cast<std::size_t>(v)] - vm.resident_mib;
  console.set_balloon(v, vm.resident_mib + std::clamp(wanted, 0.0, std::max(0.0, growth)));
  return console.migrate(v, h);
}

SearchPolicy::Move SearchPolicy::best_move(const Console& console, const PricedPlan& plan, int h) const {
  const double hours = options_.payback_h;
  const double worthwhile = (options_.gain_min_eur + kMigrationPrice_eur) / hours;
  const bool calm = plan.pain(h) < worthwhile;
  Move best{kNever, kNever, options_.gain_min_eur};
  for (const int v : plan.vms_on(h)) {
    const VmState& state = console.vm(v);
    if (console.pinned(v) || state.migrating() || state.down(console.tick())) continue;
    const int partner = console.partner(v);
    const bool apart = partner != kNever && console.vm(partner).present && plan.host_of(partner) != h;
    if (calm && !apart) continue;
    const double saved = plan.cost(h) - plan.cost_without(h, v);
    if (saved + (apart ? plan.apart_price(v) : 0) < worthwhile) continue;
    const Move move = best_target(console, plan, v, saved, hours);
    if (move.host != kNever && move.gain > best.gain) best = move;
  }
  return best;
}

void SearchPolicy::relieve(Console& console, PricedPlan& plan) {
  std::vector<int> hosts(console.host_count());
  std::iota(hosts.begin(), hosts.end(), 0);
  std::stable_sort(hosts.begin(), hosts.end(), [&](int a, int b) { return plan.pain(a) > plan.pain(b); });
  for (const int h : hosts) {
    for (int i = 0; i < kHostMigrationsMax; ++i) {
      const Move move = best_move(console, plan, h);
      if (move.host == kNever || !begin_move(console, move.vm, move.host)) break;
      plan.move(move.vm, move.host);
    }
  }
}

void SearchPolicy::choose_targets(const Console& console, const PricedPlan& plan) {
  targets_.clear();
  for (int h = 0; h < static_cast<int>(console.host_count()); ++h) {
    if (plan.on(h)) targets_.push_back(h);
  }
  if (targets_.size() <= kTargetsMax) return;
  std::stable_sort(targets_.begin(), targets_.end(),
                   [&](int a, int b) { return plan.utilisation(a) < plan.utilisation(b); });
  targets_.resize(kTargetsMax);
}

double SearchPolicy::wake_gain(const Console& console, PricedPlan trial, int h) const {
  const double worthwhile = (options_.gain_min_eur + kMigrationPrice_eur) / options_.payback_h;
  trial.set_on(h, true);
  double total = -console.host_class(h).idle_w / 1000 * kEnergyPrice_eur_kwh * options_.payback_h;
  for (int i = 0; i < 2 * kHostMigrationsMax; ++i) {
    Move best{kNever, kNever, options_.gain_min_eur};
    for (int from = 0; from < static_cast<int>(console.host_count()); ++from) {
      if (from == h || trial.pain(from) < worthwhile) continue;
      for (const int v : trial.vms_on(from)) {
        const VmState& state = console.vm(v);
        if (state.migrating() || state.down(console.tick())) continue;
        const double saved = trial.cost(from) - trial.cost_without(from, v);
        if (saved < worthwhile) continue;
        const double gain = target_gain(console, trial, v, h, saved, options_.payback_h);
        if (gain > best.gain) best = {v, h, gain};
      }
    }
    if (best.vm == kNever) break;
    trial.move(best.vm, h);
    total += best.gain;
  }
  return total;
}

void SearchPolicy::wake_hosts(Console& console, PricedPlan& plan) {
  int best = kNever;
  double best_gain = options_.gain_min_eur;
  std::vector<const HostClass*> tried;  // sleeping hosts of a class are alike
  for (int h = 0; h < static_cast<int>(console.host_count()); ++h) {
    if (console.host(h).power != Power::kAsleep && h != draining_) continue;
    const HostClass* host_class = &console.host_class(h);
    if (h != draining_ && std::find(tried.begin(), tried.end(), host_class) != tried.end()) continue;
    if (h != draining_) tried.push_back(host_class);
    const double gain = wake_gain(console, plan, h);
    if (gain > best_gain) {
      best = h;
      best_gain = gain;
    }
  }
  if (best == kNever) return;
  woken_at_[static_cast<std::size_t>(best)] = console.tick();
  if (best == draining_) {
    draining_ = kNever;
    plan.set_on(best, true);
  } else {
    console.wake(best);
  }
}

bool SearchPolicy::can_empty(const Console& console, const PricedPlan& plan, int h) const {
  if (!plan.on(h) || console.tick() - woken_at_[static_cast<std::size_t>(h)] < options_.rest_ticks) return false;
  const auto& vms = plan.vms_on(h);
  return std::none_of(vms.begin(), vms.end(), [&](int v) {
    return console.pinned(v) || console.vm(v).down(console.tick()) || console.vm(v).target == h;
  });
}

SearchPolicy::Move SearchPolicy::best_refuge(const Console& console, const PricedPlan& plan, int v) const {
  const int from = plan.host_of(v);
  const double saved = plan.cost(from) - plan.cost_without(from, v);
  Move best{v, kNever, -std::numeric_limits<double>::infinity()};
  for (const int h : targets_) {
    const double gain = target_gain(console, plan, v, h, saved, options_.sleep_payback_h);
    if (gain > best.gain) best = {v, h, gain};
  }
  return best;
}

double SearchPolicy::empty_gain(const Console& console, PricedPlan plan, int h) const {
  double total = (console.host_class(h).idle_w - kAsleep_w) / 1000 * kEnergyPrice_eur_kwh * options_.sleep_payback_h;
  plan.set_on(h, false);
  std::vector<int> vms = plan.vms_on(h);
  std::stable_sort(vms.begin(), vms.end(),
                   [&](int a, int b) { return console.vm(a).resident_mib > console.vm(b).resident_mib; });
  for (const int v : vms) {
    const Move move = best_refuge(console, plan, v);
    if (move.host == kNever) return -std::numeric_limits<double>::infinity();
    total += move.gain;
    if (total < 0) return total;
    plan.move(v, move.host);
  }
  return total;
}

void SearchPolicy::choose_drain(const Console& console, const PricedPlan& plan) {
  std::vector<int> hosts;
  for (int h = 0; h < static_cast<int>(console.host_count()); ++h) {
    if (can_empty(console, plan, h)) hosts.push_back(h);
  }
  std::stable_sort(hosts.begin(), hosts.end(),
                   [&](int a, int b) { return plan.vms_on(a).size() < plan.vms_on(b).size(); });
  if (hosts.size() > kDrainsLookedAt) hosts.resize(kDrainsLookedAt);
  double best_gain = options_.empty_gain_min_eur;
  for (const int h : hosts) {
    const double gain = empty_gain(console, plan, h);
    if (gain > best_gain) {
      best_gain = gain;
      draining_ = h;
    }
  }
}

void SearchPolicy::drain(Console& console, PricedPlan& plan) {
  plan.set_on(draining_, false);
  const std::vector<int> vms = console.host(draining_).vms;
  for (const int v : vms) {
    if (console.vm(v).migrating()) continue;
    if (console.pinned(v)) {  // it has arrived meanwhile
      draining_ = kNever;
      return;
    }
    const Move move = best_refuge(console, plan, v);
    if (move.host == kNever || !begin_move(console, v, move.host)) continue;
    plan.move(v, move.host);
  }
}

void SearchPolicy::manage_power(Console& console, PricedPlan& plan) {
  wake_hosts(console, plan);
  if (draining_ == kNever && console.tick() % options_.look_every_ticks == 0) choose_drain(console, plan);
  if (draining_ != kNever) drain(console, plan);
  for (int h = 0; h < static_cast<int>(console.host_count()); ++h) {
    const HostState& host = console.host(h);
    if (host.power != Power::kOn || !host.vms.empty() || !host.incoming.empty()) continue;
    if (console.tick() - woken_at_[static_cast<std::size_t>(h)] < kTicksToFill) continue;
    console.sleep(h);
    if (draining_ == h) draining_ = kNever;
  }
}

void SearchPolicy::decide(Console& console) {
  if (woken_at_.empty()) woken_at_.assign(console.host_count(), kFirstTick - options_.rest_ticks);
  source_->observe(console);
  response_->observe(console);
  source_->fill(console, outlook_);
  need_mib_ = source_->memory_needs(console);
  PricedPlan plan(console, outlook_, *response_, need_mib_, options_.plan);
  if (draining_ != kNever) plan.set_on(draining_, false);
  choose_targets(console, plan);
  relieve(console, plan);
  if (options_.may_sleep) manage_power(console, plan);
  MemoryKeeper(options_.memory).act(console, need_mib_, source_->memory_peaks(console));
}

}  // namespace proteus::simulate::kvm
