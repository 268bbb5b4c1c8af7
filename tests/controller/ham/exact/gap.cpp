#include "tests/controller/ham/exact/gap.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <random>

#include "controller/ham/score/plan_state.h"
#include "controller/ham/search/search.h"
#include "tests/controller/ham/cluster.h"
#include "tests/controller/ham/exact/exact_solver.h"

namespace proteus::ham {
namespace {

/// What no migration can change: what VMs' own allocations cost.
double fixed_cost(const PlanState& plan) {
  double cost = 0;
  for (std::size_t v = 0; v < plan.model().vms.size(); ++v) cost += plan.own_cost(v);
  return cost;
}

}  // namespace

GapCase random_case(std::uint32_t seed, int hosts_max) {
  std::mt19937 random(seed);
  const auto below = [&](std::uint32_t n) { return random() % n; };
  const auto uniform = [&](double low, double high) {
    return low + (high - low) * static_cast<double>(random()) / 4294967296.0;
  };
  GapCase test;
  Cluster cluster;
  const int hosts = 2 + static_cast<int>(below(static_cast<std::uint32_t>(hosts_max - 1)));
  double capacity = 0;
  for (int h = 0; h < hosts; ++h) {
    const double cores = 4.0 * (1 + below(6));
    HostState& host = cluster.host("h" + std::to_string(10 + h), cores, static_cast<std::int64_t>(cores) * 6 * kGiB);
    host.fingerprint.run_queue_wait = profile::prior_curve(cores);
    host.cpu_overhead_cores = uniform(0, 0.02) * cores;
    capacity += cores;
  }
  const int vms = std::min(100, hosts * 2 + static_cast<int>(below(static_cast<std::uint32_t>(hosts * 3 + 1))));
  std::vector<double> shares;
  double sum = 0;
  for (int v = 0; v < vms; ++v) sum += shares.emplace_back(uniform(0.2, 1.8));
  const double wanted = uniform(0.45, 0.80) * capacity;
  std::vector<std::int64_t> free_bytes;
  for (const HostState& host : cluster.state.hosts) {
    free_bytes.push_back(static_cast<std::int64_t>(static_cast<double>(host.fingerprint.memory_capacity_bytes) * 0.9));
  }
  for (int v = 0; v < vms; ++v) {
    const double share = std::min(3.5, wanted * shares[static_cast<std::size_t>(v)] / sum);
    const double cores = kExactGrid_cores * std::max(1.0, std::round(share / kExactGrid_cores));
    const std::int64_t memory = (1 + below(8)) * kGiB;
    std::size_t h = below(static_cast<std::uint32_t>(hosts));
    for (int tries = 0; free_bytes[h] < memory && tries < hosts; ++tries) h = (h + 1) % free_bytes.size();
    if (free_bytes[h] < memory) continue;
    free_bytes[h] -= memory;
    VmState& vm = cluster.vm("v" + std::to_string(100 + v), cluster.state.hosts[h].id.value, 16, -1, memory);
    set_cpu(vm, flat_forecast(cluster.state.now, cores, 0, 0));
    if (below(20) == 0) vm.unmovable = "its disk is on this host";
  }
  test.policy = eager_policy();
  test.policy.strategies.reshape = false;
  test.policy.limits.gain_min = 0;
  // Arrival at once: the solver does not know the contention until a VM has arrived.
  test.policy.limits.migration_bandwidth_bytes_per_s = 1024 * kGiB;
  const auto some = [&](std::uint32_t count) {
    std::set<std::string> names;
    for (std::uint32_t i = 0; i < count; ++i) {
      names.insert("v" + std::to_string(100 + below(static_cast<std::uint32_t>(vms))));
    }
    return names;
  };
  if (seed % 3 == 1) {
    for (std::uint32_t i = 0; i < 1 + below(2); ++i) {
      AffinityRule rule;
      rule.name = "apart" + std::to_string(i);
      rule.vms = some(std::min(5u, static_cast<std::uint32_t>(hosts)));
      rule.apart = true;
      test.policy.affinity.push_back(rule);
    }
    PinRule pin;
    pin.name = "pin";
    pin.vms = some(2);
    pin.hosts = {"h10", "h11"};
    test.policy.pins.push_back(pin);
  }
  if (seed % 3 == 2 && hosts > 2) cluster.state.hosts[below(static_cast<std::uint32_t>(hosts))].maintenance = true;
  cluster.ready();
  test.state = std::move(cluster.state);
  return test;
}

Gap measure_gap(const GapCase& test, std::uint32_t seed, int nodes_max) {
  const ClusterModel model(test.state, test.policy);
  PlanState plan(model);
  Gap gap;
  gap.hosts = static_cast<int>(model.hosts.size());
  gap.vms = static_cast<int>(model.vms.size());
  const double fixed = fixed_cost(plan);
  gap.nothing = -plan.total().total() - fixed;
  const std::clock_t begin = std::clock();
  const SearchResult found = search(plan, seed);
  gap.search_cpu_s = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  gap.evaluations = found.evaluations;
  gap.ours = -plan.total().total() - fixed;
  gap.ours_moves = plan.migrations_planned();
  gap.ours_violations = plan.hard_violations();
  std::vector<std::size_t> hosts;
  for (std::size_t v = 0; v < model.vms.size(); ++v) hosts.push_back(plan.placement(v).host);
  const ExactResult exact = solve_exactly(model, hosts, gap.ours, nodes_max);
  gap.optimum = exact.optimum;
  gap.bound = exact.bound;
  gap.in_any_order = exact.in_any_order;
  gap.proven = exact.proven();
  gap.solver_violations = exact.violations;
  gap.broken_price = test.policy.prices.rule_violation_per_hour * exact.violations;
  return gap;
}

}  // namespace proteus::ham
