#include "agent/act/migrate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/act/job_harness.h"

namespace proteus::act {
namespace {

using testing::HasSubstr;
using enum CommandState;

TEST(Migrate, MovesReportsProgressAndMeasuresDowntime) {
  JobHarness harness;
  harness.one.set_migration_step_bytes(10 * kMiB);
  run_job(harness.context, Job{harness.command(JobHarness::migrate_to_two())});
  ASSERT_GE(harness.updates.size(), 4U);
  EXPECT_EQ(harness.updates.front().state, kAccepted);
  EXPECT_EQ(harness.updates[1].state, kRunning);
  EXPECT_GT(harness.updates[1].migration->bytes_remaining, 0);
  const Update& last = harness.updates.back();
  EXPECT_EQ(last.state, kSucceeded);
  EXPECT_EQ(last.message, "");
  EXPECT_EQ(last.migration->downtime_ms, 42);
  EXPECT_FALSE(last.observed->defined_active);
  EXPECT_FALSE(harness.one.active(kWeb));
  EXPECT_TRUE(harness.two.active(kWeb));
}

TEST(Migrate, WhatTheHypervisorDeclinesIsRefusedWithItsReason) {
  JobHarness harness;
  auto domain = *harness.one.find(kWeb);
  domain.refuses_migration = Error{ErrorCode::kFailedPrecondition, "Unsafe migration: without shared storage"};
  harness.one.define(kWeb, domain);
  run_job(harness.context, Job{harness.command(JobHarness::migrate_to_two())});
  ASSERT_THAT(harness.states(), testing::ElementsAre(kRefused));
  EXPECT_THAT(harness.updates.back().message, HasSubstr("Unsafe migration"));
  EXPECT_TRUE(harness.updates.back().observed->running);
}

TEST(Migrate, AnUnreachableTargetFailsAndTheDomainStays) {
  JobHarness harness;
  Migrate order = JobHarness::migrate_to_two();
  order.target_libvirt_uri = "qemu+tcp://h9/system";
  run_job(harness.context, Job{harness.command(order)});
  ASSERT_THAT(harness.states(), testing::ElementsAre(kAccepted, kFailed));
  EXPECT_THAT(harness.updates.back().message, HasSubstr("stays on this host"));
  EXPECT_TRUE(harness.one.active(kWeb));
}

TEST(Migrate, IsAbortedAtItsDeadline) {
  JobHarness harness;
  harness.one.set_migration_step_bytes(kMiB);
  Command command = harness.command(JobHarness::migrate_to_two());
  command.deadline = harness.clock.now() + std::chrono::seconds(2);
  run_job(harness.context, Job{command});
  const Update& last = harness.updates.back();
  EXPECT_EQ(last.state, kFailed);
  EXPECT_THAT(last.message, HasSubstr("aborted at its deadline"));
  EXPECT_TRUE(last.observed->running);
  EXPECT_FALSE(harness.two.active(kWeb));
  EXPECT_LT(harness.clock.now(), command.deadline + std::chrono::seconds(1));
}

TEST(Migrate, IsAbortedOnRequest) {
  JobHarness harness;
  harness.one.set_migration_step_bytes(kMiB);
  const Job job{harness.command(JobHarness::migrate_to_two())};
  harness.pause.on_wait = [&] {
    if (harness.pause.waits_count == 5) job.abort_requested->store(true);
  };
  run_job(harness.context, job);
  EXPECT_EQ(harness.updates.back().state, kFailed);
  EXPECT_THAT(harness.updates.back().message, HasSubstr("aborted on request"));
  EXPECT_TRUE(harness.one.active(kWeb));
}

TEST(Migrate, AnAbortBeforeTheStartRefuses) {
  JobHarness harness;
  const Job job{harness.command(JobHarness::migrate_to_two())};
  job.abort_requested->store(true);
  run_job(harness.context, job);
  EXPECT_THAT(harness.states(), testing::ElementsAre(kRefused));
}

TEST(Migrate, AGuestDestroyedInTheMiddleIsFoundNowhere) {
  JobHarness harness;
  harness.one.set_migration_step_bytes(kMiB);
  harness.pause.on_wait = [&] {
    if (harness.pause.waits_count == 3) harness.one.destroy(kWeb);
  };
  run_job(harness.context, Job{harness.command(JobHarness::migrate_to_two())});
  EXPECT_EQ(harness.updates.back().state, kFailed);
  EXPECT_THAT(harness.updates.back().message, HasSubstr("neither on this host nor on h2"));
}

/// Starts a migration, as an agent that then went away.
void start_and_leave(JobHarness& harness) {
  ASSERT_TRUE(harness.one.start_migration(kWeb, JobHarness::migrate_to_two()));
}

TEST(Migrate, AnAdoptedMigrationIsWatchedToItsEnd) {
  JobHarness harness;
  harness.one.set_migration_step_bytes(10 * kMiB);
  start_and_leave(harness);
  run_job(harness.context, Job{harness.command(JobHarness::migrate_to_two()), true});
  EXPECT_EQ(harness.updates.front().state, kRunning);
  EXPECT_EQ(harness.updates.back().state, kSucceeded);
  EXPECT_THAT(harness.updates.back().message, HasSubstr("found running on h2"));
  EXPECT_EQ(harness.updates.back().migration->downtime_ms, 42);
}

TEST(Migrate, AnAdoptedMigrationStillHasItsDeadline) {
  JobHarness harness;
  harness.one.set_migration_step_bytes(kMiB);
  start_and_leave(harness);
  Command command = harness.command(JobHarness::migrate_to_two());
  command.deadline = harness.clock.now() - std::chrono::seconds(5);
  run_job(harness.context, Job{command, true});
  EXPECT_EQ(harness.updates.back().state, kFailed);
  EXPECT_TRUE(harness.one.active(kWeb));
}

TEST(Migrate, AnAdoptedMigrationThatNeverBeganFails) {
  JobHarness harness;
  run_job(harness.context, Job{harness.command(JobHarness::migrate_to_two()), true});
  EXPECT_EQ(harness.updates.back().state, kFailed);
  EXPECT_THAT(harness.updates.back().message, HasSubstr("is on this host"));
  EXPECT_EQ(harness.one.orders_count(), 0);
}

TEST(Migrate, AnAdoptedMigrationWhoseDomainIsGoneIsNotCalledASuccess) {
  JobHarness harness;
  harness.one.destroy(kWeb);
  run_job(harness.context, Job{harness.command(JobHarness::migrate_to_two()), true});
  EXPECT_EQ(harness.updates.back().state, kFailed);

  // The shell of an incoming migration is no arrival.
  auto shell = fakes::FakeHypervisor::running_domain("web", 2, 512 * kMiB);
  shell.seen.running = false;
  harness.two.define(kWeb, shell);
  run_job(harness.context, Job{harness.command(JobHarness::migrate_to_two()), true});
  EXPECT_EQ(harness.updates.back().state, kFailed);
  EXPECT_THAT(harness.updates.back().message, HasSubstr("is paused on h2"));
}

TEST(Migrate, AnAdoptedMigrationWaitsForASilentLibvirt) {
  JobHarness harness;
  harness.one.set_migration_step_bytes(100 * kMiB);
  start_and_leave(harness);
  harness.one.set_trouble(Error{ErrorCode::kUnavailable, "libvirt restarts"});
  harness.pause.on_wait = [&] {
    if (harness.pause.waits_count == 4) harness.one.set_trouble(std::nullopt);
  };
  run_job(harness.context, Job{harness.command(JobHarness::migrate_to_two()), true});
  EXPECT_EQ(harness.updates.back().state, kSucceeded);
}

}  // namespace
}  // namespace proteus::act
