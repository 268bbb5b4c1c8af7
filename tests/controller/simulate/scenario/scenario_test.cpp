#include "controller/simulate/scenario/scenario.h"

#include <gtest/gtest.h>

#include "controller/simulate/kvm/policies/catalogue.h"
#include "controller/simulate/kvm/run.h"

namespace proteus::simulate::scenario {
namespace {

Host host(const std::string& name) {
  Host host;
  host.name = name;
  host.cores = 4;
  host.core_mhz = 2000;
  host.memory_mib = 16384;
  return host;
}

Vm vm(const std::string& name, float cpu_mhz) {
  Vm vm;
  vm.name = name;
  vm.vcpus = 4;
  vm.memory_mib = 2000;
  vm.demand[0].assign(24, cpu_mhz);
  vm.demand[1].assign(24, 700);
  return vm;
}

Scenario two_hosts() {
  Scenario scenario;
  scenario.history_ticks = 12;
  scenario.ticks = 12;
  scenario.hosts = {host("b"), host("a")};
  scenario.vms = {vm("y", 1000), vm("x", 3000)};
  return scenario;
}

TEST(ScenarioCluster, BecomesAWorkloadSortedByName) {
  Scenario scenario = two_hosts();
  scenario.hosts[0].disk_latency_ms = 0.5;
  scenario.vms[0].host = "b";
  scenario.vms[0].talks_to = "x";
  scenario.vms[0].demand[0][12] = 1234;
  const auto cluster = Cluster::make(scenario);
  ASSERT_TRUE(cluster) << cluster.error().message;
  const kvm::Workload& workload = (*cluster)->workload();
  EXPECT_EQ(workload.names.hosts, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(workload.names.vms, (std::vector<std::string>{"x", "y"}));
  EXPECT_NE(workload.hosts[0], workload.hosts[1]) << "another disk makes another class";
  EXPECT_EQ(workload.best_disk_latency_ms, 0.25);
  EXPECT_EQ(workload.end_tick, kvm::kFirstTick + 12);
  EXPECT_EQ(workload.vms[1].first_host, 1);
  EXPECT_EQ(workload.vms[1].partner, 0);
  EXPECT_EQ(workload.sample(1, kvm::Series::kCpu, kvm::kFirstTick - 1), 1000);
  EXPECT_EQ(workload.sample(1, kvm::Series::kCpu, kvm::kFirstTick), 1234);
  EXPECT_EQ(workload.sample(0, kvm::Series::kMemory, kvm::kFirstTick), 500) << "the model adds the kernel's 200";
}

TEST(ScenarioCluster, HistoryBeginsWhereItIsKnown) {
  Scenario scenario = two_hosts();
  scenario.vms[1].from = -3;
  scenario.vms.push_back(vm("z", 500));
  scenario.vms.back().from = 4;
  scenario.vms.back().until = 9;
  const auto cluster = Cluster::make(scenario);
  ASSERT_TRUE(cluster);
  const std::vector<kvm::Vm>& vms = (*cluster)->workload().vms;
  EXPECT_EQ(vms[0].known_from, kvm::kFirstTick - 3);
  EXPECT_EQ(vms[1].known_from, kvm::kFirstTick - 12);
  EXPECT_EQ(vms[2].arrives, kvm::kFirstTick + 4);
  EXPECT_EQ(vms[2].departs, kvm::kFirstTick + 9);
}

/// What a policy is shown of the past ends the program if it asks for more.
TEST(ScenarioCluster, EveryPolicyGetsAlongWithAShortHistory) {
  for (const int history : {0, 1, 12}) {
    Scenario scenario = two_hosts();
    scenario.history_ticks = history;
    scenario.vms[0].host = scenario.vms[1].host = "a";
    scenario.vms.push_back(vm("late", 2500));
    scenario.vms.back().from = 5;
    const auto cluster = Cluster::make(scenario);
    ASSERT_TRUE(cluster) << cluster.error().message;
    for (const char* name : {"none", "threshold", "mfped", "peakday", "search-naive", "search-hour", "oracle",
                             "proteus-rules", "proteus", "proteus-learning"}) {
      auto policy = kvm::make_policy(name, (*cluster)->workload());
      ASSERT_TRUE(policy) << name;
      const kvm::RunResult run = kvm::run((*cluster)->workload(), **policy);
      EXPECT_EQ(run.metrics.ticks, 12) << name;
      EXPECT_GT(run.metrics.energy_kwh, 0) << name;
      EXPECT_EQ(run.metrics.disasters, 0) << name;
    }
  }
}

/// Two busy VMs on one host, another host empty.
TEST(ScenarioCluster, APolicyFileDecides) {
  Scenario scenario = two_hosts();
  for (Vm& vm : scenario.vms) {
    vm.host = "a";
    vm.demand[0].assign(24, 7000);
  }
  const auto cluster = Cluster::make(scenario);
  ASSERT_TRUE(cluster);
  const std::string pinned = testing::TempDir() + "scenario_test_pinned.toml";
  const std::string free = testing::TempDir() + "scenario_test_free.toml";
  FILE* file = std::fopen(pinned.c_str(), "w");
  std::fputs("[[rules.pin]]\nname = \"stay\"\nvms = [\"*\"]\nhosts = [\"a\"]\n", file);
  std::fclose(file);
  file = std::fopen(free.c_str(), "w");
  std::fputs("name = \"free\"\n", file);
  std::fclose(file);
  for (const auto& [name, moves] : {std::pair(free, 1), std::pair(pinned, 0)}) {
    auto policy = kvm::make_policy(name, (*cluster)->workload());
    ASSERT_TRUE(policy) << policy.error().message;
    EXPECT_EQ(kvm::run((*cluster)->workload(), **policy).metrics.migrations, moves) << name;
  }
  std::remove(pinned.c_str());
  std::remove(free.c_str());
  EXPECT_EQ(kvm::make_policy("/nonexistent.toml", (*cluster)->workload()).error().code, ErrorCode::kNotFound);
}

/// Whoever comes while every host sleeps wakes one.
TEST(ScenarioCluster, AnArrivalWakesAHost) {
  Scenario scenario = two_hosts();
  scenario.ticks = 60;
  scenario.vms = {vm("only", 1000)};
  scenario.vms[0].from = 2;
  for (auto& demand : scenario.vms[0].demand) demand.resize(72, 1000);
  const auto cluster = Cluster::make(scenario);
  ASSERT_TRUE(cluster);
  for (const char* name : {"mfped", "oracle", "proteus-rules"}) {
    auto policy = kvm::make_policy(name, (*cluster)->workload());
    ASSERT_TRUE(policy);
    kvm::RunOptions options;
    int ticks_at_work = 0;
    options.on_tick = [&](const kvm::Cluster& now, const kvm::TickOutcome& tick, const kvm::Tally&) {
      if (!now.vms()[0].present) return;
      ASSERT_GE(now.vms()[0].host, 0);
      ticks_at_work += tick.vms[0].cpu_mhz > 0 ? 1 : 0;
    };
    kvm::run((*cluster)->workload(), **policy, options);
    EXPECT_GE(ticks_at_work, 57) << name;
  }
}

TEST(ScenarioCluster, VmsAreKeptApartFromThoseWhosePlaceIsGiven) {
  Scenario scenario = two_hosts();
  scenario.vms[0].host = "a";
  scenario.vms[0].apart = scenario.vms[1].apart = "x";
  const auto cluster = Cluster::make(scenario);
  ASSERT_TRUE(cluster);
  const kvm::Cluster placed((*cluster)->workload());
  EXPECT_EQ(placed.vms()[1].host, 0);
  EXPECT_EQ(placed.vms()[0].host, 1);
}

/// An hour tells what a VM needs that has been there all the time, a day of one that has just come.
TEST(ScenarioCluster, WhatIsKnownOfMemoryIsUsed) {
  Scenario scenario = two_hosts();
  scenario.ticks = 24;
  for (Vm& vm : scenario.vms) {
    vm.memory_mib = 9000;
    vm.host = vm.name == "x" ? "a" : "b";
    for (auto& demand : vm.demand) demand.assign(36, 100);
  }
  const auto cluster = Cluster::make(scenario);
  ASSERT_TRUE(cluster);
  auto policy = kvm::make_policy("proteus-rules", (*cluster)->workload());
  ASSERT_TRUE(policy);
  EXPECT_LT(kvm::run((*cluster)->workload(), **policy).metrics.mean_hosts_on, 2) << "both fit on one host";
}

TEST(ScenarioCluster, RulesOfAFileReadTagsAndTimes) {
  Scenario scenario = two_hosts();
  for (Vm& vm : scenario.vms) {
    vm.host = "a";
    vm.demand[0].assign(24, 7000);
    vm.tags = {{"class", "platinum"}};
  }
  const auto cluster = Cluster::make(scenario);
  ASSERT_TRUE(cluster);
  const std::string path = testing::TempDir() + "scenario_test_rules.toml";
  const auto moves = [&](const char* rule) {
    std::FILE* const file = std::fopen(path.c_str(), "w");
    std::fputs(rule, file);
    std::fclose(file);
    auto policy = kvm::make_policy(path, (*cluster)->workload());
    EXPECT_TRUE(policy) << policy.error().message;
    return policy ? kvm::run((*cluster)->workload(), **policy).metrics.migrations : -1;
  };
  EXPECT_EQ(moves("name = \"free\"\n"), 1);
  EXPECT_EQ(moves("[[rules.exclude]]\nname = \"p\"\nvms = [\"@class=platinum\"]\n"), 0);
  EXPECT_EQ(moves("[[rules.exclude]]\nname = \"p\"\nvms = [\"@class=silver\"]\n"), 1);
  const std::string never = "[[rules.window]]\nname = \"w\"\nvms = [\"*\"]\neffect = \"forbid\"\n";
  EXPECT_EQ(moves((never + "days = [\"mon\"]\n").c_str()), 0) << "the first decision is on a Monday";
  EXPECT_EQ(moves((never + "days = [\"tue\"]\n").c_str()), 1);
  std::remove(path.c_str());
}

TEST(ScenarioCluster, SaysWhatIsWrong) {
  const auto problem = [](const auto& change) {
    Scenario scenario = two_hosts();
    change(scenario);
    const auto cluster = Cluster::make(scenario);
    return cluster ? std::string("none") : cluster.error().message;
  };
  EXPECT_EQ(problem([](Scenario& s) { s.hosts.clear(); }), "the scenario has no host");
  EXPECT_EQ(problem([](Scenario& s) { s.vms.clear(); }), "the scenario has no VM");
  EXPECT_EQ(problem([](Scenario& s) { s.vms[1].name = "y"; }), "'y' is there twice");
  EXPECT_EQ(problem([](Scenario& s) { s.hosts[0].name = "a"; }), "'a' is there twice");
  EXPECT_NE(problem([](Scenario& s) { s.vms[0].host = "c"; }).find("host 'c', which there is not"), std::string::npos);
  EXPECT_NE(problem([](Scenario& s) { s.vms[0].talks_to = "y"; }).find("no other VM"), std::string::npos);
}

}  // namespace
}  // namespace proteus::simulate::scenario
