#include "controller/ham/score/demand.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/controller/ham/cluster.h"

namespace proteus::ham {
namespace {

TEST(Demand, NoVmRunsOnMoreCpusThanItCanHave) {
  Cluster cluster;
  cluster.host("h1", 4);
  VmState& vm = cluster.vm("a", "h1", 2);
  vm.allocation.vcpus_max = 3;
  set_cpu(vm, ramp_forecast(cluster.state.now, 1.0, 9.0));
  const Demand demand = make_demand(vm, make_horizon(cluster.state, Policy{}));
  EXPECT_DOUBLE_EQ(demand.cpu_max.p50, 3.0);
  EXPECT_DOUBLE_EQ(demand.cpu_max.p99, 3.0);
}

TEST(Demand, WeightsAreADistribution) {
  EXPECT_DOUBLE_EQ(std::accumulate(kQuantileWeights.begin(), kQuantileWeights.end(), 0.0), 1.0);
}

TEST(Demand, SlotsAverageAndPeakTheStepsTheyCover) {
  Cluster cluster;
  VmState& vm = cluster.vm("a", "h1", 4);
  set_cpu(vm, ramp_forecast(cluster.state.now, 0, 2.9));  // 0.0, 0.1, … 2.9 in 30 steps: three steps a slot
  const Horizon horizon = make_horizon(cluster.state, Policy{});
  EXPECT_EQ(horizon.length, kStep * kHorizonSteps);
  const Demand demand = make_demand(vm, horizon);
  EXPECT_NEAR(demand.cpu_mean[0].p50, 0.1, 1e-12);
  EXPECT_NEAR(demand.cpu_peak[0].p50, 0.2, 1e-12);
  EXPECT_NEAR(demand.cpu_mean[9].p50, 2.8, 1e-12);
  EXPECT_NEAR(demand.cpu_max.p90, 2.92, 1e-12);
  EXPECT_EQ(demand.model, "holt_damped");
}

TEST(Demand, PastStepsDoNotCount) {
  Cluster cluster;
  VmState& vm = cluster.vm("a", "h1", 2);
  set_cpu(vm, ramp_forecast(cluster.state.now - kStep * 15, 2.9, 0));
  const Demand demand = make_demand(vm, make_horizon(cluster.state, Policy{}));
  EXPECT_NEAR(demand.cpu_max.p50, 1.4, 1e-12);
}

TEST(Demand, LookaheadCutsTheHorizon) {
  Cluster cluster;
  VmState& vm = cluster.vm("a", "h1", 2);
  set_cpu(vm, ramp_forecast(cluster.state.now, 0, 2.9));
  Policy policy;
  policy.limits.lookahead = kStep * 10;
  EXPECT_NEAR(make_demand(vm, make_horizon(cluster.state, policy)).cpu_max.p50, 0.9, 1e-12);
}

TEST(Demand, WithoutAForecastTheCurrentDemandIsWidened) {
  Cluster cluster;
  VmState& vm = cluster.vm("a", "h1", 2);
  vm.cpu_demand_cores = 1.0;
  const Demand missing = make_demand(vm, make_horizon(cluster.state, Policy{}));
  EXPECT_EQ(missing.model, "current demand");
  EXPECT_DOUBLE_EQ(missing.cpu_max.p50, 1.0);
  EXPECT_DOUBLE_EQ(missing.cpu_max.p99, 1.6);
  // A forecast that is over is no forecast.
  vm.forecasts[forecast::Resource::kCpu] = flat_forecast(cluster.state.now - kStep * (kHorizonSteps + 1), 9);
  EXPECT_DOUBLE_EQ(make_demand(vm, make_horizon(cluster.state, Policy{})).cpu_max.p50, 1.0);
}

TEST(Demand, TellsWhenTheLimitIsCrossed) {
  Cluster cluster;
  VmState& vm = cluster.vm("a", "h1", 2);
  set_cpu(vm, ramp_forecast(cluster.state.now, 0, 2.9));
  const Horizon horizon = make_horizon(cluster.state, Policy{});
  const Timestamp now = cluster.state.now;
  EXPECT_EQ(time_until_above(vm, horizon, now, 1.0), kStep * 10);  // step 10: p90 1.02; step 9: 0.92
  EXPECT_EQ(time_until_above(vm, horizon, now + std::chrono::seconds(20), 1.0), kStep * 10 - std::chrono::seconds(20));
  EXPECT_EQ(time_until_above(vm, horizon, now, 3.0), std::nullopt);
}

TEST(Demand, IsTheSameThroughoutAStepOfTheForecasts) {
  Cluster cluster;
  VmState& vm = cluster.vm("a", "h1", 4);
  const Timestamp made = cluster.state.now;
  set_cpu(vm, ramp_forecast(made, 0, 2.9));
  const Horizon first = make_horizon(cluster.state, Policy{});
  cluster.state.now = made + kStep - std::chrono::nanoseconds(1);
  const Horizon last = make_horizon(cluster.state, Policy{});
  EXPECT_EQ(last.start, first.start);
  EXPECT_EQ(last.length, first.length);
  cluster.state.now = made + kStep;
  EXPECT_EQ(make_horizon(cluster.state, Policy{}).start, made + kStep);
  // A forecast made of the present moment alone does not say where steps begin, nor does a clock that is ahead.
  set_cpu(vm, ramp_forecast(cluster.state.now, 0, 2.9));
  EXPECT_EQ(make_horizon(cluster.state, Policy{}).start, cluster.state.now);
  set_cpu(vm, ramp_forecast(cluster.state.now + std::chrono::seconds(10), 0, 2.9));
  EXPECT_EQ(make_horizon(cluster.state, Policy{}).start, cluster.state.now);
}

}  // namespace
}  // namespace proteus::ham
