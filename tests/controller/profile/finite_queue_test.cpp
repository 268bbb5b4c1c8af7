#include "controller/profile/finite_queue.h"

#include <gtest/gtest.h>

namespace proteus::profile {
namespace {

TEST(FiniteWait, NobodyWaitsWhereEachHasACpu) {
  EXPECT_EQ(finite_wait_cores(1.9, 2, 2), 0);
  EXPECT_EQ(finite_wait_cores(0, 8, 1), 0);
}

TEST(FiniteWait, GrowsWithLoadUpToEverybodyElse) {
  double previous = 0;
  for (double load = 0.1; load <= 3.0; load += 0.1) {
    const double waiting = finite_wait_cores(load, 3, 0.9);
    EXPECT_GE(waiting, previous) << load;
    EXPECT_LE(waiting, 3 - 0.1) << load;
    previous = waiting;
  }
  EXPECT_NEAR(previous, 2.1, 1e-3);
}

// Three vCPUs of 0.35, 0.15 and 0.15 on 0.9 cores, without the feedback: 0.17 of them wait by enumeration of all
// states.
TEST(FiniteWait, IsNearTheExactValue) {
  const double waiting = finite_wait_cores(0.65, 3, 0.9);
  EXPECT_GT(waiting, 0.17);
  EXPECT_LT(waiting, 0.17 * 2.5);
}

TEST(EqualVcpus, AreAsManyAsMakeAsUnevenALoad) {
  // Two VMs that keep all of their eight vCPUs busy: 16 that never rest.
  EXPECT_DOUBLE_EQ(equal_vcpus(16, 8 * 8 / 8.0 * 2), 16);
  // 64 that are busy for a quarter of the time.
  EXPECT_DOUBLE_EQ(equal_vcpus(16, 64 * 0.25 * 0.25), 64);
  EXPECT_EQ(equal_vcpus(0, 0), 0);
  EXPECT_EQ(finite_wait_cores(16, equal_vcpus(16, 16), 16), 0);
  EXPECT_GT(finite_wait_cores(15, equal_vcpus(15, 64 * (15 / 64.0) * (15 / 64.0)), 16), 0.5);
  // Nothing at all, far from the capacity.
  EXPECT_EQ(finite_wait_cores(2, 64, 16), 0);
}

}  // namespace
}  // namespace proteus::profile
