#include "controller/ham/learning/follower.h"

#include <algorithm>
#include <memory>

#include "controller/ham/score/plan_state.h"
#include "controller/ham/score/scenarios.h"

namespace proteus::ham::learning {
namespace {

/// Less of the horizon than this tells nothing.
constexpr double kShareMin = 1.0 / 3;
/// What was decided longer ago than this share of the horizon was decided for another time.
constexpr double kDelayMax = 0.25;
/// Telemetry shows within so long what an action did.
constexpr Nanoseconds kSettling = std::chrono::seconds(5);
/// Between two looks at most; a longer gap is not counted.
constexpr double kGapMax_s = 600;
/// Modelled waiting, priced, at which half of what hosts show counts.
constexpr double kPriorCurrency = 1.0;
constexpr double kCalibrationMax = 4;
/// What hosts showed counts so much less after each look that tells something.
constexpr double kCalibrationMemory = 0.9999;
constexpr double kBytesPerGib = static_cast<double>(kGiB);

/// Demand as it is, for the whole horizon and for certain.
forecast::Forecast certain_demand(Timestamp now, double cores) {
  forecast::Forecast demand;
  demand.made_at = now;
  demand.step = std::chrono::minutes(1);
  demand.steps = {{cores, cores, cores, cores, cores}};
  demand.window_max = demand.steps.front();
  demand.model = "measured";
  return demand;
}

}  // namespace

void Follower::began(const Action& action, std::uint64_t decision, const ClusterState& state) {
  ++changes_;
  if (!action.learned) {
    for (auto& [id, followed] : followed_) {
      if (followed.decision == decision && followed.vm == action.vm) followed.open.insert(action.id);
    }
    return;
  }
  const VmState* vm = state.find_vm(action.vm);
  if (vm == nullptr) return;
  Followed& followed = followed_[action.id];
  followed.vm = action.vm;
  followed.note = *action.learned;
  followed.decision = decision;
  followed.source = vm->host;
  const auto* move = std::get_if<Migrate>(&action.operation);
  followed.target = move != nullptr ? move->target : vm->host;
  followed.before = vm->allocation;
  followed.began = state.now;
  followed.open = {action.id};
  followed.copied_bytes = action.learned->copied_bytes;
}

void Follower::sent(const Action& action, std::uint64_t decision, Timestamp when) {
  const auto* move = std::get_if<Migrate>(&action.operation);
  const auto own = followed_.find(action.id);
  ++changes_;
  bool alone = true;
  for (auto& [id, other] : followed_) {
    if (!other.sent || (other.decision == decision && other.vm == action.vm)) continue;
    if (!other.touches(action.host) && (move == nullptr || !other.touches(move->target))) continue;
    other.cut = true;
    if (!other.verified) alone = false;
  }
  if (own == followed_.end()) return;
  Followed& followed = own->second;
  const auto delay_max = from_seconds(kDelayMax * to_seconds(followed.note.horizon));
  if (!alone || (!followed.sent && when - followed.began > delay_max)) {
    followed_.erase(own);
    return;
  }
  if (!followed.sent) followed.sent = when;
}

void Follower::ended(ActionId action, bool verified, Timestamp when, const std::optional<MigrationProgress>& progress) {
  for (auto it = followed_.begin(); it != followed_.end(); ++it) {
    Followed& followed = it->second;
    if (followed.open.erase(action) == 0) continue;
    ++changes_;
    if (!verified || !followed.sent) {
      followed_.erase(it);
      return;
    }
    if (progress && progress->bytes_processed > 0) {
      followed.copied_bytes = static_cast<double>(progress->bytes_processed);
      followed.downtime_s = static_cast<double>(progress->downtime_ms) / 1e3;
    }
    if (followed.open.empty()) followed.verified = when;
    return;
  }
}

namespace {

/// What the VM waited for CPUs, storage and network, and the work that it did not get done where that has a value,
/// priced; currency per hour. nullopt: not measured.
std::optional<double> measured(const ClusterModel& model, std::size_t v, const VmState& vm) {
  const Prices& prices = model.policy.prices;
  const double waits = vm.run_queue_wait_ratio * vm.cpu_used_cores;
  const double undone = std::max(0.0, vm.cpu_demand_cores - vm.cpu_used_cores);
  const double waiting =
      model.vms[v].priority *
      (prices.contention_per_core_hour * waits + prices.shortfall_per_core_hour * undone +
       prices.storage_wait_per_core_hour * vm.stalls.storage + prices.network_wait_per_core_hour * vm.stalls.network);
  if (model.service == nullptr) return waiting;
  if (!vm.served) return std::nullopt;
  const double lost = std::max(0.0, 1 - model.policy.limits.slowdown_free - vm.served->performance);
  return waiting + model.vms[v].value_per_hour * lost + (vm.served->kept_waiting ? prices.waiting_per_vm_hour : 0);
}

/// What it cannot run for because the host has to find memory for it. By the work that gets done it is measured
/// already.
double stalled_for_memory(const ClusterModel& model, std::size_t v, const VmState& vm) {
  if (model.service != nullptr) return 0;
  return model.vms[v].priority * model.policy.prices.memory_wait_per_core_hour * vm.stalls.memory;
}

/// What the VMs want now, and nothing else; [vm] as in the part of the state that is looked at.
std::shared_ptr<const Scenarios> as_it_is(const std::vector<const VmState*>& vms) {
  auto now = std::make_shared<Scenarios>();
  now->reset(vms.size(), 1, 1);
  for (std::size_t v = 0; v < vms.size(); ++v) {
    now->cpu_cores[v] = static_cast<float>(vms[v]->cpu_demand_cores);
    if (!vms[v]->served) continue;
    now->disk_bytes_per_s[v] = static_cast<float>(vms[v]->served->disk_bytes_per_s);
    now->network_bytes_per_s[v] = static_cast<float>(vms[v]->served->network_bytes_per_s);
  }
  return now;
}

}  // namespace

std::optional<Follower::Waiting> Follower::waiting(const ClusterState& state, const Policy& policy,
                                                   const std::set<HostId>& hosts, const Followed* without) {
  ClusterState part;
  part.now = state.now;
  const bool by_value = !policy.values.empty();
  for (const HostState& host : state.hosts) {
    if (!hosts.contains(host.id)) continue;
    // Nobody waits on a host that is asleep.
    if (!host.fresh && !host.asleep) return std::nullopt;
    part.hosts.push_back(host);
    // Unknown: memory is not what is compared, unless by the work that gets done.
    if (!by_value) part.hosts.back().fingerprint.memory_capacity_bytes = 0;
    part.hosts.back().fingerprint.memory = {};
  }
  if (part.hosts.size() != hosts.size()) return std::nullopt;
  std::vector<const VmState*> now;
  for (const VmState& vm : state.vms) {
    if (!vm.running || !hosts.contains(vm.host)) continue;
    VmState& there = part.vms.emplace_back();
    there.id = vm.id;
    there.name = vm.name;
    there.groups = vm.groups;
    there.host = vm.host;
    there.running = true;
    there.allocation = vm.allocation;
    there.signature = vm.signature;
    there.signature.exits_per_s = 0;  // what they take is not measured
    if (by_value) {
      there.memory_resident_bytes = vm.memory_resident_bytes;
      there.disk_half_bytes_per_s = vm.disk_half_bytes_per_s;
      there.network_half_bytes_per_s = vm.network_half_bytes_per_s;
    }
    there.forecasts[forecast::Resource::kCpu] = certain_demand(state.now, vm.cpu_demand_cores);
    if (without != nullptr && vm.id == without->vm) {
      if (without->verified && vm.host != without->target) return std::nullopt;
      there.host = without->source;
      there.allocation = without->before;
    }
    now.push_back(&vm);
  }
  if (without != nullptr &&
      std::none_of(now.begin(), now.end(), [&](const VmState* vm) { return vm->id == without->vm; })) {
    return std::nullopt;
  }
  if (by_value) part.scenarios = as_it_is(now);
  const ClusterModel model(part, policy);
  Waiting waiting;
  for (std::size_t v = 0; v < now.size(); ++v) {
    const std::optional<double> waits = measured(model, v, *now[v]);
    if (!waits) return std::nullopt;
    waiting.measured += *waits;
    waiting.stalled += stalled_for_memory(model, v, *now[v]);
  }
  waiting.modelled = -PlanState(model).total().performance;
  return waiting;
}

double Follower::calibration() const {
  return std::clamp((measured_ + kPriorCurrency) / (modelled_ + kPriorCurrency), 1 / kCalibrationMax, kCalibrationMax);
}

void Follower::calibrate(const ClusterState& state, const Policy& policy, double seconds) {
  if (state.hosts.empty()) return;
  const HostState& host = state.hosts[turn_++ % state.hosts.size()];
  for (const auto& [id, followed] : followed_) {
    if (followed.touches(host.id)) return;
  }
  for (const InFlight& flight : state.in_flight) {
    if (flight.source == host.id || flight.target == host.id) return;
  }
  const std::optional<Waiting> seen = waiting(state, policy, {host.id}, nullptr);
  if (!seen || seen->measured + seen->modelled <= 0) return;
  measured_ = kCalibrationMemory * measured_ + seen->measured * seconds / 3600;
  modelled_ = kCalibrationMemory * modelled_ + seen->modelled * seconds / 3600;
}

double Follower::reward(const Followed& followed, const Policy& policy) {
  const double payback_h = to_seconds(policy.limits.payback) / 3600;
  const double relief = followed.relief_after / followed.after_s * 3600;
  const double took_h = to_seconds(*followed.verified - *followed.sent) / 3600;
  // While it was under way, relief did not come yet, and copying disturbed both hosts.
  const double lost = (relief * took_h - followed.relief_during) / payback_h;
  const double copied = (followed.copied_bytes - followed.note.copied_bytes) / kBytesPerGib;
  return relief + followed.note.utilisation - lost - followed.note.cost -
         policy.prices.migration_per_gib * copied / payback_h -
         policy.prices.downtime_per_second * followed.downtime_s / payback_h;
}

std::vector<Realised> Follower::observe(const ClusterState& state, const Policy& policy) {
  std::vector<Realised> known;
  const double seconds = observed_ ? to_seconds(state.now - *observed_) : 0;
  observed_ = state.now;
  if (seconds <= 0) return known;
  const bool counts = seconds <= kGapMax_s;
  if (counts) calibrate(state, policy, seconds);
  const double factor = calibration();
  for (auto it = followed_.begin(); it != followed_.end();) {
    Followed& followed = it->second;
    const bool settled = followed.verified && state.now - *followed.verified > kSettling;
    if (counts && followed.sent && !followed.cut && (settled || !followed.verified)) {
      if (const auto seen = waiting(state, policy, {followed.source, followed.target}, &followed)) {
        // What was so before is not the action's doing; the formulas know nothing of it.
        if (!followed.stalled_before) followed.stalled_before = seen->stalled;
        const double stalled = seen->stalled - *followed.stalled_before;
        const double relief = (factor * seen->modelled - seen->measured - stalled) * seconds / 3600;
        (followed.verified ? followed.relief_after : followed.relief_during) += relief;
        if (followed.verified) followed.after_s += seconds;
      }
    }
    const double horizon_s = to_seconds(followed.note.horizon);
    const bool over = followed.verified && to_seconds(state.now - *followed.verified) >= horizon_s;
    if (!over && !followed.cut) {
      ++it;
      continue;
    }
    const double share = std::min(1.0, followed.after_s / horizon_s);
    if (followed.verified && share >= kShareMin) {
      known.push_back({it->first, followed.vm, followed.note, reward(followed, policy), share});
    }
    it = followed_.erase(it);
    ++changes_;
  }
  return known;
}

void Follower::keep_open(const std::set<ActionId>& known) {
  std::erase_if(followed_, [&](const auto& entry) {
    const std::set<ActionId>& open = entry.second.open;
    return std::any_of(open.begin(), open.end(), [&](ActionId action) { return !known.contains(action); });
  });
}

void Follower::forget_all() {
  followed_.clear();
  observed_.reset();
}

}  // namespace proteus::ham::learning
