#include "controller/ham/score/contention.h"

#include <gtest/gtest.h>

namespace proteus::ham {
namespace {

TEST(HeldBack, NothingBelowTheLimitAllVcpusAbove) {
  EXPECT_EQ(held_back_cores(0.4, 0.4, 1), 0);
  EXPECT_DOUBLE_EQ(held_back_cores(0.5, 0.4, 1), 0.6);
  EXPECT_DOUBLE_EQ(held_back_cores(2.5, 2.4, 8), 3 - 2.4);
  EXPECT_DOUBLE_EQ(held_back_cores(2.5, 2.0, 2), 0.5);
}

}  // namespace
}  // namespace proteus::ham
