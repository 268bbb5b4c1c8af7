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
    EXPECT_LE(gap.bound, gap.optimum);
    EXPECT_LE(gap.optimum, gap.ours);
    EXPECT_LE(gap.gap_max(), 0.05);
    sum += gap.gap_max();
    ++count;
  }
  EXPECT_LE(sum / count, 0.01);
}

}  // namespace
}  // namespace proteus::ham
