#include "tests/controller/ham/random_world.h"

#include <random>
#include <set>
#include <string>

namespace proteus::ham {

World random_world(std::uint32_t seed) {
  std::mt19937 random(seed);
  const auto below = [&](std::uint32_t n) { return random() % n; };
  const auto uniform = [&](double low, double high) {
    return low + (high - low) * static_cast<double>(random()) / 4294967296.0;
  };
  World world;
  Cluster& cluster = world.cluster;
  const std::uint32_t hosts = 2 + below(5);
  const std::uint32_t vms = 3 + below(20);
  for (std::uint32_t h = 0; h < hosts; ++h) {
    HostState& host = cluster.host("h" + std::to_string(h), uniform(1, 8), 16 * kGiB);
    host.cpu_overhead_cores = uniform(0, 0.1);
    host.fresh = below(10) != 0;
    host.commandable = below(12) != 0;
    host.maintenance = below(8) == 0;
  }
  for (std::uint32_t v = 0; v < vms; ++v) {
    const int vcpus = 1 + static_cast<int>(below(4));
    VmState& vm = cluster.vm("v" + std::to_string(v), "h" + std::to_string(below(hosts)), vcpus,
                             below(2) == 0 ? -1 : uniform(0.2, 1) * vcpus, (1 + below(4)) * kGiB);
    set_flat_cpu(vm, cluster.state.now, uniform(0.02, 1.1) * vcpus);
    vm.allocation.vcpus_max = vcpus + static_cast<int>(below(3));
    vm.allocation.memory_max_bytes = vm.allocation.memory_bytes + below(3) * kGiB;
    if (below(3) == 0) set_memory(vm, cluster.state.now, static_cast<std::int64_t>(uniform(0.1, 1) * 1.1e9));
    if (below(10) == 0) vm.unmovable = "local disk";
    if (below(10) == 0) {
      vm.last_action_end = cluster.state.now - std::chrono::seconds(below(600));
      vm.last_action_failed = below(2) == 0;
    }
    if (below(12) == 0) vm.running = false;
    vm.dirty_bytes_per_s = below(200) * kMiB;
  }
  if (below(2) == 0) {
    const VmState& vm = cluster.state.vms[below(vms)];
    cluster.state.in_flight.push_back({1, vm.id, vm.host, HostId("h" + std::to_string(below(hosts))), below(2) == 0});
  }
  Policy& policy = world.policy;
  policy.limits.cooldown = std::chrono::minutes(5);
  policy.limits.concurrent_migrations = 1 + static_cast<int>(below(5));
  policy.limits.concurrent_migrations_per_host = 1 + static_cast<int>(below(3));
  policy.limits.moves_per_hour = static_cast<int>(below(10));
  const auto some = [&] {
    std::set<std::string> names;
    for (std::uint32_t i = 0; i < 2 + below(3); ++i) names.insert("v" + std::to_string(below(vms)));
    return names;
  };
  for (std::uint32_t i = 0; i < below(4); ++i) {
    AffinityRule rule;
    rule.name = "r" + std::to_string(i);
    rule.vms = some();
    rule.apart = below(3) != 0;
    rule.hard = below(3) != 0;
    policy.affinity.push_back(rule);
  }
  if (below(2) == 0) {
    PinRule pin;
    pin.name = "pin";
    pin.vms = some();
    pin.hosts = {"h0", "h1"};
    policy.pins.push_back(pin);
  }
  if (below(3) == 0) {
    ExcludeRule rule;
    rule.name = "out";
    rule.vms = some();
    policy.exclusions.push_back(rule);
  }
  if (below(3) == 0) {
    SizeRule rule;
    rule.name = "size";
    rule.vms = some();
    rule.cpu_cores_max = uniform(0.2, 4);
    rule.vcpus_max = 3;
    policy.sizes.push_back(rule);
  }
  if (below(3) == 0) {
    FaultDomain domain;
    domain.name = "rack";
    domain.hosts = {"h0", "h1", "h2"};
    policy.fault_domains.push_back(domain);
    for (AffinityRule& rule : policy.affinity) rule.by_fault_domain = below(2) == 0;
  }
  if (below(3) == 0) {
    WindowRule rule;
    rule.name = "window";
    rule.vms = some();
    rule.forbid = below(2) == 0;
    rule.migrate_only = below(2) == 0;
    rule.from_minute = static_cast<int>(below(24)) * 60;
    rule.to_minute = static_cast<int>(below(24)) * 60 + 30;
    policy.windows.push_back(rule);
  }
  if (below(3) == 0) {
    ReservationRule rule;
    rule.name = "own";
    rule.vms = some();
    rule.cpu_cores = uniform(0.1, 2);
    rule.memory_bytes = kGiB;
    policy.reservations.push_back(rule);
  }
  if (below(3) == 0) {
    HeadroomRule rule;
    rule.name = "thin";
    rule.hosts = {"h0"};
    rule.cpu = uniform(0.1, 0.5);
    policy.headrooms.push_back(rule);
  }
  if (below(3) == 0) {
    PriorityRule rule;
    rule.name = "first";
    rule.vms = some();
    rule.weight = uniform(0.1, 10);
    policy.priorities.push_back(rule);
  }
  for (std::uint32_t i = 0; i < below(4); ++i) {
    const VmState& vm = cluster.state.vms[below(vms)];
    cluster.state.recent_moves.emplace_back(cluster.state.now - std::chrono::minutes(below(90)), vm.id, vm.host,
                                            HostId("h" + std::to_string(below(hosts))));
  }
  policy.limits.moves_per_hour_per_host = 1 + static_cast<int>(below(4));
  policy.limits.moves_per_hour_per_vm = 1;
  if (below(4) == 0) {
    policy.strategies.consolidate = true;
    policy.prices.energy_per_kwh = 100;
    for (HostState& host : cluster.state.hosts) {
      host.idle_watts = 100;
      host.peak_watts = 200;
    }
  }
  if (below(3) == 0) {
    AutomationRule rule;
    rule.name = "ask";
    rule.vms = some();
    rule.level = Automation::kApprove;
    policy.automation_rules.push_back(rule);
  }
  cluster.ready();
  return world;
}

}  // namespace proteus::ham
