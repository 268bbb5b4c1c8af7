#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "controller/forecast/engine.h"
#include "controller/ham/decision.h"
#include "tests/controller/ham/cluster.h"

namespace proteus::ham {
namespace {

constexpr int kDecideEvery = 3;  ///< minutes

double gaussian(std::mt19937& random) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += static_cast<double>(random()) / 4294967296.0;
  return sum;
}

// A cluster whose VMs want the same all day but for noise: an hour to learn from, an hour to come to rest in, and then a
// whole day without a move. Forecasts are the real engine's, from what it saw; where one takes noise for a trend, a limit
// may be raised for it.
TEST(Steady, NoiseAloneMovesNothingInADay) {
  std::mt19937 random(11);
  const auto uniform = [&](double low, double high) {
    return low + (high - low) * static_cast<double>(random()) / 4294967296.0;
  };
  Cluster cluster;
  const int hosts = 4;
  std::vector<double> base;
  for (int h = 0; h < hosts; ++h) {
    const std::string host = "h" + std::to_string(h);
    const double cores = 8.0 + 4 * (h % 3);
    cluster.host(host, cores).fingerprint.run_queue_wait = profile::prior_curve(cores);
    // Between 50 and 70 % of each host, in six VMs.
    const double share = uniform(0.50, 0.70) * cores / 6;
    for (int v = 0; v < 6; ++v) {
      const double wanted = share * uniform(0.4, 1.6);
      const int vcpus = 1 + static_cast<int>(wanted * 2);
      cluster.vm(host + "v" + std::to_string(v), host, vcpus, v % 2 == 0 ? -1 : std::min<double>(vcpus, 1.6 * wanted));
      base.push_back(wanted);
    }
  }
  cluster.ready();
  Policy policy;
  policy.automation = Automation::kAutomatic;
  policy.limits.concurrent_migrations = 10;
  policy.limits.concurrent_migrations_per_host = 2;
  forecast::Engine engine({});
  const Timestamp start = cluster.state.now;
  int decisions = 0;
  int raises = 0;
  for (int minute = 0; minute < 24 * 60 + 120; ++minute) {
    cluster.state.now = start + std::chrono::minutes(minute);
    for (std::size_t v = 0; v < cluster.state.vms.size(); ++v) {
      VmState& vm = cluster.state.vms[v];
      const double wanted = std::max(0.0, base[v] * (1 + 0.08 * gaussian(random)));
      vm.cpu_demand_cores = vm.cpu_used_cores = std::min(wanted, vm.allocation.cpu_limit_cores());
      engine.observe(vm.id, forecast::Resource::kCpu, cluster.state.now, vm.cpu_demand_cores);
      if (minute % kDecideEvery != 0) continue;
      if (auto made = engine.forecast(vm.id, forecast::Resource::kCpu, cluster.state.now)) {
        vm.forecasts[forecast::Resource::kCpu] = std::move(*made);
      }
    }
    if (minute < 60 || minute % kDecideEvery != 0) continue;  // first the engine learns how noisy they are
    const Decision decision = decide(cluster.state, policy, static_cast<std::uint64_t>(minute));
    carry_out(cluster.state, decision.chosen.actions);
    if (minute < 120) continue;
    ++decisions;
    raises += static_cast<int>(decision.chosen.actions.size());
    ASSERT_EQ(count_migrations(decision.chosen.actions), 0) << "minute " << minute << ": " << dump(decision);
  }
  EXPECT_EQ(decisions, 24 * 60 / kDecideEvery);
  EXPECT_LE(raises, 2);
}

}  // namespace
}  // namespace proteus::ham
