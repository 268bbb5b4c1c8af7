#include "tests/controller/ham/exact/gap.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace proteus::ham {
namespace {

// The whole of it, 200 clusters of up to 20 hosts, is `bench_decide_gap`.
TEST(Gap, SmallClustersAreSolvedNearlyExactly) {
  double sum = 0;
  int count = 0;
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    const Gap gap = measure_gap(random_case(seed, 4), seed, 400);
    SCOPED_TRACE(testing::Message() << "seed " << seed << ": " << gap.hosts << " hosts, " << gap.vms << " VMs, nothing "
                                    << gap.nothing << ", ours " << gap.ours << ", solver " << gap.optimum << ", bound "
                                    << gap.bound << ", violations " << gap.ours_violations << " and "
                                    << gap.solver_violations);
    EXPECT_LE(gap.ours, gap.nothing + 1e-6);
    EXPECT_LE(gap.ours_violations, gap.solver_violations);
    if (gap.solver_violations > 0 || gap.bound < 1) continue;  // what no plan mends is all that counts there
    EXPECT_GE(gap.ours, gap.bound - 1e-6) << "a bound that is none";
    EXPECT_LE(gap.gap(), 0.05);
    sum += gap.gap();
    ++count;
  }
  ASSERT_GE(count, 10);
  EXPECT_LE(sum / count, 0.01);
}

}  // namespace
}  // namespace proteus::ham
