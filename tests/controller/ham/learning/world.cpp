#include "tests/controller/ham/learning/world.h"

#include <fmt/core.h>

#include <algorithm>

namespace proteus::ham {
namespace {

constexpr double kCores = 4;
constexpr double kIdle_cores = 0.3;
constexpr double kBusy_cores = 1.8;
constexpr double kBusyShare = 0.35;
/// Minutes that a VM keeps its level for, on the mean.
constexpr double kKept = 120;
constexpr int kHorizon_min = 10;

/// Uniform in [0, 1); the standard library's distributions differ between libraries.
double uniform(std::mt19937_64& random) {
  return static_cast<double>(random() >> 11) * 0x1p-53;
}

forecast::Forecast outlook(Timestamp now, double cores) {
  forecast::Forecast f;
  f.made_at = now;
  f.step = std::chrono::minutes(1);
  f.model = "seasonal_naive";
  f.steps.assign(kHorizon_min, {0.9 * cores, cores, 1.1 * cores, 1.15 * cores, 1.2 * cores});
  f.window_max = f.steps.front();
  return f;
}

}  // namespace

World::World(std::uint64_t seed) : policy_(eager_policy()), random_(seed) {
  policy_.limits.concurrent_migrations = 2;
  policy_.limits.concurrent_migrations_per_host = 1;
  policy_.limits.cooldown = std::chrono::minutes(5);
  for (int h = 0; h < kHosts; ++h) cluster_.host(fmt::format("h{}", h), kCores);
  for (int v = 0; v < kHosts * kVmsPerHost; ++v) {
    cluster_.vm(fmt::format("v{:02}", v), fmt::format("h{}", v % kHosts), 2);
    levels_.push_back(uniform(random_) < kBusyShare ? kBusy_cores : kIdle_cores);
  }
  cluster_.ready();
}

void World::pass_minute() {
  ClusterState& state = cluster_.state;
  state.now += std::chrono::minutes(1);
  ++minute_;
  std::map<HostId, double> demand;
  for (std::size_t v = 0; v < state.vms.size(); ++v) {
    const bool switches = uniform(random_) < 1 / kKept;
    const bool busy = uniform(random_) < kBusyShare;
    if (switches) levels_[v] = busy ? kBusy_cores : kIdle_cores;
    const double cores = levels_[v] * (0.9 + 0.2 * uniform(random_));
    state.vms[v].cpu_demand_cores = cores;
    state.vms[v].forecasts[forecast::Resource::kCpu] = outlook(state.now, cores);
    demand[state.vms[v].host] += cores;
  }
  for (VmState& vm : state.vms) {
    const double total = demand[vm.host];
    const HostState& host = cluster_.find_host(vm.host.value);
    vm.cpu_used_cores = vm.cpu_demand_cores * std::min(1.0, kCores / total);
    double waits = vm.cpu_demand_cores * host.fingerprint.run_queue_wait.at(total / kCores);
    waits *= truth.waiting * (0.8 + 0.4 * uniform(random_));
    if (harmed_until_[vm.host] > minute_) waits += truth.arrival_harm_cores;
    waits = std::min(waits, vm.allocation.vcpus - vm.cpu_used_cores);
    vm.run_queue_wait_ratio = waits / vm.cpu_used_cores;
    cost_ += (policy_.prices.contention_per_core_hour * waits +
              policy_.prices.shortfall_per_core_hour * (vm.cpu_demand_cores - vm.cpu_used_cores)) /
             60;
  }
}

void World::carry_out(const Decision& decision, learning::Agent* agent) {
  for (Action action : decision.chosen.actions) {
    action.id = next_action_++;
    if (agent != nullptr) {
      agent->began(action, decision.id, cluster_.state);
      agent->sent(action, decision.id, cluster_.state.now);
    }
    under_way_.push_back({action, minute_ + 1});
    cost_ += policy_.prices.action_fixed + policy_.prices.migration_per_gib;
    ++moves_;
  }
}

void World::run(int minutes, learning::Agent* agent) {
  for (int end = minute_ + minutes; minute_ < end;) {
    std::vector<Action> arrived;
    for (const Arrival& arrival : under_way_) {
      if (arrival.minute <= minute_) arrived.push_back(arrival.action);
    }
    std::erase_if(under_way_, [&](const Arrival& arrival) { return arrival.minute <= minute_; });
    ham::carry_out(cluster_.state, arrived);
    for (const Action& action : arrived) {
      harmed_until_[std::get<Migrate>(action.operation).target] = minute_ + 1 + kHorizon_min;
      if (agent != nullptr) agent->ended(action.id, true, cluster_.state.now, std::nullopt);
    }
    std::erase_if(cluster_.state.recent_moves,
                  [&](const RecentMove& move) { return cluster_.state.now - move.end > std::chrono::hours(1); });
    pass_minute();
    ClusterState& state = cluster_.state;
    state.in_flight.clear();
    for (const Arrival& arrival : under_way_) {
      const auto& move = std::get<Migrate>(arrival.action.operation);
      state.in_flight.push_back({arrival.action.id, arrival.action.vm, arrival.action.host, move.target, false});
    }
    if (agent != nullptr) {
      for (learning::Outcome& outcome : agent->observe(state, policy_)) outcomes_.push_back(std::move(outcome));
    }
    Decision decision = decide(state, policy_, static_cast<std::uint64_t>(minute_), agent);
    decision.id = static_cast<std::uint64_t>(minute_);
    if (agent != nullptr) agent->on_decision(decision);
    if (!decision.chosen.actions.empty() || !decision.learning.held.empty()) decided_ += dump(decision);
    carry_out(decision, agent);
  }
}

}  // namespace proteus::ham
