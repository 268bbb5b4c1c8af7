#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "controller/ham/decision.h"
#include "controller/ham/rules/selector.h"
#include "tests/controller/ham/cluster.h"

namespace proteus::ham {
namespace {

/// A cluster and a policy with every kind of rule and obstacle, all flat demand, so that what a host needs can be
/// worked out here in another way than the search does.
struct World {
  Cluster cluster;
  Policy policy = eager_policy();
};

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

bool counts(const ClusterState& state, const VmState& vm) {
  return vm.running && state.find_host(vm.host) != nullptr;
}

double host_p90(const ClusterState& state, const Policy& policy, const HostId& id) {
  double median = 0;
  double spread = 0;
  double square = 0;
  for (const VmState& vm : state.vms) {
    if (vm.host != id || !vm.running) continue;
    const forecast::Quantiles& q = vm.forecasts.at(forecast::Resource::kCpu).steps.front();
    const double limit = vm.allocation.cpu_limit_cores();
    double own = 0;
    for (const ReservationRule& rule : policy.reservations) {
      if (selects_vm(rule.vms, vm)) own = std::min<double>(rule.cpu_cores, vm.allocation.vcpus);
    }
    const double low = std::max(own, std::min(q.p50, limit));
    const double s = std::max(own, std::min(q.p90, limit)) - low;
    median += low;
    spread += s;
    square += s * s;
  }
  return median + std::sqrt(0.5 * square + 0.5 * spread * spread) + state.find_host(id)->cpu_overhead_cores;
}

std::int64_t promised(const ClusterState& state, const HostId& id) {
  std::int64_t sum = 0;
  for (const VmState& vm : state.vms) {
    if (vm.host == id && vm.running) sum += vm.allocation.memory_bytes;
  }
  return sum;
}

/// The window is open at the state's time; here by the minute of the day alone, since all days count.
bool open_now(const ClusterState& state, const WindowRule& rule) {
  const std::int64_t minute = to_unix_ns(state.now) / 60'000'000'000 % (24 * 60);
  if (rule.from_minute < rule.to_minute) return minute >= rule.from_minute && minute < rule.to_minute;
  return minute >= rule.from_minute || minute < rule.to_minute;
}

int moves_last_hour(const ClusterState& state, const auto& concerns) {
  return static_cast<int>(std::count_if(state.recent_moves.begin(), state.recent_moves.end(), [&](const RecentMove& m) {
    return state.now - m.end < std::chrono::hours(1) && concerns(m);
  }));
}

/// Pairs on one host that a rule wants apart, and VMs away from the host where most of their rule are (hosts in
/// maintenance anchor nobody).
int affinity_violations(const ClusterState& state, const AffinityRule& rule) {
  std::map<std::string, int> all;
  std::map<std::string, int> staying;
  for (const VmState& vm : state.vms) {
    if (!counts(state, vm) || !selects_vm(rule.vms, vm)) continue;
    const bool in_rack = rule.by_fault_domain && selects_host({"h[012]"}, vm.host);
    const std::string zone = in_rack ? "rack" : vm.host.value;
    ++all[zone];
    if (!state.find_host(vm.host)->maintenance) ++staying[zone];
  }
  int apart = 0;
  int sum = 0;
  int most = 0;
  for (const auto& [zone, count] : all) apart += count - 1;
  for (const auto& [zone, count] : staying) {
    sum += count;
    most = std::max(most, count);
  }
  return rule.apart ? apart : sum - most;
}

bool gives_more(const Allocation& now, const Operation& operation) {
  if (const auto* quota = std::get_if<SetCpuQuota>(&operation))
    return quota->quota_us < 0 || quota->quota_us >= now.cpu_quota_us;
  if (const auto* vcpus = std::get_if<SetVcpus>(&operation)) return vcpus->count >= now.vcpus;
  if (const auto* memory = std::get_if<SetMemory>(&operation)) return memory->bytes >= now.memory_bytes;
  return false;
}

class Property : public testing::TestWithParam<std::uint32_t> {};

TEST_P(Property, EveryStepObeysEveryHardRule) {
  const World world = random_world(GetParam());
  const Policy& policy = world.policy;
  ClusterState state = world.cluster.state;
  const Decision decision = decide(state, policy, GetParam());
  SCOPED_TRACE(dump(decision));

  std::map<HostId, int> moves_by_host;
  int moves = 0;
  for (std::size_t i = 0; i < decision.chosen.actions.size(); ++i) {
    const Action& action = decision.chosen.actions[i];
    const VmState before = *state.find_vm(action.vm);
    for (const std::uint32_t index : action.after) EXPECT_LT(index, i);
    const HostState& host = *state.find_host(before.host);
    EXPECT_EQ(action.host, host.id);
    EXPECT_TRUE(before.running);
    EXPECT_TRUE(host.fresh && host.commandable);
    for (const WindowRule& rule : policy.windows) {
      const bool about = std::holds_alternative<Migrate>(action.operation) || !rule.migrate_only;
      if (about && selects_vm(rule.vms, before)) {
        EXPECT_EQ(open_now(state, rule), !rule.forbid);
      }
    }
    for (const ReservationRule& rule : policy.reservations) {
      const auto* quota = std::get_if<SetCpuQuota>(&action.operation);
      if (quota != nullptr && selects_vm(rule.vms, before)) {
        Allocation given = before.allocation;
        given.cpu_quota_us = quota->quota_us;
        EXPECT_GE(given.cpu_limit_cores() + 1e-3,
                  std::min({rule.cpu_cores, before.allocation.cpu_limit_cores(), double(given.vcpus)}));
      }
    }
    for (const ExcludeRule& rule : policy.exclusions) EXPECT_FALSE(selects_vm(rule.vms, before));
    for (const InFlight& flight : state.in_flight) {
      EXPECT_NE(flight.vm, action.vm);
      if (!flight.awaiting_approval) {
        EXPECT_NE(flight.source, host.id);
        EXPECT_NE(flight.target, host.id);
      }
    }
    const auto* move = std::get_if<Migrate>(&action.operation);
    const auto original = *world.cluster.state.find_vm(action.vm);
    if (original.last_action_end && !(move != nullptr && host.maintenance)) {
      const bool arrived = original.host != before.host;  // a reshape on arrival belongs to its move
      const bool gives = state.now - *original.last_action_end >= std::chrono::seconds(5) &&
                         !original.last_action_failed && move == nullptr &&
                         gives_more(before.allocation, action.operation);
      EXPECT_TRUE(arrived || gives || state.now - *original.last_action_end >= policy.limits.cooldown);
    }

    const double p90_before =
        move != nullptr ? host_p90(state, policy, move->target) : host_p90(state, policy, host.id);
    std::vector<int> violations_before;
    for (const AffinityRule& rule : policy.affinity) violations_before.push_back(affinity_violations(state, rule));
    const std::int64_t promised_before = promised(state, move != nullptr ? move->target : host.id);

    carry_out(state, {action});
    const VmState& after = *state.find_vm(action.vm);
    const HostState& place = *state.find_host(after.host);
    for (std::size_t r = 0; r < policy.affinity.size(); ++r) {
      if (policy.affinity[r].hard) {
        EXPECT_LE(affinity_violations(state, policy.affinity[r]), violations_before[r]);
      }
    }
    double headroom = 0;  // of a raise in place
    if (move != nullptr) {
      headroom = policy.limits.cpu_headroom;
      for (const HeadroomRule& rule : policy.headrooms) {
        if (selects_host(rule.hosts, place.id)) headroom = rule.cpu;
      }
    }
    const double allowed = place.fingerprint.cpu_capacity_cores * (1 - headroom);
    const double p90 = host_p90(state, policy, place.id);
    EXPECT_TRUE(p90 <= allowed + 1e-6 || p90 <= p90_before + 1e-6) << p90 << " of " << allowed;
    if (promised(state, place.id) > promised_before) {
      EXPECT_LE(promised(state, place.id), place.fingerprint.memory_capacity_bytes * 0.9 + 1);
    }
    for (const SizeRule& rule : policy.sizes) {
      if (!selects_vm(rule.vms, after)) continue;
      EXPECT_LE(after.allocation.cpu_limit_cores(),
                std::max(rule.cpu_cores_max, before.allocation.cpu_limit_cores()) + 1e-3);
      EXPECT_LE(after.allocation.vcpus, std::max(rule.vcpus_max, before.allocation.vcpus));
    }
    EXPECT_LE(after.allocation.vcpus, after.allocation.vcpus_max);
    EXPECT_LE(after.allocation.memory_bytes, after.allocation.memory_max_bytes);
    if (move == nullptr) continue;
    ++moves;
    ++moves_by_host[host.id];
    ++moves_by_host[place.id];
    const ClusterState& at_first = world.cluster.state;
    EXPECT_EQ(moves_last_hour(at_first, [&](const RecentMove& m) { return m.vm == action.vm; }), 0);
    EXPECT_FALSE(before.unmovable);
    EXPECT_FALSE(place.maintenance);
    EXPECT_TRUE(place.fresh && place.commandable);
    for (const PinRule& pin : policy.pins) {
      if (selects_vm(pin.vms, after)) {
        EXPECT_TRUE(selects_host(pin.hosts, place.id));
      }
    }
  }
  EXPECT_LE(moves, policy.limits.concurrent_migrations);
  EXPECT_LE(moves, policy.limits.moves_per_hour);
  for (const auto& [host, count] : moves_by_host) {
    EXPECT_LE(count, policy.limits.concurrent_migrations_per_host);
    const int before = moves_last_hour(
        world.cluster.state, [&, &id = host](const RecentMove& m) { return m.source == id || m.target == id; });
    if (!state.find_host(host)->maintenance) {
      EXPECT_LE(count + before, policy.limits.moves_per_hour_per_host);
    }
  }

  // Emptying a host may take several cycles, of which only the last pays.
  if (!decision.chosen.actions.empty() && !policy.strategies.consolidate) {
    EXPECT_GT(decision.chosen.score.total(), decision.do_nothing.score.total());
  }
  EXPECT_LE(decision.alternatives.size(), 8u);
  EXPECT_LE(decision.rejections.size(), 32u);
  EXPECT_FALSE(decision.summary.empty());
}

TEST_P(Property, SameInputSameDecision) {
  const World world = random_world(GetParam());
  const std::string first = dump(decide(world.cluster.state, world.policy, 42));
  const World again = random_world(GetParam());
  EXPECT_EQ(first, dump(decide(again.cluster.state, again.policy, 42)));
}

INSTANTIATE_TEST_SUITE_P(Seeds, Property, testing::Range(1u, 201u));

}  // namespace
}  // namespace proteus::ham
