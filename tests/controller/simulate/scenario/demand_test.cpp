#include "controller/simulate/scenario/demand.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>

namespace proteus::simulate::scenario {
namespace {

using testing::Each;
using testing::ElementsAre;

TEST(Demand, AWaveRisesToItsPeakOnceADay) {
  const Pattern pattern{.base = 1, .peak = 3, .at_s = 14 * 3600, .width_s = 6 * 3600};
  const std::vector<float> made = make_demand(pattern, 1, kvm::kDayTicks, kvm::kDayTicks, 1);
  ASSERT_EQ(made.size(), 2U * kvm::kDayTicks);
  for (int i = 0; i < kvm::kDayTicks; ++i) EXPECT_FLOAT_EQ(made[i], made[i + kvm::kDayTicks]) << i;
  const auto highest = std::max_element(made.begin(), made.begin() + kvm::kDayTicks) - made.begin();
  EXPECT_NEAR(highest, 14 * 12, 1);
  EXPECT_NEAR(made[14 * 12], 3, 0.01);
  EXPECT_FLOAT_EQ(made[10 * 12], 1);
  EXPECT_FLOAT_EQ(made[18 * 12], 1);
  EXPECT_NEAR(made[12 * 12 + 6], 2, 0.1);  // half-way up
}

TEST(Demand, ABurstStaysAtItsPeakAndPassesMidnight) {
  const Pattern pattern{.base = 0, .peak = 2, .at_s = 0, .width_s = 3600, .burst = true};
  const std::vector<float> made = make_demand(pattern, 1, 0, kvm::kDayTicks, 1);
  EXPECT_THAT(std::vector<float>(made.begin(), made.begin() + 6), Each(2.0F));
  EXPECT_THAT(std::vector<float>(made.end() - 6, made.end()), Each(2.0F));
  EXPECT_FLOAT_EQ(std::accumulate(made.begin(), made.end(), 0.0F), 24);
}

TEST(Demand, NoiseKeepsTheMeanAndIsTheSeeds) {
  const Pattern pattern{.base = 10, .peak = 10, .noise = 0.2};
  const std::vector<float> made = make_demand(pattern, 1, 0, 2016, 5);
  const double mean = std::accumulate(made.begin(), made.end(), 0.0) / 2016;
  double variance = 0;
  for (const float value : made) variance += (value - mean) * (value - mean) / 2016;
  EXPECT_NEAR(mean, 10, 0.15);
  EXPECT_NEAR(variance, 4, 0.4);
  EXPECT_EQ(made, make_demand(pattern, 1, 0, 2016, 5));
  EXPECT_NE(made, make_demand(pattern, 1, 0, 2016, 6));
}

TEST(Demand, TracesOfAnyStepBecomeMeansOfTicks) {
  const std::array fine = {1.0, 3.0, 5.0, 7.0, 9.0};
  EXPECT_THAT(to_ticks(fine.data(), 5, 150, 1, 9), ElementsAre(2, 6));  // the half tick at the end is left out
  const std::array coarse = {1.0, 4.0};
  EXPECT_THAT(to_ticks(coarse.data(), 2, 600, 10, 3), ElementsAre(10, 10, 40));
  const std::array uneven = {3.0, 6.0, 9.0};
  EXPECT_THAT(to_ticks(uneven.data(), 3, 200, 1, 9), ElementsAre(4, 8));
}

}  // namespace
}  // namespace proteus::simulate::scenario
