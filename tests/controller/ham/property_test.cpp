#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "controller/ham/decision.h"
#include "controller/ham/rules/selector.h"
#include "tests/controller/ham/random_world.h"

namespace proteus::ham {
namespace {

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
