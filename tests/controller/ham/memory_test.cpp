#include "controller/ham/score/memory.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/controller/ham/random_world.h"

namespace proteus::ham {
namespace {

/// Lets a little of the cluster change, as from one cycle to the next, versions included.
void change_something(Cluster& cluster, std::mt19937& random, std::uint64_t& versions) {
  const auto below = [&](std::size_t n) { return random() % n; };
  ClusterState& state = cluster.state;
  const auto any_vm = [&]() -> VmState& { return state.vms[below(state.vms.size())]; };
  const auto any_host = [&]() -> HostState& { return state.hosts[below(state.hosts.size())]; };
  state.now += std::chrono::seconds(1 + below(20));
  switch (below(12)) {
    case 0: {
      VmState& vm = any_vm();
      set_flat_cpu(vm, state.now, 0.5 * static_cast<double>(1 + below(8)));
      vm.forecasts_version = below(4) == 0 ? 0 : ++versions;
      break;
    }
    case 1: {
      VmState& vm = any_vm();
      set_memory(vm, state.now, static_cast<std::int64_t>(1 + below(20)) * 100 * kMiB);
      vm.forecasts_version = ++versions;
      break;
    }
    case 2: any_host().cpu_overhead_cores += 0.05; break;
    case 3: any_vm().host = any_host().id; break;
    case 4: any_vm().allocation.cpu_quota_us = static_cast<std::int64_t>(1 + below(10)) * 10'000; break;
    case 5: any_vm().running = below(3) != 0; break;
    case 6: any_vm().memory_resident_bytes += 100 * kMiB; break;
    case 7: {
      VmState& vm = any_vm();
      vm.signature.storage_requests_per_s += 50;
      vm.signature.storage_lean_per_s += 20;
      vm.signature.packets_per_s += 1000;
      break;
    }
    case 8: {
      HostState& host = any_host();
      host.fingerprint.storage.curve = profile::ResponseCurve({{0, 0.001, 1, 0.0001}, {500, 0.01, 1, 0.002}});
      host.fingerprint.storage.evidence = 100;
      break;
    }
    case 9: {
      HostState& host = any_host();
      host.fingerprint.run_queue_wait = knee_curve();
      host.fingerprint.evidence_s += 100;
      break;
    }
    case 10: {
      VmState& vm = cluster.vm("new" + std::to_string(state.vms.size()), any_host().id.value, 2);
      set_flat_cpu(vm, state.now, 1);
      vm.forecasts_version = ++versions;
      break;
    }
    default: any_host().fresh = below(4) != 0; break;
  }
  cluster.ready();
}

TEST(Memory, MakesTheDecisionNoOther) {
  int with_actions = 0;
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    World world = random_world(seed);
    std::mt19937 random(seed);
    std::uint64_t versions = 0;
    for (VmState& vm : world.cluster.state.vms) vm.forecasts_version = ++versions;
    Memory memory;
    for (int cycle = 0; cycle < 20; ++cycle) {
      const ClusterState& state = world.cluster.state;
      const Decision anew = decide(state, world.policy, seed);
      ASSERT_EQ(dump(decide(state, world.policy, seed, nullptr, &memory)), dump(anew)) << seed << " " << cycle;
      if (!anew.chosen.actions.empty()) ++with_actions;
      if (cycle % 7 == 6) carry_out(world.cluster.state, anew.chosen.actions);
      for (std::size_t changes = random() % 3; changes > 0; --changes) {
        change_something(world.cluster, random, versions);
      }
    }
  }
  EXPECT_GT(with_actions, 100);
}

// What is kept is used: a state that breaks the promise of its versions is not looked at again.
TEST(Memory, DoesNotWorkOutAgainWhatHasTheSameVersion) {
  Cluster cluster;
  cluster.host("h1", 4);
  VmState& vm = cluster.vm("a", "h1", 2);
  set_flat_cpu(vm, cluster.state.now, 1);
  vm.forecasts_version = 1;
  cluster.ready();
  const Policy policy;
  Memory memory;
  const ClusterModel first(cluster.state, policy, &memory);
  const double load = memory.plan_of(first).load(0).median[0];
  set_flat_cpu(cluster.find("a"), cluster.state.now, 1.5);
  const ClusterModel kept(cluster.state, policy, &memory);
  EXPECT_EQ(memory.plan_of(kept).load(0).median[0], load);
  cluster.find("a").forecasts_version = 2;
  const ClusterModel renewed(cluster.state, policy, &memory);
  EXPECT_EQ(memory.plan_of(renewed).load(0).median[0], 1.5);
}

}  // namespace
}  // namespace proteus::ham
