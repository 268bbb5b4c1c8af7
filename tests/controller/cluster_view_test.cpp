#include "controller/cluster_view.h"

#include <gtest/gtest.h>

#include "controller/frame_columns.h"
#include "tests/controller/view_fixture.h"

namespace proteus::controller {
namespace {

TEST(SlowCounter, WhatItTellsCoversTheTicksInBetween) {
  SlowCounter counter;
  counter.column = 0;
  Frame frame;
  std::vector<std::optional<double>> steps;
  for (const std::optional<std::int64_t> told :
       {std::optional<std::int64_t>(100), {}, {}, {130}, {}, {130}, {5}, {9}}) {
    frame.present = {static_cast<std::uint8_t>(told.has_value())};
    frame.values = {told.value_or(0)};
    steps.push_back(counter.step(frame));
  }
  EXPECT_EQ(steps, (std::vector<std::optional<double>>{{}, {}, {}, 30, {}, 0, {}, 4}));
}

TEST(VcpuDemand, IsRunTimeWhileTheVcpuStillIdles) {
  EXPECT_DOUBLE_EQ(vcpu_demand_cores(0.3e9, 0.2e9, 1e9), 0.3);
  EXPECT_DOUBLE_EQ(vcpu_demand_cores(0, 0, 1e9), 0);
}

TEST(VcpuDemand, CountsTheWaitOfAVcpuThatNeverIdles) {
  EXPECT_DOUBLE_EQ(vcpu_demand_cores(0.4e9, 0.6e9, 1e9), 1.0);
  const double between = vcpu_demand_cores(0.5e9, 0.42e9, 1e9);
  EXPECT_GT(between, 0.5);
  EXPECT_LT(between, 0.92);
  EXPECT_DOUBLE_EQ(vcpu_demand_cores(1.1e9, 0.5e9, 1e9), 1.0) << "a vCPU wants no more than a core";
}

TEST(ClusterView, TurnsCountersIntoRates) {
  ClusterView view(options());
  FakeHost host("h1", 2, 4 * kGiB);
  host.vms = {vm("a")};
  view.on_sample(host.sample(kStart), kStart);
  host.pass(1, {{0.5, 0.1}});
  const Timestamp later = kStart + std::chrono::seconds(1);
  view.on_sample(host.sample(later), later);
  const ham::ClusterState state = *view.state(later);
  ASSERT_EQ(state.vms.size(), 1u);
  EXPECT_NEAR(state.vms[0].cpu_used_cores, 0.5, 1e-9);
  EXPECT_NEAR(state.vms[0].run_queue_wait_ratio, 0.2, 1e-9);
  EXPECT_TRUE(state.vms[0].running);
  EXPECT_EQ(state.vms[0].allocation.memory_bytes, 512 * kMiB);
  ASSERT_EQ(state.hosts.size(), 1u);
  EXPECT_NEAR(state.hosts[0].cpu_used_cores, 0.5, 1e-9);
  EXPECT_DOUBLE_EQ(state.hosts[0].fingerprint.cpu_capacity_cores, 2);
  EXPECT_EQ(state.hosts[0].libvirt_uri, "qemu+tcp://h1/system");
  EXPECT_EQ(state.hosts[0].fingerprint.capabilities.at("migrate"), "yes");
  EXPECT_TRUE(state.hosts[0].fresh);
}

TEST(ClusterView, ADirtyRateThatIsNotToldAnyMoreIsNotKnown) {
  ClusterView view(options());
  FakeHost host("h1", 2, 4 * kGiB);
  host.vms = {vm("a")};
  const auto told = [&](Timestamp now, std::optional<std::int64_t> rate) {
    Sample sample = host.sample(now);
    auto catalog = std::make_shared<Catalog>(*sample.catalog);
    EXPECT_EQ(catalog->entities.at(1).kind, EntityKind::kVm);
    catalog->series.push_back({1, Kpi::kMemoryDirtyBytesPerS, 0});
    sample.frame.values.push_back(rate.value_or(0));
    sample.frame.present.push_back(rate ? 1 : 0);
    sample.catalog = std::move(catalog);
    view.on_sample(sample, now);
    return view.state(now)->vms.at(0).dirty_bytes_per_s;
  };
  EXPECT_EQ(told(kStart, 5 * kMiB), 5 * kMiB);
  EXPECT_EQ(told(kStart + std::chrono::seconds(1), std::nullopt), std::nullopt);
}

// A VM held back by its own quota made its half-idle host look contended: nothing was given to it, and others were
// moved.
TEST(ClusterView, TheWaitForAVmsOwnQuotaIsNotItsHosts) {
  ClusterView view(options());
  FakeHost host("h1", 2, 4 * kGiB);
  host.vms = {vm("a")};
  view.on_sample(host.sample(kStart), kStart);
  host.pass(1, {{0.4, 0.6}});
  host.vms[0].throttled_ns += 560'000'000;
  const Timestamp later = kStart + std::chrono::seconds(1);
  view.on_sample(host.sample(later), later);
  const ham::ClusterState state = *view.state(later);
  EXPECT_NEAR(state.hosts.at(0).run_queue_wait_ratio, 0.1, 1e-6);
  EXPECT_NEAR(state.vms.at(0).run_queue_wait_ratio, 1.5, 1e-6);
  EXPECT_NEAR(state.vms.at(0).throttled_ratio, 0.56, 1e-6);
}

TEST(ClusterView, TellsHowMuchOfItsWorkAVmGotDone) {
  ClusterView view(options());
  FakeHost host("h1", 2, 4 * kGiB);
  host.vms = {vm("a"), vm("idle")};
  view.on_sample(host.sample(kStart), kStart);
  EXPECT_FALSE(view.state(kStart)->vms.at(0).served.has_value());
  host.pass(1, {{0.6, 0.4}, {0, 0}});
  host.vms[0].throttled_ns += 200'000'000;  // half of the wait was for its own quota
  const Timestamp now = kStart + std::chrono::seconds(1);
  view.on_sample(host.sample(now), now);
  const ham::ClusterState state = *view.state(now);
  ASSERT_TRUE(state.vms.at(0).served && state.vms.at(1).served);
  EXPECT_NEAR(state.vms[0].served->performance, 0.75, 1e-9);
  EXPECT_TRUE(state.vms[0].served->kept_waiting);
  EXPECT_EQ(state.vms[1].served->performance, 1) << "it wanted nothing";
  EXPECT_FALSE(state.vms[1].served->kept_waiting);
}

TEST(ClusterView, AMoveToAHostOfAnotherSpeedIsNoChangeOfDemand) {
  ViewOptions with = options();
  with.cpu_speed[HostId("fast")] = 2;
  ClusterView view(with);
  FakeHost slow("slow", 2, 4 * kGiB);
  FakeHost fast("fast", 2, 4 * kGiB);
  slow.vms = {vm("a")};
  int second = 0;
  const auto tick = [&](FakeHost& host, double cores) {
    host.pass(1, {{cores, 0}});
    const Timestamp now = kStart + std::chrono::seconds(second++);
    view.on_sample(host.sample(now), now);
    view.forecasts().begin_round();
    view.forecasts().take(view.forecasts().rounds_begun());
    return *view.state(now);
  };
  const auto median = [](const ham::ClusterState& state) {
    return state.vms[0].forecasts.at(forecast::Resource::kCpu).steps[5].p50;
  };
  for (int i = 0; i < 60; ++i) tick(slow, 0.6 + 0.01 * (i % 3));
  EXPECT_NEAR(median(tick(slow, 0.61)), 0.61, 0.03);
  fast.vms = {vm("a")};
  slow.vms[0].state = 5;  // shut off here, it runs there
  tick(slow, 0);
  tick(fast, 0.3);
  EXPECT_NEAR(median(tick(fast, 0.3)), 0.305, 0.03) << "at once, in cores of the host where it is";
  EXPECT_EQ(view.cpu_speed_of(VmId("uuid-a")), 2);
  tick(fast, 0.3);
  const forecast::SeriesReport report =
      view.forecasts().report(VmId("uuid-a"), forecast::Resource::kCpu, kStart + std::chrono::seconds(second)).value();
  EXPECT_NEAR(report.history.values.back(), 0.6, 0.03) << "in cores of speed 1";
}

TEST(ClusterView, ForgetsNoCounterWhenTheCatalogChanges) {
  ClusterView view(options());
  FakeHost host("h1", 2, 4 * kGiB);
  host.vms = {vm("b")};
  view.on_sample(host.sample(kStart), kStart);
  host.vms.insert(host.vms.begin(), vm("a"));  // moves b's columns
  host.pass(1, {{0.2, 0}, {0.7, 0}});
  const Timestamp later = kStart + std::chrono::seconds(1);
  view.on_sample(host.sample(later), later);
  const ham::ClusterState state = *view.state(later);
  EXPECT_NEAR(state.find_vm(VmId("uuid-b"))->cpu_used_cores, 0.7, 1e-9);
}

TEST(ClusterView, GivesNoRateAcrossAnAgentsRestartOrAClockSetBack) {
  ClusterView view(options());
  FakeHost host("h1", 2, 4 * kGiB);
  host.vms = {vm("a")};
  int received = 0;
  const auto step = [&](int second, double run) {
    host.pass(1, {{run, 0}});
    // The host's clock jumps; the controller's goes on.
    view.on_sample(host.sample(kStart + std::chrono::seconds(second)), kStart + std::chrono::seconds(++received));
  };
  step(0, 0);
  step(1, 0.5);
  host.boot_id = 8;
  host.vms[0].run_ns = 0;  // new counters
  step(2, 0.9);
  EXPECT_NEAR(view.state(kStart + std::chrono::seconds(2))->vms[0].cpu_used_cores, 0.5, 1e-9)
      << "the last known rate stands";
  step(-3600, 0.9);
  EXPECT_NEAR(view.state(kStart)->vms[0].cpu_used_cores, 0.5, 1e-9);
  step(-3599, 0.25);
  EXPECT_NEAR(view.state(kStart)->vms[0].cpu_used_cores, 0.25, 1e-9);
}

TEST(ClusterView, TheHostWhereTheVmRunsSpeaksForIt) {
  ClusterView view(options());
  FakeHost source("h1", 2, 4 * kGiB);
  FakeHost target("h2", 2, 4 * kGiB);
  source.vms = {vm("a")};
  target.vms = {vm("a")};
  target.vms[0].state = 3;  // paused: incoming migration
  view.on_sample(source.sample(kStart), kStart);
  view.on_sample(target.sample(kStart), kStart);
  EXPECT_EQ(view.state(kStart)->vms[0].host, HostId("h1"));
  source.vms.clear();
  target.vms[0].state = 1;
  const Timestamp later = kStart + std::chrono::seconds(1);
  view.on_sample(source.sample(later), later);
  view.on_sample(target.sample(later), later);
  const ham::ClusterState state = *view.state(later);
  ASSERT_EQ(state.vms.size(), 1u);
  EXPECT_EQ(state.vms[0].host, HostId("h2"));
  EXPECT_TRUE(state.vms[0].running);
}

TEST(ClusterView, AVmRunsOnWhileLibvirtSaysNothing) {
  ClusterView view(options());
  FakeHost host("h1", 2, 4 * kGiB);
  host.vms = {vm("known"), vm("paused"), vm("new")};
  host.vms[1].state = 3;
  constexpr std::size_t kFirstState = 4;  // behind the host's own figures
  constexpr std::size_t kFiguresOfAVm = 11;
  const auto step = [&](int second, std::vector<std::size_t> silent) {
    host.pass(1, {{0, 0}, {0, 0}, {second == 2 ? 0.1 : 0, 0}});
    const Timestamp now = kStart + std::chrono::seconds(second);
    Sample sample = host.sample(now);
    for (const std::size_t vm : silent) sample.frame.present[kFirstState + vm * kFiguresOfAVm] = 0;
    view.on_sample(sample, now);
    std::map<std::string, bool> running;
    for (const ham::VmState& vm : view.state(now)->vms) running[vm.name] = vm.running;
    return running;
  };
  const std::map<std::string, bool> unknown = {{"known", true}, {"paused", false}, {"new", false}};
  EXPECT_EQ(step(0, {2}), unknown);
  EXPECT_EQ(step(1, {0, 1, 2}), unknown);
  const std::map<std::string, bool> has_run = {{"known", true}, {"paused", false}, {"new", true}};
  EXPECT_EQ(step(2, {0, 1, 2}), has_run);
  EXPECT_EQ(step(3, {0, 1, 2}), has_run);
}

TEST(ClusterView, AHostWhoseLibvirtDoesNotAnswerTakesNoCommands) {
  ClusterView view(options());
  FakeHost host("h1", 2, 4 * kGiB);
  view.on_presence(HostId("h1"), true);
  view.on_sample(host.sample(kStart), kStart);
  EXPECT_TRUE(view.state(kStart)->hosts[0].commandable);
  host.labels["libvirt_trouble"] = "connection refused";
  view.on_sample(host.sample(kStart + std::chrono::seconds(1)), kStart);
  EXPECT_FALSE(view.state(kStart)->hosts[0].commandable);
  EXPECT_EQ(view.state(kStart)->hosts[0].libvirt_trouble, "connection refused");
}

TEST(ClusterView, DropsAVmThatItsHostNoLongerLists) {
  ViewOptions o = options();
  o.forget_after = std::chrono::seconds(30);
  ClusterView view(o);
  FakeHost host("h1", 2, 4 * kGiB);
  host.vms = {vm("a"), vm("b")};
  view.on_sample(host.sample(kStart), kStart);
  host.vms.pop_back();
  const Timestamp later = kStart + std::chrono::seconds(1);
  view.on_sample(host.sample(later), later);
  EXPECT_EQ(view.state(later)->vms.size(), 1u);
  EXPECT_FALSE(view.find_vm("b").empty()) << "its history waits for its return";
  const Timestamp much_later = kStart + std::chrono::seconds(60);
  view.on_sample(host.sample(much_later), much_later);
  view.state(much_later);
  EXPECT_TRUE(view.find_vm("b").empty());
  EXPECT_EQ(view.state(much_later)->vms.size(), 1u);
}

TEST(ClusterView, VmsComeInTheOrderOfTheirIdsWhoeverComesAndGoes) {
  ViewOptions o = options();
  o.forget_after = std::chrono::seconds(30);
  ClusterView view(o);
  FakeHost host("h1", 2, 4 * kGiB);
  const auto seen = [&](int second, const std::vector<std::string>& listed) {
    host.vms.clear();
    for (const std::string& name : listed) host.vms.push_back(vm(name));
    const Timestamp now = kStart + std::chrono::seconds(second);
    view.on_sample(host.sample(now), now);
    std::string names;
    for (const ham::VmState& one : view.state(now)->vms) names += one.name + " " + one.id.value + " ";
    return names;
  };
  EXPECT_EQ(seen(0, {"d", "b", "c"}), "b uuid-b c uuid-c d uuid-d ");
  EXPECT_EQ(seen(1, {"d"}), "d uuid-d ");
  EXPECT_EQ(seen(60, {"d"}), "d uuid-d ") << "two are forgotten";
  EXPECT_EQ(seen(61, {"d", "a"}), "a uuid-a d uuid-d ");
  EXPECT_EQ(seen(62, {"d", "a", "b"}), "a uuid-a b uuid-b d uuid-d ");
}

TEST(ClusterView, ASilentHostIsStale) {
  ClusterView view(options());
  FakeHost host("h1", 2, 4 * kGiB);
  view.on_sample(host.sample(kStart), kStart);
  EXPECT_TRUE(view.state(kStart + std::chrono::seconds(9))->hosts[0].fresh);
  EXPECT_FALSE(view.state(kStart + std::chrono::seconds(11))->hosts[0].fresh);
}

TEST(ClusterView, CarriesWhyAVmCannotMoveAndItsGroups) {
  ClusterView view(options());
  FakeHost host("h1", 2, 4 * kGiB);
  host.vms = {vm("a")};
  host.vms[0].labels = {{"unmovable", "local disk"}, {"group.tier", "db"}};
  view.on_sample(host.sample(kStart), kStart);
  const ham::ClusterState state = *view.state(kStart);
  EXPECT_EQ(state.vms[0].unmovable, "local disk");
  EXPECT_EQ(state.vms[0].groups.at("tier"), "db");
}

TEST(ClusterView, AStateWrittenIntoAnOldOneHasTodaysNamesAndLabels) {
  ClusterView view(options());
  FakeHost host("h1", 2, 4 * kGiB);
  FakeHost other("h2", 2, 4 * kGiB);
  host.vms = {vm("a")};
  host.vms[0].labels = {{"unmovable", "local disk"}, {"group.tier", "db"}};
  view.on_sample(host.sample(kStart), kStart);
  const ham::ClusterState* memory = view.state(kStart).get();
  host.vms[0].name = "renamed";
  host.vms[0].labels = {{"group.tier", "web"}};
  Timestamp now = kStart + std::chrono::seconds(1);
  view.on_sample(host.sample(now), now);
  std::shared_ptr<ham::ClusterState> state = view.state(now);
  ASSERT_EQ(state.get(), memory) << "nobody held it";
  EXPECT_EQ(state->vms[0].name, "renamed");
  EXPECT_EQ(state->vms[0].unmovable, std::nullopt);
  EXPECT_EQ(state->vms[0].groups.at("tier"), "web");
  state.reset();
  other.vms = std::move(host.vms);
  host.vms.clear();
  now += std::chrono::seconds(1);
  view.on_sample(host.sample(now), now);
  view.on_sample(other.sample(now), now);
  EXPECT_EQ(view.state(now)->vms[0].host, HostId("h2"));
}

// A migration's copying made its source's VMs wait; that looked like demand, its trend was extrapolated, and a second
// VM was sent after the first for nothing.
TEST(ClusterView, WaitingForAMigrationIsNotDemand) {
  ClusterView view(options());
  FakeHost host("h1", 2, 4 * kGiB);
  host.vms = {vm("a"), vm("b")};
  Timestamp now = kStart;
  const auto pass = [&](double run, double wait) {
    host.pass(1, {{run, wait}, {run, wait}});
    now += std::chrono::seconds(1);
    view.on_sample(host.sample(now), now);
    return view.state(now)->vms.at(0).cpu_demand_cores;
  };
  view.on_sample(host.sample(now), now);
  EXPECT_NEAR(pass(0.3, 0.1), 0.3, 1e-9);
  view.on_migrating(HostId("h1"), now);
  EXPECT_NEAR(pass(0.3, 0.7), 0.3, 1e-9) << "waits for the migration";
  EXPECT_NEAR(pass(0.5, 0.5), 0.5, 1e-9) << "what runs is wanted";
  pass(0.5, 0.4);
  EXPECT_NEAR(pass(0.4, 0.6), 1.0, 1e-9) << "the migration is over";
}

TEST(ClusterView, TellsTheForecastsOfThePressureOnTheHost) {
  // Waiting that is no demand: the vCPU idles as well. So states differ by the pressure that they keep.
  const auto states_with = [](double wait) {
    ClusterView view(options());
    FakeHost host("h1", 2, 4 * kGiB);
    host.vms = {vm("a")};
    for (int second = 0; second < 30; ++second) {
      host.pass(1, {{0.3, wait}});
      const Timestamp now = kStart + std::chrono::seconds(second);
      view.on_sample(host.sample(now), now);
      view.forecasts().begin_round();
      view.forecasts().take(view.forecasts().rounds_begun());
    }
    std::string bytes;
    for (std::size_t shard = 0; shard < forecast::EnginePool::shard_count(); ++shard) {
      for (const forecast::SeriesState& state : view.forecasts().save(shard)) {
        if (state.key.resource == forecast::Resource::kCpu) bytes += state.bytes;
      }
    }
    return bytes;
  };
  EXPECT_FALSE(states_with(0.1).empty());
  EXPECT_EQ(states_with(0.1), states_with(0.1));
  EXPECT_NE(states_with(0.1), states_with(0.2));
}

TEST(ClusterView, FeedsTheForecasts) {
  ClusterView view(options());
  FakeHost host("h1", 2, 4 * kGiB);
  host.vms = {vm("a")};
  Timestamp now = kStart;
  for (int second = 0; second < 20; ++second) {
    host.pass(1, {{0.5, 0}});
    now = kStart + std::chrono::seconds(second);
    view.on_sample(host.sample(now), now);
  }
  view.forecasts().begin_round();
  view.forecasts().take(1);
  const ham::ClusterState state = *view.state(now);
  const auto& forecasts = state.vms[0].forecasts;
  ASSERT_TRUE(forecasts.contains(forecast::Resource::kCpu));
  EXPECT_NEAR(forecasts.at(forecast::Resource::kCpu).window_max.p50, 0.5, 0.05);
  ASSERT_TRUE(forecasts.contains(forecast::Resource::kMemory));
  EXPECT_NEAR(forecasts.at(forecast::Resource::kMemory).window_max.p50, 256.0 * kMiB, 1.0 * kMiB);
}

TEST(ClusterView, ForecastsHaveTheSameVersionUntilTheyAreRenewed) {
  ClusterView view(options());
  FakeHost host("h1", 2, 4 * kGiB);
  host.vms = {vm("a")};
  Timestamp now = kStart;
  const auto pass_a_second = [&] {
    host.pass(1, {{0.5, 0}});
    now += std::chrono::seconds(1);
    view.on_sample(host.sample(now), now);
  };
  for (int second = 0; second < 5; ++second) pass_a_second();
  const auto version = [&] { return view.state(now)->vms.at(0).forecasts_version; };
  EXPECT_EQ(version(), 0u);  // none is there yet: what stands for it is of this moment
  const auto forecast = [&] {
    view.forecasts().begin_round();
    view.forecasts().take(view.forecasts().rounds_begun());
  };
  forecast();
  const std::uint64_t first = version();
  EXPECT_NE(first, 0u);
  const auto held = view.state(now);  // the next is written into other memory
  EXPECT_EQ(version(), first);
  pass_a_second();
  EXPECT_EQ(version(), first);
  pass_a_second();
  forecast();
  EXPECT_NE(version(), first);
  EXPECT_EQ(version(), version());
  now += std::chrono::minutes(10);  // too old to be taken as it was made
  EXPECT_EQ(version(), 0u);
}

TEST(ClusterView, TellsTheOverheadAnewOnlyWhenItHasChanged) {
  ClusterView view(options());
  FakeHost host("h1", 10, 4 * kGiB);
  Timestamp now = kStart;
  const auto overhead_after = [&](double used_cores, int seconds) {
    for (int second = 0; second < seconds; ++second) {
      host.cpu_time_ns += static_cast<std::int64_t>(used_cores * 1e9);
      now += std::chrono::seconds(1);
      view.on_sample(host.sample(now), now);
    }
    return view.state(now)->hosts.at(0).cpu_overhead_cores;
  };
  const double told = overhead_after(0.5, 60);
  EXPECT_NEAR(told, 0.5, 0.03);
  EXPECT_EQ(overhead_after(0.51, 60), told);
  EXPECT_NEAR(overhead_after(0.6, 60), 0.6, 0.03);
}

}  // namespace
}  // namespace proteus::controller
