#include "agent/collect/run_queue_trace.h"

#include <gtest/gtest.h>

#include "ebpf/run_queue.h"

namespace proteus::collect {
namespace {

TEST(UpdatesFor, KeepLogsHalfEmpty) {
  constexpr std::uint64_t kHalf = RUN_QUEUE_LOG_DEPARTURES / 2;
  EXPECT_EQ(updates_for(0, false, 1), 1);
  EXPECT_EQ(updates_for(kHalf, false, 1), 1);
  EXPECT_EQ(updates_for(kHalf + 1, false, 1), 2);
  EXPECT_EQ(updates_for(5 * kHalf, false, 2), 5);
  EXPECT_EQ(updates_for(1000 * kHalf, false, 2), kUpdatesMost);
  // What was lost was not counted: again as often, until nothing is.
  EXPECT_EQ(updates_for(2 * kHalf, true, 2), 4);
  EXPECT_EQ(updates_for(2 * kHalf, true, kUpdatesMost), kUpdatesMost);
  EXPECT_EQ(updates_for(kHalf, false, kUpdatesMost), 1) << "it is quiet again";
}

}  // namespace
}  // namespace proteus::collect
