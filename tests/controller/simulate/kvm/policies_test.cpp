#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <tuple>
#include <vector>

#include "controller/profile/finite_queue.h"
#include "controller/simulate/kvm/policies/catalogue.h"
#include "controller/simulate/kvm/policies/checked_source.h"
#include "controller/simulate/kvm/policies/learned_response.h"
#include "controller/simulate/kvm/policies/outlook_sources.h"
#include "controller/simulate/kvm/run.h"
#include "tests/controller/simulate/kvm/small_cluster.h"

namespace proteus::simulate::kvm {
namespace {

TEST(LastSample, HoldsForAnHourWhateverWasBefore) {
  SmallCluster small;
  small.add_vm(1000, {.cpu_mhz = 100, .active_mib = 500, .disk_kbs = 7, .network_kbs = 8});
  small.set_one(0, Series::kCpu, kFirstTick - 1, 900);
  small.set_one(0, Series::kMemory, kFirstTick - 2, 700);
  Cluster cluster(small.workload());
  const TickOutcome last;
  const Console console(cluster, last);
  Outlook outlook;
  LastSample source;
  source.fill(console, outlook);
  ASSERT_EQ(outlook.cells(), kAheadTicks);
  for (std::size_t i = 0; i < kAheadTicks; ++i) {
    EXPECT_EQ(outlook.cpu_mhz[i], 900);
    EXPECT_EQ(outlook.disk_kbs[i], 7);
    EXPECT_EQ(outlook.network_kbs[i], 8);
    EXPECT_EQ(outlook.need_mib[i], 600);
  }
  EXPECT_NEAR(source.memory_needs(console)[0], 1.1 * 700 + 100, 1e-3);
}

TEST(Catalogue, NamesWhatItHasWhenAskedForAnother) {
  SmallCluster small;
  const auto policy = make_policy("best", small.workload());
  ASSERT_FALSE(policy);
  EXPECT_NE(policy.error().message.find(policy_names()), std::string::npos);
}

TEST(Console, HidesTheFutureAndTheCensoredPast) {
  SmallCluster small;
  small.add_vm(1000, {});
  small.add_vm(1000, {});
  small.workload().vms[1].arrives = kFirstTick + 5;
  Cluster cluster(small.workload());
  const TickOutcome last;
  const Console console(cluster, last);
  EXPECT_EQ(console.sample(0, Series::kCpu, 0), 0);
  EXPECT_EQ(console.newest(1, Series::kCpu), 0);
  EXPECT_DEATH(static_cast<void>(console.sample(0, Series::kCpu, kFirstTick)), "");
  EXPECT_DEATH(static_cast<void>(console.sample(1, Series::kCpu, kFirstTick - 1)), "");
}

/// Eight VMs that keep two CPUs three quarters busy wait for each other; the cluster's rule says for how long.
TEST(LearnedResponse, LearnsHowManyTimesWhatTheorySaysVmsWait) {
  SmallCluster small;
  for (int i = 0; i < 16; ++i) small.add_vm(100, {.cpu_mhz = 190});
  Cluster cluster(small.workload());
  LearnedResponse response;
  TickOutcome last = simulate_tick(cluster);
  const std::size_t vms = cluster.hosts()[0].vms.size();
  ASSERT_EQ(vms, 8U);
  response.observe(Console(cluster, {}));
  EXPECT_EQ(response.wait_factor(0).at(0.76), 1);
  for (int i = 0; i < 100; ++i) {
    response.observe(Console(cluster, last));
    last = simulate_tick(cluster);
  }
  const double theory = profile::finite_wait_cores(1.52, 8, 2) / 1.52;
  const double seen = last.hosts[0].wait / (1 - last.hosts[0].wait);
  EXPECT_GT(std::abs(theory / seen - 1), 0.05);  // there is something to learn
  EXPECT_NEAR(response.wait_factor(0).at(0.775) * theory, seen, 0.03 * seen);
}

TEST(Threshold, GivesTheLargestThatFitsToTheLeastLoaded) {
  SmallCluster small;
  small.add_vm(100, {.cpu_mhz = 900});
  small.add_vm(100, {.cpu_mhz = 100});
  small.add_vm(100, {.cpu_mhz = 850});
  Cluster cluster(small.workload());
  ASSERT_EQ(cluster.hosts()[0].vms, (std::vector<int>{0, 2}));  // 1750 of 2000 MHz
  const TickOutcome last;
  Console console(cluster, last);
  const auto policy = make_policy("threshold", small.workload());
  (*policy)->decide(console);
  EXPECT_EQ(cluster.vms()[0].target, 1);  // 100 + 900 is below 70 %
  EXPECT_FALSE(cluster.vms()[2].migrating());
}

TEST(Decider, GuestsThatGrowTogetherDoNotKillEachOther) {
  for (const char* name : {"none", "proteus-rules"}) {
    SmallCluster small;
    small.add_vm(8000, {.active_mib = 3000});
    small.add_vm(100, {});
    small.add_vm(8000, {.active_mib = 3000});
    small.workload().vms[1].vcpus = 2;
    for (const int vm : {0, 2}) {
      small.workload().vms[static_cast<std::size_t>(vm)].pinned = true;
      small.set(vm, Series::kMemory, kFirstTick + 20, 6000);  // 6800 each of a host's 10000 MiB
    }
    const auto policy = make_policy(name, small.workload());
    ASSERT_TRUE(policy);
    const RunResult result = run(small.workload(), **policy, {.ticks_max = 48, .on_tick = {}});
    EXPECT_EQ(result.metrics.disasters > 0, std::string_view(name) == "none") << name;
  }
}

/// Says that every VM will want so much.
class FlatSource final : public OutlookSource {
 public:
  explicit FlatSource(double cpu_mhz) : cpu_mhz_(cpu_mhz) {}
  void fill(const Console& console, Outlook& outlook) override {
    outlook.reset(console.vm_count(), kAheadTicks, 1);
    std::fill(outlook.cpu_mhz.begin(), outlook.cpu_mhz.end(), static_cast<float>(cpu_mhz_));
  }
  std::vector<double> memory_needs(const Console& console) override { return std::vector<double>(console.vm_count()); }

