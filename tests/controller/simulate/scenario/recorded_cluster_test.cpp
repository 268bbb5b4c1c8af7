#include "controller/simulate/scenario/recorded_cluster.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/fakes/fake_telemetry.h"

namespace proteus::simulate::scenario {
namespace {

using fakes::FakeHost;
using fakes::FakeVm;
using std::chrono::minutes;
using std::chrono::seconds;

/// Begins with a tick.
const Timestamp kStart = from_unix_ns(1'700'000'100'000'000'000);

FakeVm fake_vm(const std::string& name) {
  FakeVm vm;
  vm.name = name;
  vm.uuid = "uuid-" + name;
  vm.vcpus = 2;
  return vm;
}

/// Two hosts, h1 with two VMs; frames each 10 s.
class RecordedClusterTest : public testing::Test {
 protected:
  RecordedClusterTest() { h1_.vms = {fake_vm("a"), fake_vm("b")}; }
  void pass(Nanoseconds time, double a_cores, double b_cores) {
    for (const Timestamp end = now_ + time; now_ < end; now_ += seconds(10)) {
      recorded_.on_sample(h1_.sample(now_));
      recorded_.on_sample(h2_.sample(now_));
      h1_.pass(10, {{a_cores, 0}, {b_cores, 0}});
      h2_.pass(10, {{a_cores, 0}});
    }
  }
  Scenario scenario(std::optional<int> history = std::nullopt) {
    auto made = recorded_.scenario("record", history);
    EXPECT_TRUE(made) << made.error().message;
    return made ? *made : Scenario{};
  }

