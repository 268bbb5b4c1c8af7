// What one decision costs, by the size of the cluster: `bench_decide`. Recorded in docs/benchmarks.md.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <random>
#include <string>

#include "controller/ham/decision.h"
#include "controller/ham/learning/agent.h"

namespace proteus::ham {
namespace {

/// VMs placed at random, so that some hosts are contended and some VMs are at their limit; a forecast of 30 steps for
/// each.
ClusterState make_state(int hosts, int vms_per_host, double load) {
  std::mt19937 random(1);
  const auto uniform = [&](double low, double high) {
    return low + (high - low) * static_cast<double>(random()) / 4294967296.0;
  };
  ClusterState state;
  state.now = from_unix_ns(1'700'000'000'000'000'000);
  for (int h = 0; h < hosts; ++h) {
    HostState host;
    host.id = HostId("h" + std::to_string(h));
    host.fingerprint.cpu_capacity_cores = uniform(1.2, 2.4) * vms_per_host;
    host.fingerprint.memory_capacity_bytes = vms_per_host * 13 * kGiB;
    host.fingerprint.run_queue_wait = profile::prior_curve(host.fingerprint.cpu_capacity_cores);
    host.fingerprint.evidence_s = 3600;
    host.memory_available_bytes = vms_per_host * 6 * kGiB;
    host.fresh = host.commandable = true;
    state.hosts.push_back(std::move(host));
  }
  for (int v = 0; v < hosts * vms_per_host; ++v) {
    VmState vm;
    vm.id = VmId("v" + std::to_string(v));
    vm.name = vm.id.value;
    vm.host = HostId("h" + std::to_string(random() % static_cast<unsigned>(hosts)));
    vm.running = true;
    vm.allocation.vcpus = 1 + static_cast<int>(random() % 4);
    vm.allocation.vcpus_max = vm.allocation.vcpus;
    if (random() % 2 == 0) vm.allocation.cpu_quota_us = static_cast<std::int64_t>(uniform(40'000, 100'000));
    vm.allocation.memory_bytes = vm.allocation.memory_max_bytes = vm.memory_resident_bytes = 4 * kGiB;
    vm.dirty_bytes_per_s = kMiB;
    forecast::Forecast f;
    f.made_at = state.now;
    f.step = std::chrono::minutes(1);
    f.model = "holt_damped";
    const double from = uniform(0, load) * vm.allocation.vcpus;
    const double to = uniform(0, load) * vm.allocation.vcpus;
    for (int i = 0; i < 30; ++i) {
      const double p50 = from + (to - from) * i / 29;
      f.steps.push_back({p50 * 0.9, p50, p50 * 1.1, p50 * 1.15, p50 * 1.2});
    }
    f.window_max = from < to ? f.steps.back() : f.steps.front();
    vm.cpu_demand_cores = vm.cpu_used_cores = from;
    vm.forecasts[forecast::Resource::kCpu] = std::move(f);
    state.vms.push_back(std::move(vm));
  }
  std::sort(state.hosts.begin(), state.hosts.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  std::sort(state.vms.begin(), state.vms.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return state;
}

/// Arguments: hosts, VMs a host, migrations that may run at once.
void decide_cost(benchmark::State& run, double load) {
  const ClusterState state = make_state(static_cast<int>(run.range(0)), static_cast<int>(run.range(1)), load);
  Policy policy;
  policy.automation = Automation::kAutomatic;
  policy.limits.concurrent_migrations = static_cast<int>(run.range(2));
  policy.limits.moves_per_hour = 100'000;
  std::size_t actions = 0;
  std::size_t moves = 0;
  for (auto _ : run) {
    const Decision decision = decide(state, policy, 1);
    actions = decision.chosen.actions.size();
    moves = static_cast<std::size_t>(
        std::count_if(decision.chosen.actions.begin(), decision.chosen.actions.end(),
                      [](const Action& action) { return std::holds_alternative<Migrate>(action.operation); }));
    benchmark::DoNotOptimize(actions);
  }
  run.counters["vms"] = static_cast<double>(state.vms.size());
  run.counters["actions"] = static_cast<double>(actions);
  run.counters["moves"] = static_cast<double>(moves);
}

void quiet(benchmark::State& run) {
  decide_cost(run, 0.5);
}
void contended(benchmark::State& run) {
  decide_cost(run, 1.1);
}

/// An agent that acts: moves were worth nothing to it.
learning::Agent acting_agent() {
  learning::Agent agent;
  learning::Outcome outcome;
  outcome.vm = VmId("v");
  outcome.note.kind = learning::Kind::kMigrate;
  outcome.note.features[2] = 1;
  outcome.note.predicted = outcome.note.gain = 8;
  outcome.note.scale = 10;
  for (int i = 0; i < 100; ++i) {
    outcome.realised = -8 + i % 3;
    agent.refine(outcome);
  }
  return agent;
}

/// The same decision without learning (0), beside an agent that watches (1), and with one that acts (2).
void learned(benchmark::State& run) {
  const ClusterState state = make_state(static_cast<int>(run.range(0)), static_cast<int>(run.range(1)), 1.1);
  Policy policy;
  policy.automation = Automation::kAutomatic;
  const learning::Agent watching;
  const learning::Agent acting = acting_agent();
  const learning::Agent* agents[] = {nullptr, &watching, &acting};
  std::size_t held = 0;
  for (auto _ : run) {
    const Decision decision = decide(state, policy, 1, agents[run.range(2)]);
    held = decision.learning.held.size();
    benchmark::DoNotOptimize(held);
  }
  run.counters["held"] = static_cast<double>(held);
}

/// What an agent does each cycle beside: so many actions are being followed.
void followed(benchmark::State& run) {
  ClusterState state = make_state(static_cast<int>(run.range(0)), static_cast<int>(run.range(1)), 0.5);
  const Policy policy;
  learning::Agent agent;
  agent.observe(state, policy);
  for (ActionId id = 1; id <= static_cast<ActionId>(run.range(2)); ++id) {
    const VmState& vm = state.vms[id * 7919 % state.vms.size()];
    Action raise;
    raise.id = id;
    raise.vm = vm.id;
    raise.host = vm.host;
    raise.operation = SetCpuQuota{90'000, 100'000};
    raise.learned = learning::Note{};
    raise.learned->scale = 1;
    raise.learned->horizon = std::chrono::hours(24 * 365);
    agent.began(raise, id, state);
    agent.sent(raise, id, state.now);
    agent.ended(id, true, state.now, std::nullopt);
  }
  for (auto _ : run) {
    state.now += std::chrono::seconds(1);
    benchmark::DoNotOptimize(agent.observe(state, policy).size());
  }
  run.counters["followed"] = static_cast<double>(agent.follower().following());
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"hosts", "vms_per_host", "at_once"})->Unit(benchmark::kMillisecond);
  for (const auto& [hosts, vms] : {std::pair(2, 10), std::pair(10, 10), std::pair(100, 10), std::pair(300, 10),
                                   std::pair(1000, 20), std::pair(5000, 20)}) {
    bench->Args({hosts, vms, 2});
    if (hosts >= 100) bench->Args({hosts, vms, hosts / 10});
  }
}

BENCHMARK(quiet)->Apply(sizes);
BENCHMARK(contended)->Apply(sizes);
BENCHMARK(learned)
    ->ArgNames({"hosts", "vms_per_host", "agent"})
    ->Unit(benchmark::kMillisecond)
    ->ArgsProduct({{100, 1000}, {20}, {0, 1, 2}});
BENCHMARK(followed)
    ->ArgNames({"hosts", "vms_per_host", "actions"})
    ->Unit(benchmark::kMillisecond)
    ->ArgsProduct({{100, 1000}, {20}, {0, 1, 10}});

}  // namespace
}  // namespace proteus::ham

BENCHMARK_MAIN();
