// A cluster on which nothing happens but noise is left alone.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numbers>
#include <string>
#include <string_view>

#include "controller/simulate/kvm/policies/catalogue.h"
#include "controller/simulate/kvm/run.h"
#include "controller/simulate/kvm/splitmix64.h"
#include "tests/controller/simulate/kvm/small_cluster.h"

namespace proteus::simulate::kvm {
namespace {

constexpr double kMean_mhz = 250;
constexpr double kSpread = 0.05;  ///< standard deviation, of the mean

/// What a VM wants beside its mean, relative to that. One for each VM.
class Noise {
 public:
  Noise(std::string_view kind, SplitMix64& random) : kind_(kind), random_(random) {}
  double next() {
    if (kind_ == "white") return kSpread * normal();
    if (kind_ == "slow") {  // AR(1): of what was, nine tenths stay
      constexpr double kStay = 0.9;
      state_ = kStay * state_ + std::sqrt(1 - kStay * kStay) * kSpread * normal();
      return state_;
    }
    // Now and then, on the mean every eighth hour, a tick of twice as much.
    const double calm = kSpread * normal();
    return random_.uniform() < 1.0 / 96 ? 1 : calm;
  }

 private:
  /// Box & Muller (1958).
  double normal() {
    const double radius = std::sqrt(-2 * std::log(1 - random_.uniform()));
    return radius * std::cos(2 * std::numbers::pi * random_.uniform());
  }

  std::string_view kind_;
  SplitMix64& random_;
  double state_ = 0;
};

struct Steady {
  const char* policy;
  const char* noise;
  std::uint64_t seeds;
};

class SteadyCluster : public testing::TestWithParam<Steady> {};

/// Both hosts are needed, three VMs on each.
TEST_P(SteadyCluster, NoiseAloneMovesNothingInADay) {
  for (std::uint64_t seed = 1; seed <= GetParam().seeds; ++seed) {
    SmallCluster small;
    SplitMix64 random(seed);
    for (int i = 0; i < 6; ++i) {
      const int vm = small.add_vm(1000, {.cpu_mhz = kMean_mhz, .active_mib = 500});
      Noise noise(GetParam().noise, random);
      for (int t = 0; t < kTraceTicks; ++t) {
        small.set_one(vm, Series::kCpu, t, std::max(0.0, kMean_mhz * (1 + noise.next())));
      }
    }
    const auto policy = make_policy(GetParam().policy, small.workload());
    ASSERT_TRUE(policy);
    const Metrics m = run(small.workload(), **policy, {.ticks_max = kDayTicks, .on_tick = {}}).metrics;
    EXPECT_EQ(m.migrations, 0) << seed;
    EXPECT_EQ(m.mean_hosts_on, 2) << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Policies, SteadyCluster,
                         testing::Values(Steady{"proteus-rules", "white", 3}, Steady{"proteus-rules", "slow", 3},
                                         Steady{"proteus-rules", "bursts", 3}, Steady{"proteus", "white", 1},
                                         Steady{"proteus", "slow", 1}, Steady{"proteus", "bursts", 1},
                                         Steady{"proteus-learning", "white", 3}, Steady{"proteus-learning", "slow", 3},
                                         Steady{"proteus-learning", "bursts", 3}),
                         [](const auto& steady) {
                           std::string name = std::string(steady.param.policy) + "_" + steady.param.noise;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace proteus::simulate::kvm