  FakeHost h1_{"h1", 4, 8 * kGiB};
  FakeHost h2_{"h2", 2, 4 * kGiB};
  RecordedCluster recorded_;
  Timestamp now_ = kStart;
};

TEST_F(RecordedClusterTest, DemandIsTheMeanOfEachTick) {
  h1_.vms[0].labels["group.class"] = "gold";
  h1_.vms[1].labels["unmovable"] = "a disk of its own";
  h1_.vms[0].net_packets = 1;
  pass(minutes(5), 0.5, 0.1);
  pass(minutes(10), 0.8, 0.1);
  h1_.vms[0].net_bytes += 300 * 1024 * 100;
  pass(minutes(5), 0.2, 0.1);
  const Scenario made = scenario();
  EXPECT_EQ(made.history_ticks, 2);
  EXPECT_EQ(made.ticks, 2);
  ASSERT_EQ(made.hosts.size(), 2U);
  EXPECT_EQ(made.hosts[0].name, "h1");
  EXPECT_EQ(made.hosts[0].cores, 4);
  EXPECT_EQ(made.hosts[1].memory_mib, 4096);
  ASSERT_EQ(made.vms.size(), 2U);
  const Vm& a = made.vms[0];
  EXPECT_EQ(a.name, "a");
  EXPECT_EQ(a.vcpus, 2);
  EXPECT_EQ(a.memory_mib, 1024);
  EXPECT_EQ(a.vm_class, kvm::VmClass::kGold);
  EXPECT_EQ(a.host, "h1");
  EXPECT_LE(a.from, -2);
  EXPECT_EQ(a.until, kvm::kNever);
  ASSERT_EQ(a.demand[0].size(), 4U);
  // A frame tells of the ten seconds before it: the first of a tick are of the tick before.
  EXPECT_NEAR(a.demand[0][0], 0.5 * 2500, 1);
  EXPECT_NEAR(a.demand[0][1], 0.79 * 2500, 1);
  EXPECT_NEAR(a.demand[0][2], 0.8 * 2500, 1);
  EXPECT_NEAR(a.demand[0][3], 0.22 * 2500, 1);
  EXPECT_NEAR(a.demand[1][1], 256, 1) << "balloon target less what the guest could give up";
  EXPECT_NEAR(a.demand[3][3], 100, 1);
  EXPECT_FALSE(a.pinned);
  EXPECT_TRUE(made.vms[1].pinned);
}

TEST_F(RecordedClusterTest, VmsComeAndGoAndMove) {
  pass(minutes(20), 0.5, 0.5);
  h1_.vms.push_back(fake_vm("late"));
  for (int i = 0; i < 60; ++i, now_ += seconds(10)) {  // a moves to h2, b ends after a while
    if (i == 3) {
      h2_.vms.push_back(h1_.vms[0]);
      h1_.vms.erase(h1_.vms.begin(), h1_.vms.begin() + 2);
    }
    recorded_.on_sample(h1_.sample(now_));
    recorded_.on_sample(h2_.sample(now_));
    for (FakeVm& vm : h1_.vms) vm.run_ns += 1'000'000'000;
    for (FakeVm& vm : h2_.vms) vm.run_ns += 5'000'000'000;
  }
  const Scenario made = scenario(2);
  EXPECT_EQ(made.ticks, 4);
  ASSERT_EQ(made.vms.size(), 3U);
  EXPECT_EQ(made.vms[0].host, "h1");
  EXPECT_EQ(made.vms[0].until, kvm::kNever);
  EXPECT_NEAR(made.vms[0].demand[0][5], 0.5 * 2500, 30);
  EXPECT_EQ(made.vms[1].name, "b");
  EXPECT_EQ(made.vms[2].name, "late");
  EXPECT_EQ(made.vms[2].from, 2);
  EXPECT_TRUE(made.vms[2].host.empty());
  const Scenario later = scenario(5);
  EXPECT_EQ(later.vms[0].host, "h2");
}

/// What was missed goes on; what was off did nothing.
TEST_F(RecordedClusterTest, HostsFallSilentAndVmsAreSwitchedOff) {
  h2_.vms = {fake_vm("c, with @comma")};
  pass(minutes(15), 0.4, 0.2);
  h1_.vms[1].state = 5;
  for (const Timestamp end = now_ + minutes(10); now_ < end; now_ += seconds(10)) {  // h2 is silent, b is off
    recorded_.on_sample(h1_.sample(now_));
    h1_.pass(10, {{0.4, 0}, {0, 0}});
  }
  h1_.vms[1].state = 1;
  for (const Timestamp end = now_ + minutes(15); now_ < end; now_ += seconds(10)) {
    recorded_.on_sample(h1_.sample(now_));
    h1_.pass(10, {{0.4, 0}, {0.2, 0}});
  }
  const Scenario made = scenario(2);
  EXPECT_EQ(made.begins, kStart + minutes(10));
  ASSERT_EQ(made.vms.size(), 3U);
  EXPECT_NEAR(made.vms[1].demand[0][1], 0.2 * 2500, 1);
  EXPECT_EQ(made.vms[1].demand[0][4], 0);
  EXPECT_NEAR(made.vms[1].demand[0][6], 0.2 * 2500, 1);
  EXPECT_EQ(made.vms[1].until, kvm::kNever);
  EXPECT_EQ(made.vms[2].name, "c_ with @comma");
  EXPECT_EQ(made.vms[2].until, kvm::kNever) << "its host fell silent";
  EXPECT_NEAR(made.vms[2].demand[0][7], 0.4 * 2500, 1);
}

TEST_F(RecordedClusterTest, WhatTheControllerWasToldOfHosts) {
  store::Started started;
  started.options_toml = "[[host]]\nname = \"h2\"\ncpu_speed = 0.5\n";
  started.policy_toml = "[[rules.power]]\nname = \"p\"\nhosts = [\"h2\"]\nidle_watts = 40\npeak_watts = 90\n";
  const Status taken = recorded_.on_started(started);
  ASSERT_TRUE(taken) << taken.error().message;
  h2_.vms = {fake_vm("c")};
  pass(minutes(15), 0.4, 0.1);
  const Scenario made = scenario();
  EXPECT_EQ(made.hosts[1].core_mhz, 1250);
  EXPECT_EQ(made.hosts[1].idle_w, 40);
  EXPECT_EQ(made.hosts[1].peak_w, 90);
  ASSERT_EQ(made.vms.size(), 3U);
  EXPECT_NEAR(made.vms[2].demand[0][1], 0.4 * 0.5 * 2500, 1);
}

TEST_F(RecordedClusterTest, AskedForTooMuchOfTooLittle) {
  EXPECT_EQ(recorded_.scenario("r", std::nullopt).error().message, "no VM ran in it");
  pass(minutes(4), 0.5, 0.5);
  EXPECT_NE(recorded_.scenario("r", std::nullopt).error().message.find("covers 1 steps of 5 min"), std::string::npos);
  pass(minutes(11), 0.5, 0.5);
  EXPECT_TRUE(recorded_.scenario("r", 2));
  EXPECT_NE(recorded_.scenario("r", 3).error().message.find("but 4 are needed"), std::string::npos);
  EXPECT_EQ(read_recorded_scenario("/nonexistent", std::nullopt).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace proteus::simulate::scenario
