#include "agent/stop_deadline.h"

#include <gtest/gtest.h>

#include <future>

namespace proteus {
namespace {

void hang() {
  std::promise<void> never;
  never.get_future().wait();
}

TEST(StopDeadlineDeathTest, EndsAProcessThatWaitsForEver) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto end = [] {
    end_process_after(std::chrono::milliseconds(1), 3);
    hang();
  };
  EXPECT_EXIT(end(), testing::ExitedWithCode(3), "");
}

}  // namespace
}  // namespace proteus
