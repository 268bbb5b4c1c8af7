// How the wait factor comes from telemetry into decisions.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "controller/ham/decision.h"
#include "controller/pipeline.h"
#include "controller/profile/finite_queue.h"
#include "tests/controller/view_fixture.h"

namespace proteus::controller {
namespace {

constexpr double kCrowded = 0.82;

/// Eight VMs keep a host of four CPUs busy and wait so many times what they would by theory.
Timestamp crowd(ClusterView& view, FakeHost& host, Timestamp now, double factor, int seconds) {
  host.vms.clear();
  for (int i = 0; i < 8; ++i) host.vms.push_back(vm("small" + std::to_string(i)));
  const double cores = 4 * kCrowded;
  const double waiting = factor * profile::finite_wait_cores(cores, 8, 4);
  view.on_sample(host.sample(now), now);
  for (int second = 0; second < seconds; ++second) {
    host.pass(1, std::vector<std::pair<double, double>>(8, {cores / 8, waiting / 8}));
    now += std::chrono::seconds(1);
    view.on_sample(host.sample(now), now);
  }
  return now;
}

profile::ResponseCurve wait_factor(ClusterView& view, Timestamp now, std::size_t host = 0) {
  return view.state(now)->hosts.at(host).fingerprint.wait_factor;
}

TEST(WaitFactor, IsLearnedFromFramesAndKnownOfHostsAlike) {
  ClusterView view(options());
  FakeHost host("h1", 4, 8 * kGiB);
  FakeHost alike("h2", 4, 8 * kGiB);
  FakeHost other("h3", 4, 8 * kGiB);
  other.labels = {{"cpu_model", "Acme 100"}};
  for (FakeHost* each : {&host, &alike, &other}) view.on_sample(each->sample(kStart), kStart);
  Timestamp now = crowd(view, host, kStart, 2, 60);
  EXPECT_TRUE(wait_factor(view, now).knots().empty()) << "half a minute waited is not enough";
  now = crowd(view, host, now, 2, 1800);
  const profile::ResponseCurve::Answer here = wait_factor(view, now).answer(kCrowded);
  EXPECT_NEAR(here.response, 2, 0.1);
  EXPECT_GT(here.error, 0);
  EXPECT_LT(here.error, 0.3);
  const profile::ResponseCurve::Answer there = wait_factor(view, now, 1).answer(kCrowded);
  EXPECT_NEAR(there.response, 2, 0.2) << "one like it has been seen to wait";
  EXPECT_GT(there.error, 5 * here.error);
  EXPECT_TRUE(wait_factor(view, now, 2).knots().empty());

  FakeHost smaller("h1", 2, 8 * kGiB);
  view.on_sample(smaller.sample(now), now);
  EXPECT_TRUE(wait_factor(view, now).knots().empty()) << "another size, another host";
}

TEST(WaitFactor, SurvivesARestart) {
  ClusterView view(options());
  FakeHost host("h1", 4, 8 * kGiB);
  const Timestamp now = crowd(view, host, kStart, 0.5, 900);
  const profile::ResponseCurve before = wait_factor(view, now);
  ASSERT_FALSE(before.knots().empty());
  auto saved = profile::decode(profile::encode(view.saved_profile(now)));
  ASSERT_TRUE(saved) << saved.error().message;
  ClusterView next(options());
  next.restore_profile(std::move(*saved), now);
  next.on_sample(host.sample(now), now);
  EXPECT_EQ(wait_factor(next, now).knots(), before.knots());
  // Telemetry that is read again counts once.
  const Timestamp again = now - std::chrono::seconds(900);
  EXPECT_EQ(wait_factor(next, crowd(next, host, again, 9, 900)).knots(), before.knots());
}

TEST(WaitFactor, IsNotLearnedFromWhatAMigrationHoldsUp) {
  ClusterView view(options());
  FakeHost host("h1", 4, 8 * kGiB);
  view.on_sample(host.sample(kStart), kStart);
  view.on_migrating(HostId("h1"), kStart + std::chrono::seconds(900));
  Timestamp now = crowd(view, host, kStart, 2, 900);
  EXPECT_TRUE(wait_factor(view, now).knots().empty());
  now = crowd(view, host, now + std::chrono::seconds(10), 2, 900);
  EXPECT_FALSE(wait_factor(view, now).knots().empty());
}

TEST(WaitFactor, IsNotLearnedWhileAVmDoesNotSayHowLongItWaits) {
  ClusterView view(options());
  FakeHost host("h1", 4, 8 * kGiB);
  Timestamp now = crowd(view, host, kStart, 2, 1);
  for (int second = 0; second < 900; ++second) {
    host.pass(1, std::vector<std::pair<double, double>>(8, {kCrowded / 2, 0.1}));
    now += std::chrono::seconds(1);
    Sample sample = host.sample(now);
    sample.frame.present.back() = 0;
    view.on_sample(sample, now);
  }
  EXPECT_TRUE(wait_factor(view, now).knots().empty());
}

/// Work of a VM behind its quota waits for nobody on the host, whatever the VM would like to run.
TEST(WaitFactor, AVmContendsForItsLimitAtMost) {
  const auto evidence_s = [](std::int64_t quota_us) {
    ClusterView view(options());
    FakeHost host("h1", 4, 8 * kGiB);
    for (int i = 0; i < 8; ++i) {
      host.vms.push_back(vm("held" + std::to_string(i)));
      host.vms.back().quota_us = quota_us;
    }
    Timestamp now = kStart;
    for (int second = 0; second < 900; ++second, now += std::chrono::seconds(1)) {
      view.on_sample(host.sample(now), now);
      host.pass(1, std::vector<std::pair<double, double>>(8, {0.1, 0.9}));
      for (FakeVm& held : host.vms) held.throttled_ns += 900'000'000;
    }
    return view.saved_profile(now).hosts.at(0).wait_factor.evidence.weight();
  };
  EXPECT_LT(evidence_s(10'000), 1);
  EXPECT_GT(evidence_s(-1), 900);
}

/// Four VMs that never rest have a CPU each. To a curve over utilisation the host is full; who has learned how long its
/// VMs wait, against who they were, knows that they wait for nobody.
TEST(WaitFactor, DecisionsGoByItWhereWorkHasAValue) {
  ham::Policy worth;
  worth.automation = ham::Automation::kObserve;
  worth.prices.contention_per_core_hour = worth.prices.shortfall_per_core_hour = 0;
  worth.prices.capacity_per_core_hour = 0;
  worth.prices.imbalance_per_host_hour = 0;
  worth.limits.payback = std::chrono::hours(1);
  ham::ValueRule& value = worth.values.emplace_back();
  value.name = "work";
  value.vms = {"*"};
  value.per_vcpu_hour = 100;
  PipelineOptions whole;
  whole.view = options();
  store::Started started;
  started.term = 1;
  Pipeline pipeline(whole, worth, started);
  FakeHost host("h1", 4, 8 * kGiB);
  FakeHost empty("h2", 4, 8 * kGiB);
  for (const char* name : {"h1", "h2"}) pipeline.on_presence({HostId(name), true, ""});
  Timestamp now = kStart;
  const auto have = [&](int vms) {
    host.vms.assign(static_cast<std::size_t>(vms), {});
    for (std::size_t i = 0; i < host.vms.size(); ++i) {
      host.vms[i].name = fmt::format("vm{}of{}", i, vms);
      host.vms[i].uuid = "uuid-" + host.vms[i].name;
    }
  };
  const auto pass = [&](double run, double wait) {
    host.pass(1, std::vector<std::pair<double, double>>(host.vms.size(), {run, wait}));
    now += std::chrono::seconds(1);
    pipeline.on_sample(host.sample(now), now);
    pipeline.on_sample(empty.sample(now), now);
  };
  have(8);
  const double waiting = profile::finite_wait_cores(8 * 0.41, 8, 4);
  for (int second = 0; second < 900; ++second) pass(0.41, waiting / 8);
  have(4);
  for (int second = 0; second < 60; ++second) {
    pass(1, 0);
    store::Cycle cycle;
    cycle.number = static_cast<std::uint64_t>(second + 1);
    pipeline.run_cycle(cycle, now);
  }
  EXPECT_TRUE(pipeline.last_decision()->chosen.actions.empty());
  ham::ClusterState state = *pipeline.last_state();
  ASSERT_EQ(state.hosts.size(), 2u);
  EXPECT_TRUE(ham::decide(state, worth, 1).chosen.actions.empty());
  for (ham::HostState& each : state.hosts) {
    EXPECT_FALSE(each.fingerprint.wait_factor.knots().empty()) << each.id.value;
    each.fingerprint.wait_factor = profile::ResponseCurve(std::vector<profile::ResponseCurve::Knot>{});
  }
  EXPECT_FALSE(ham::decide(state, worth, 1).chosen.actions.empty());
}

}  // namespace
}  // namespace proteus::controller
