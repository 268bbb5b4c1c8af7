#include "agent/act/worker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>

#include "tests/agent/act/job_harness.h"

namespace proteus::act {
namespace {

TEST(Worker, DoesJobsUntilItsQueueIsClosed) {
  JobHarness harness;
  const SystemClock clock;
  StoppablePause pause;
  Queue<Job> jobs(8, WhenFull::kRefuse);
  Queue<Update> updates(64, WhenFull::kRefuse);
  std::atomic<int> acted_count{0};
  {
    Command command = harness.command(SetVcpus{3});
    command.deadline = clock.now() + std::chrono::minutes(1);
    std::optional<Worker> worker;
    worker.emplace(
        "reshape", HostId("h1"), jobs, harness.one, harness.limits, clock, pause,
        [&](Update update) { updates.push(std::move(update)); }, [&](const VmId&) { ++acted_count; });
    ASSERT_TRUE(jobs.push(Job{command}));
    jobs.close();
  }
  ASSERT_EQ(updates.size(), 2U);
  EXPECT_EQ(updates.pop()->state, CommandState::kAccepted);
  EXPECT_EQ(updates.pop()->state, CommandState::kSucceeded);
  EXPECT_EQ(acted_count, 1);
}

TEST(Worker, AStopEndsAMigrationsWatchWithoutAnEnd) {
  JobHarness harness;
  const SystemClock clock;
  StoppablePause pause;
  Queue<Job> jobs(8, WhenFull::kRefuse);
  Queue<Update> updates(4096, WhenFull::kDropOldest);
  harness.one.set_migration_step_bytes(1);
  Command command = harness.command(JobHarness::migrate_to_two());
  command.deadline = clock.now() + std::chrono::hours(1);
  {
    const Worker worker(
        "migrate-1", HostId("h1"), jobs, harness.one, harness.limits, clock, pause,
        [&](Update update) { updates.push(std::move(update)); }, [](const VmId&) {});
    ASSERT_TRUE(jobs.push(Job{command}));
    ASSERT_TRUE(jobs.push(Job{command}));
    ASSERT_EQ(updates.pop_for(std::chrono::minutes(1))->state, CommandState::kAccepted);
    pause.stop();
    jobs.close();
  }
  while (const auto update = updates.try_pop()) EXPECT_EQ(update->state, CommandState::kRunning);
  EXPECT_EQ(harness.one.orders_count(), 1) << "the job that still waited was not begun";
}

}  // namespace
}  // namespace proteus::act