 private:
  double cpu_mhz_;
};

/// Only watches.
class Observer final : public Policy {
 public:
  explicit Observer(CheckedSource& source) : source_(source) {}
  void decide(Console& console) override { source_.observe(console); }

 private:
  CheckedSource& source_;
};

TEST(CheckedSource, ForecastsCountOnlyWhereTheyHaveSaidBetterWhatCame) {
  SmallCluster small;
  for (int i = 0; i < 6; ++i) small.add_vm(100, {.cpu_mhz = 600});  // three on each host of 2000 MHz
  constexpr int kDay = kDayTicks + 1;
  for (const auto& [plain, forecast, ticks, count] :
       {std::tuple(300, 550, kDay, true), std::tuple(300, 550, kDay - 1, false), std::tuple(550, 300, kDay, false),
        std::tuple(550, 550, kDay, false)}) {
    CheckedSource source(std::make_unique<FlatSource>(plain), std::make_unique<FlatSource>(forecast));
    Observer observer(source);
    run(small.workload(), observer, {.ticks_max = ticks, .on_tick = {}});
    EXPECT_EQ(source.forecasts_count(), count) << plain << ' ' << forecast << ' ' << ticks;
  }
}

/// A host has more to do than it can from some tick on, the other one nothing.
TEST(Decider, RelievesAnOverloadedHost) {
  SmallCluster small;
  for (int i = 0; i < 5; ++i) small.add_vm(100, {.cpu_mhz = 1});
  small.workload().vms[1].pinned = true;  // the other host stays awake
  for (const int vm : {0, 2, 4}) small.set(vm, Series::kCpu, kFirstTick, 900);
  for (const char* name : {"search-hour", "proteus-rules", "proteus"}) {
    const auto policy = make_policy(name, small.workload());
    ASSERT_TRUE(policy);
    const RunResult result = run(small.workload(), **policy, {.ticks_max = 48, .on_tick = {}});
    EXPECT_GE(result.metrics.migrations, 1) << name;
    EXPECT_LE(result.metrics.migrations, 6) << name;
    EXPECT_LT(result.metrics.contention_share, 0.4) << name;
  }
}

/// A VM wants more than its vCPU can do, another likewise but may not be helped.
TEST(Helpers, AreStartedWhereTheyPayAndEndedWhenTheyDoNot) {
  SmallCluster small;
  small.add_vm(100, {.cpu_mhz = 1200});
  small.add_vm(100, {.cpu_mhz = 50});
  small.add_vm(100, {.cpu_mhz = 1200});
  small.add_vm(100, {.cpu_mhz = 50});
  small.workload().vms[0].scalable = true;
  small.set(0, Series::kCpu, kFirstTick + 100, 100);
  const auto alone = make_policy("oracle", small.workload());
  const auto helped = make_policy("oracle+helpers", small.workload());
  ASSERT_TRUE(helped);
  int last_tick = 0;
  RunOptions options{.ticks_max = 144, .on_tick = {}};
  options.on_tick = [&](const Cluster& cluster, const TickOutcome&, const Tally&) {
    EXPECT_EQ(cluster.vms()[2].helper, kNever);
    if (cluster.vms()[0].helper != kNever) last_tick = cluster.tick();
  };
  const Metrics with = run(small.workload(), **helped, options).metrics;
  const Metrics without = run(small.workload(), **alone, {.ticks_max = 144, .on_tick = {}}).metrics;
  EXPECT_EQ(with.helpers, 1);
  EXPECT_EQ(without.helpers, 0);
  EXPECT_LT(with.cost_eur, without.cost_eur);
  EXPECT_GT(last_tick, kFirstTick + 95);
  EXPECT_LT(last_tick, kFirstTick + 140);
}

/// A host has more to do than it can: what the move that relieves it is worth is seen, and learned.
TEST(Learning, SeesWhatMovesTurnOutToBeWorth) {
  SmallCluster small;
  for (int i = 0; i < 5; ++i) small.add_vm(100, {.cpu_mhz = 1});
  small.workload().vms[1].pinned = true;  // the other host stays awake
  for (const int vm : {0, 2, 4}) small.set(vm, Series::kCpu, kFirstTick, 900);
  // Where all VMs are at the end.
  const auto places = [&](Policy& policy) {
    std::vector<int> hosts;
    const auto look = [&](const Cluster& cluster, const TickOutcome&, const Tally&) {
      hosts.clear();
      for (const VmState& vm : cluster.vms()) hosts.push_back(vm.host);
    };
    run(small.workload(), policy, {.ticks_max = 48, .on_tick = look});
    return hosts;
  };
  const std::vector<int> rules = places(**make_policy("proteus-rules", small.workload()));

  auto agent = std::make_shared<ham::learning::Agent>();
  std::vector<ham::learning::Outcome> outcomes;
  const auto learning = make_learning_policy(agent, [&](const auto& outcome) { outcomes.push_back(outcome); });
  EXPECT_EQ(places(*learning), rules) << "as long as it does not act nothing is decided otherwise";
  ASSERT_FALSE(outcomes.empty());
  EXPECT_FALSE(agent->acting());
  const ham::learning::Outcome& first = outcomes.front();
  EXPECT_EQ(first.note.kind, ham::learning::Kind::kMigrate);
  EXPECT_GT(first.note.predicted, 0);
  // What the outlook gives little weight to, because the week before was calm, goes on.
  EXPECT_GT(first.realised, first.note.predicted);
  EXPECT_LT(first.realised, 3 * (10 * 0.0103 + 0.048))
      << "no more than the work of all three is worth, and their waiting";

  // One that has learned the contrary elsewhere, and acts, does otherwise.
  for (int i = 0; i < 200 && !agent->acting(); ++i) {
    ham::learning::Outcome bad = first;
    bad.realised = -3 * first.note.scale;
    agent->refine(bad);
  }
  ASSERT_TRUE(agent->acting());
  const auto hesitant = make_learning_policy(agent);
  EXPECT_NE(places(*hesitant), rules);
}

TEST(Learning, GoesOnFromAFile) {
  EXPECT_EQ(make_policy("proteus-learning=none.bin", SmallCluster().workload()).error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(make_policy("proteus-learning", SmallCluster().workload()));
  EXPECT_TRUE((*learning_agent("proteus-exploring"))->explores());
  EXPECT_FALSE((*learning_agent("proteus-learning"))->explores());
  EXPECT_EQ(*learning_agent("proteus-rules"), nullptr);
}

TEST(Decider, LetsAHostSleepThatIsNotNeeded) {
  SmallCluster small;
  for (int i = 0; i < 4; ++i) small.add_vm(100, {.cpu_mhz = 50});
  for (const char* name : {"search-hour", "proteus-rules", "proteus"}) {
    const auto policy = make_policy(name, small.workload());
    ASSERT_TRUE(policy);
    const RunResult result = run(small.workload(), **policy, {.ticks_max = 288, .on_tick = {}});
    EXPECT_LT(result.metrics.mean_hosts_on, 1.5) << name;
    EXPECT_LE(result.metrics.migrations, 4) << name;
    EXPECT_LT(result.metrics.sla_eur, 0.1) << name;
  }
}

}  // namespace
}  // namespace proteus::simulate::kvm
