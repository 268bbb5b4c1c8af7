#include "controller/simulate/kvm/policies/ham_policy.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <string>
#include <utility>

#include "controller/simulate/kvm/metrics.h"
#include "controller/simulate/kvm/policies/helpers.h"

namespace proteus::simulate::kvm {
namespace {

constexpr double kApartLoss = 0.07;  ///< a tenth, less most of what is free
constexpr double kVcpuValue = 0.01;
constexpr double kGibValue = 0.003;
constexpr double kBytesPerKb = 1024;
constexpr int kNoLimit = 1'000'000;

std::int64_t bytes_of(double mib) {
  return static_cast<std::int64_t>(mib * static_cast<double>(kMiB));
}

const char* class_name(VmClass vm_class) {
  switch (vm_class) {
    case VmClass::kGold: return "gold";
    case VmClass::kSilver: return "silver";
    case VmClass::kBronze: return "bronze";
  }
  return "";
}

/// One step that is the same for all of the next hour.
forecast::Forecast flat_forecast(Timestamp now, double value) {
  const forecast::Quantiles q{value, value, value, value, value};
  return {now, std::chrono::hours(1), {q}, q, "need", false};
}

/// The quantiles of the outlook's paths over the next hour. weighted: scratch.
forecast::Forecast forecast_of_paths(Timestamp now, const Outlook& outlook, const float* values, double unit,
                                     std::vector<std::pair<float, double>>& weighted) {
  constexpr Nanoseconds kAhead = std::chrono::hours(1);
  forecast::Forecast made{now, kAhead / static_cast<int>(outlook.ticks), {}, {}, "paths", false};
  for (std::size_t tick = 0; tick < outlook.ticks; ++tick) {
    weighted.clear();
    for (std::size_t p = 0; p < outlook.paths; ++p) {
      weighted.emplace_back(values[p * outlook.ticks + tick], outlook.weights[p]);
    }
    std::sort(weighted.begin(), weighted.end());
    forecast::Quantiles& step = made.steps.emplace_back();
    for (std::size_t q = 0; q < forecast::kQuantileLevels.size(); ++q) {
      double below = 0;
      auto at = weighted.begin();
      while (std::next(at) != weighted.end() && (below += at->second) < forecast::kQuantileLevels[q]) ++at;
      step.*forecast::kQuantileMembers[q] = at->first / unit;
    }
  }
  forecast::raise_to_steps(made);
  return made;
}

void add_affinities(const Console& console, const Ids& ids, ham::Policy& policy) {
  std::vector<std::vector<int>> groups;
  for (std::size_t v = 0; v < console.vm_count(); ++v) {
    const int vm = static_cast<int>(v);
    if (const int group = console.group(vm); group != kNever) {
      if (groups.size() <= static_cast<std::size_t>(group)) groups.resize(static_cast<std::size_t>(group) + 1);
      groups[static_cast<std::size_t>(group)].push_back(vm);
    }
    const int partner = console.partner(vm);
    if (partner > vm || (partner != kNever && console.partner(partner) != vm)) {
      ham::AffinityRule rule;
      rule.name = fmt::format("pair{}", vm);
      rule.vms = {ids.vm(v).value, ids.vm(static_cast<std::size_t>(partner)).value};
      rule.hard = false;
      rule.price_per_hour = kLossPrice * kApartLoss * (console.value(vm) + console.value(partner));
      policy.affinity.push_back(std::move(rule));
    }
  }
  for (std::size_t g = 0; g < groups.size(); ++g) {
    ham::AffinityRule rule;
    rule.name = fmt::format("group{}", g);
    rule.apart = true;
    for (const int vm : groups[g]) rule.vms.insert(ids.vm(static_cast<std::size_t>(vm)).value);
    policy.affinity.push_back(std::move(rule));
  }
}

/// The benchmark's bill as an operator would write it down. Currency: EUR.
ham::Policy make_policy(const HamOptions& options) {
  ham::Policy policy;
  policy.name = "kvm";
  policy.automation = ham::Automation::kAutomatic;
  policy.strategies.consolidate = true;
  policy.prices = options.prices;
  policy.limits = options.limits;
  for (const VmClass vm_class : {VmClass::kGold, VmClass::kSilver, VmClass::kBronze}) {
    ham::ValueRule rule;
    rule.name = class_name(vm_class);
    rule.vms = {"@class=" + rule.name};
    rule.per_vcpu_hour = kLossPrice * kVcpuValue * class_factor(vm_class);
    rule.per_gib_hour = kLossPrice * kGibValue * class_factor(vm_class);
    policy.values.push_back(std::move(rule));
  }
  return policy;
}

}  // namespace

HamOptions::HamOptions() {
  prices.contention_per_core_hour = 0;  // what waiting costs is the value of the work that is not done
  prices.shortfall_per_core_hour = 0;
  prices.memory_shortage_per_gib_hour = 10;
  prices.capacity_per_core_hour = 0;
  prices.imbalance_per_host_hour = 0;
  prices.migration_per_gib = 0;
  prices.action_fixed = kMigrationPrice_eur;
  prices.downtime_per_second = 0;
  prices.energy_per_kwh = kEnergyPrice_eur_kwh;
  prices.waiting_per_vm_hour = 0.048;
  prices.crowding_per_host_hour = 0.15;
  limits.cooldown = std::chrono::seconds(0);
  limits.concurrent_migrations = kNoLimit;
  limits.concurrent_migrations_per_host = kHostMigrationsMax;
  limits.settle_hosts = false;
  limits.moves_per_hour = kNoLimit;
  limits.moves_per_hour_per_host = kNoLimit;
  limits.moves_per_hour_per_vm = kNoLimit;
  limits.cpu_headroom = 0;
  limits.memory_headroom = 0;
  limits.memory_promise = 1.05;
  limits.memory_bursts = 3;
  limits.memory_comfort = 0.85;
  limits.payback = std::chrono::hours(6);
  limits.sleep_payback = std::chrono::hours(12);
  limits.awake_min = std::chrono::hours(12);
  limits.migration_bandwidth_bytes_per_s = 95 * kMiB;
  limits.gain_min = 0;
  limits.gain_floor = 0.12;
  limits.emptying_floor = 0.01;
  limits.slowdown_free = kLossFree;
  limits.spare_hosts = 0;
}

HamPolicy::HamPolicy(std::unique_ptr<OutlookSource> source, HamOptions options, std::optional<Learner> learner)
    : source_(std::move(source)),
      options_(std::move(options)),
      learner_(std::move(learner)),
      decider_([](const ham::ClusterState& state, const ham::Policy& policy, std::uint64_t seed) {
        return ham::decide(state, policy, seed);
      }) {}

HamPolicy::HamPolicy(std::unique_ptr<OutlookSource> source, HamOptions options, Decider decider)
    : source_(std::move(source)), options_(std::move(options)), decider_(std::move(decider)) {}

void HamPolicy::begin(const Console& console) {
  ids_ = Ids(console.names(), console.host_count(), console.vm_count());
  woken_at_.assign(console.host_count(), kNever);
  core_mhz_ = console.core_mhz();
  policy_ = options_.policy ? *options_.policy : make_policy(options_);
  policy_.automation = ham::Automation::kAutomatic;
  add_affinities(console, ids_, policy_);
  if (helpers_ && !options_.policy) policy_.helpers = {helper_rule(options_.limits.gain_floor)};
  if (!helpers_) policy_.helpers.clear();
}

void HamPolicy::add_hosts(const Console& console, ham::ClusterState& state) const {
  for (std::size_t h = 0; h < console.host_count(); ++h) {
    const HostClass& kind = console.host_class(static_cast<int>(h));
    const HostState& now = console.host(static_cast<int>(h));
    ham::HostState& host = state.hosts.emplace_back();
    host.id = ids_.host(h);
    host.fingerprint.host = host.id;
    host.fingerprint.cpu_capacity_cores = kind.cpu_mhz() / core_mhz_;
    host.fingerprint.memory_capacity_bytes = bytes_of(kind.memory_mib);
    host.fingerprint.run_queue_wait = *response_.cpu_curve(h);
    host.fingerprint.evidence_s = response_.cpu_evidence_s(h);
    host.fingerprint.wait_factor = response_.wait_factor(h);
    host.core_speed = kind.core_mhz / core_mhz_;
    host.disk = {kind.disk_kbs * kBytesPerKb, response_.disk_rest(h), response_.disk_curve(h)};
    host.network = {kind.network_kbs * kBytesPerKb, 1, response_.network_curve(h)};
    host.memory_available_bytes = bytes_of(kind.memory_mib - now.used_mib);
    host.fresh = host.commandable = now.power == Power::kOn;
    host.emptying = std::find(emptying_.begin(), emptying_.end(), host.id) != emptying_.end();
    host.asleep = now.power == Power::kAsleep;
    host.wake_time = std::chrono::seconds(kTick_s);
    if (woken_at_[h] != kNever) host.woken_at = console.time(woken_at_[h]);
    host.idle_watts = kind.idle_w;
    host.peak_watts = kind.peak_w;
  }
}

void HamPolicy::add_vms(const Console& console, ham::ClusterState& state) const {
  std::vector<std::pair<float, double>> weighted;
  for (std::size_t v = 0; v < console.vm_count(); ++v) {
    const int number = static_cast<int>(v);
    const VmState& now = console.vm(number);
    if (!now.present) continue;
    ham::VmState& vm = state.vms.emplace_back();
    vm.id = ids_.vm(v);
    // What is on its way counts where it is going to be.
    vm.host = ids_.host(static_cast<std::size_t>(now.migrating() ? now.target : now.host));
    // QEMU's own memory is part of what a VM holds.
    vm.allocation.vcpus = vm.allocation.vcpus_max = console.vcpus(number);
    vm.allocation.memory_bytes = bytes_of(now.balloon_mib + kVmOverhead_mib);
    vm.allocation.memory_max_bytes = bytes_of(console.provisioned_mib(number) + kVmOverhead_mib);
    vm.memory_resident_bytes = bytes_of(now.resident_mib + kVmOverhead_mib);
    vm.memory_peak_bytes = bytes_of(peak_mib_[v] + kVmOverhead_mib);
    vm.running = !now.down(console.tick());
    vm.cpu_used_cores = vm.cpu_demand_cores = console.newest(number, Series::kCpu) / core_mhz_;
    vm.disk_half_bytes_per_s = response_.disk_half_kbs() * kBytesPerKb;
    vm.network_half_bytes_per_s = response_.network_half_kbs() * kBytesPerKb;
    if (console.pinned(number)) vm.unmovable = "it is pinned";
    vm.name = vm.id.value;
    vm.groups["class"] = class_name(console.vm_class(number));
    if (console.scalable(number)) vm.groups["scalable"] = "yes";
    if (options_.policy && !console.names().tags.empty()) {
      for (const auto& [key, value] : console.names().tags[v]) vm.groups[key] = value;
    }
    vm.forecasts[forecast::Resource::kMemory] =
        flat_forecast(state.now, static_cast<double>(bytes_of(need_mib_[v] + kVmOverhead_mib)));
    if (options_.policy) {  // what work is worth is read from the paths, all else of CPUs from forecasts
      vm.forecasts[forecast::Resource::kCpu] =
          forecast_of_paths(state.now, outlook_, &outlook_.cpu_mhz[v * outlook_.cells()], core_mhz_, weighted);
    }
    if (now.moved_at != kNever) vm.last_action_end = console.time(now.moved_at);
    if (now.migrating()) {
      ham::InFlight flight;
      flight.vm = vm.id;
      flight.source = ids_.host(static_cast<std::size_t>(now.host));
      flight.target = vm.host;
      state.in_flight.push_back(std::move(flight));
    }
  }
}

std::shared_ptr<const ham::Scenarios> HamPolicy::scenarios(const Console& console) const {
  auto made = std::make_shared<ham::Scenarios>();
  std::vector<std::size_t> present;
  for (std::size_t v = 0; v < console.vm_count(); ++v) {
    if (console.vm(static_cast<int>(v)).present) present.push_back(v);
  }
  made->reset(present.size(), outlook_.ticks, outlook_.paths);
  made->weights = outlook_.weights;
  made->tick = std::chrono::seconds(kTick_s);
  const std::size_t cells = made->cells();
  for (std::size_t i = 0; i < present.size(); ++i) {
    for (std::size_t cell = 0; cell < cells; ++cell) {
      const std::size_t from = present[i] * cells + cell;
      const std::size_t to = i * cells + cell;
      made->cpu_cores[to] = outlook_.cpu_mhz[from] / static_cast<float>(core_mhz_);
      made->disk_bytes_per_s[to] = outlook_.disk_kbs[from] * static_cast<float>(kBytesPerKb);
      made->network_bytes_per_s[to] = outlook_.network_kbs[from] * static_cast<float>(kBytesPerKb);
    }
  }
  return made;
}

ham::ClusterState HamPolicy::observe(const Console& console) {
  source_->observe(console);
  response_.observe(console);
  source_->fill(console, outlook_);
  need_mib_ = source_->memory_needs(console);
  peak_mib_ = source_->memory_peaks(console);
  ham::ClusterState state;
  state.now = console.time(console.tick());
  add_hosts(console, state);
  add_vms(console, state);
  state.scenarios = scenarios(console);
  state.helpers = observe_helpers(console, ids_);
  if (learner_) Learner::add_served(console, ids_, state);
  return state;
}

bool HamPolicy::begin_move(Console& console, int v, int h) const {
  const VmState& vm = console.vm(v);
  // What has to wait for another migration, or for a host to wake, is decided anew at the next step.
  if (console.migration_refusal(v, h) != Refusal::kNone) return false;
  // While it moves its ceiling cannot be changed, so that it gets what it may need at all, as far as both hosts can
  // stand it and three more like it.
  const auto room = [&](int host) { return console.host_class(host).memory_mib - console.host(host).used_mib; };
  const double growth = std::min(room(vm.host), room(h) - vm.resident_mib - kVmOverhead_mib) / kHostMigrationsMax;
  const double wanted = console.provisioned_mib(v) - vm.resident_mib;
  console.set_balloon(v, vm.resident_mib + std::clamp(wanted, 0.0, std::max(0.0, growth)));
  return console.migrate(v, h);
}

void HamPolicy::carry_out(Console& console, const ham::ClusterState& state, const ham::Decision& decision) {
  emptying_ = decision.emptying;
  end_helpers(console, ids_, decision);
  for (const ham::Action& action : decision.chosen.actions) {
    if (const auto* move = std::get_if<Migrate>(&action.operation)) {
      const int vm = ids_.number(action.vm);
      const int target = ids_.number(move->target);
      const bool begun = begin_move(console, vm, target);
      if (begun && learner_) learner_->moving(vm, target, action, state, static_cast<std::uint64_t>(console.tick()));
    }
  }
  for (const ham::Action& action : decision.chosen.actions) {
    if (const auto* memory = std::get_if<SetMemory>(&action.operation)) {
      console.set_balloon(ids_.number(action.vm), static_cast<double>(memory->bytes) / kMiB - kVmOverhead_mib);
    }
  }
  start_helpers(console, ids_, decision);
  for (const ham::PowerChange& change : decision.power) {
    const int host = ids_.number(change.host);
    if (change.awake && console.wake(host)) woken_at_[static_cast<std::size_t>(host)] = console.tick();
    const HostState& now = console.host(host);
    if (!change.awake && now.vms.empty() && now.incoming.empty() && now.helped.empty()) console.sleep(host);
  }
}

void HamPolicy::decide(Console& console) {
  if (ids_.empty()) begin(console);
  const ham::ClusterState state = observe(console);
  const auto seed = static_cast<std::uint64_t>(console.tick());
  if (!learner_) return carry_out(console, state, decider_(state, policy_, seed));
  learner_->before(console, state, policy_);
  const ham::Decision decision = ham::decide(state, policy_, seed, &learner_->agent());
  learner_->decided(decision);
  carry_out(console, state, decision);
}

}  // namespace proteus::simulate::kvm
