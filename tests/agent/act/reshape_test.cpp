#include "agent/act/reshape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/act/job_harness.h"

namespace proteus::act {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using enum CommandState;

TEST(Reshape, EverySettingIsVerifiedByReadingBack) {
  for (const Operation& operation :
       {Operation{SetCpuQuota{50000, 100000}}, Operation{SetCpuQuota{-1, 100000}}, Operation{SetCpuShares{2048}},
        Operation{SetVcpus{4}}, Operation{SetVcpus{1}}, Operation{SetMemory{256 * kMiB}}}) {
    JobHarness harness;
    run_job(harness.context, Job{harness.command(operation)});
    ASSERT_THAT(harness.states(), ElementsAre(kAccepted, kSucceeded)) << operation.index();
    ASSERT_TRUE(harness.updates.back().observed);
  }
}

TEST(Reshape, ASlowBalloonIsWatchedUntilItArrives) {
  JobHarness harness;
  auto domain = *harness.one.find(kWeb);
  domain.balloon_step_bytes = 16 * kMiB;
  harness.one.define(kWeb, domain);
  run_job(harness.context, Job{harness.command(SetMemory{256 * kMiB})});
  ASSERT_THAT(harness.states(), ElementsAre(kAccepted, kSucceeded));
  EXPECT_EQ(harness.updates.back().observed->memory_bytes, 256 * kMiB);
  EXPECT_GT(harness.pause.waits_count, 10);
}

TEST(Reshape, ABalloonThatStopsShortFailsAtTheDeadlineAndSaysWhere) {
  JobHarness harness;
  auto domain = *harness.one.find(kWeb);
  domain.balloon_floor_bytes = 300 * kMiB;
  harness.one.define(kWeb, domain);
  const Command command = harness.command(SetMemory{256 * kMiB});
  run_job(harness.context, Job{command});
  ASSERT_THAT(harness.states(), ElementsAre(kAccepted, kFailed));
  EXPECT_THAT(harness.updates.back().message, HasSubstr("300 MiB, not 256 MiB"));
  EXPECT_EQ(harness.updates.back().observed->memory_bytes, 300 * kMiB);
  EXPECT_GE(harness.clock.now(), command.deadline);
}

TEST(Reshape, AGuestThatKeepsItsVcpuIsReportedAsItIs) {
  JobHarness harness;
  auto domain = *harness.one.find(kWeb);
  domain.vcpus_kept = 2;
  harness.one.define(kWeb, domain);
  run_job(harness.context, Job{harness.command(SetVcpus{1})});
  ASSERT_THAT(harness.states(), ElementsAre(kAccepted, kFailed));
  EXPECT_EQ(harness.updates.back().observed->vcpus, 2);
}

TEST(Reshape, PreconditionsAreCheckedBeforeAnythingIsDone) {
  const auto refused = [](const std::function<void(JobHarness&, Command&)>& arrange, const char* why) {
    JobHarness harness;
    Command command = harness.command(SetVcpus{3});
    arrange(harness, command);
    run_job(harness.context, Job{command});
    ASSERT_THAT(harness.states(), ElementsAre(kRefused)) << why;
    EXPECT_THAT(harness.updates.back().message, HasSubstr(why));
    EXPECT_EQ(harness.one.orders_count(), 0) << why;
  };
  refused([](auto& harness, auto&) { harness.one.destroy(kWeb); }, "not active");
  refused([](auto&, auto& command) { command.require_running = false; }, "is active");
  refused([](auto&, auto& command) { command.require_value = 1; }, "found 2");
  refused([](auto&, auto& command) { command.operation = SetVcpus{5}; }, "4 vCPUs at most");
  refused([](auto&, auto& command) { command.operation = SetMemory{kGiB}; }, "512 MiB of memory at most");
  refused([](auto& harness, auto&) { harness.limits.protected_vms = {"w*"}; }, "protected");
  refused([](auto& harness, auto&) { harness.clock.advance(std::chrono::seconds(10)); }, "deadline passed");
  refused(
      [](auto& harness, auto&) {
        harness.one.set_trouble(Error{ErrorCode::kUnavailable, "no libvirt"});
      },
      "no libvirt");
}

TEST(Reshape, AGuestDestroyedInTheMiddleEndsTheWatch) {
  JobHarness harness;
  auto domain = *harness.one.find(kWeb);
  domain.balloon_step_bytes = kMiB;
  harness.one.define(kWeb, domain);
  harness.pause.on_wait = [&] { harness.one.destroy(kWeb); };
  run_job(harness.context, Job{harness.command(SetMemory{256 * kMiB})});
  ASSERT_THAT(harness.states(), ElementsAre(kAccepted, kFailed));
  EXPECT_THAT(harness.updates.back().message, HasSubstr("no longer active"));
  EXPECT_FALSE(harness.updates.back().observed->defined_active);
}

TEST(Reshape, AnAdoptedJobLooksAndOrdersNothing) {
  JobHarness harness;
  run_job(harness.context, Job{harness.command(SetVcpus{2}), true});
  EXPECT_THAT(harness.states(), ElementsAre(kSucceeded));
  harness.updates.clear();
  Command command = harness.command(SetVcpus{3});
  command.deadline = harness.clock.now();
  run_job(harness.context, Job{command, true});
  EXPECT_THAT(harness.states(), ElementsAre(kFailed));
  EXPECT_EQ(harness.one.orders_count(), 0);
}

TEST(Reshape, AStoppingProcessLeavesTheEndOpen) {
  JobHarness harness;
  auto domain = *harness.one.find(kWeb);
  domain.balloon_step_bytes = kMiB;
  harness.one.define(kWeb, domain);
  harness.pause.stopping = true;
  run_job(harness.context, Job{harness.command(SetMemory{256 * kMiB})});
  EXPECT_THAT(harness.states(), ElementsAre(kAccepted));
}

}  // namespace
}  // namespace proteus::act
