#include "agent/act/executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/agent/act/job_harness.h"

namespace proteus::act {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using enum CommandState;

/// An executor whose workers run when told to, on a virtual clock, and which can be restarted on its state directory.
class ExecutorTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    directory_ = testing::TempDir() + "/executor_" + test->name();
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    start();
  }
  void start() {
    executor_.reset();
    while (inspect_.try_pop() || reshape_.try_pop() || migrate_.try_pop()) {
    }
    sent_.clear();
    auto made = Executor::create(
        {.host = HostId("h1"), .limits = harness_.limits, .state_directory = directory_},
        Lanes{inspect_, reshape_, migrate_}, [this]() -> Result<std::int64_t> { return available_bytes_; },
        [this](std::size_t peer, const Update& update) { sent_.emplace_back(peer, update); }, now());
    ASSERT_TRUE(made) << made.error().message;
    executor_ = std::move(*made);
  }
  Moment now() const { return {harness_.clock.now(), harness_.clock.now()}; }
  void give(const Command& command, std::size_t peer = 0) { executor_->on_command(peer, command, now()); }
  /// Runs the next job of a lane and hands its updates back.
  bool work(Queue<Job>& lane) {
    const auto job = lane.try_pop();
    if (!job) return false;
    harness_.updates.clear();
    run_job(harness_.context, *job);
    for (const Update& update : harness_.updates) executor_->on_job_update(update, now());
    return true;
  }
  std::vector<CommandState> states_of(std::uint64_t id) const {
    std::vector<CommandState> states;
    for (const auto& [peer, update] : sent_) {
      if (update.command == id) states.push_back(update.state);
    }
    return states;
  }
  const Update& last() const { return sent_.back().second; }

  JobHarness harness_;
  std::string directory_;
  std::int64_t available_bytes_ = 4 * kGiB;
  Queue<Job> inspect_{16, WhenFull::kRefuse};
  Queue<Job> reshape_{16, WhenFull::kRefuse};
  Queue<Job> migrate_{16, WhenFull::kRefuse};
  std::vector<std::pair<std::size_t, Update>> sent_;
  std::unique_ptr<Executor> executor_;
};

TEST_F(ExecutorTest, ExecutesAnIdOnceAndAnswersRepeats) {
  const Command command = harness_.command(SetVcpus{3});
  give(command);
  give(command);
  EXPECT_THAT(states_of(1), IsEmpty());
  ASSERT_TRUE(work(reshape_));
  EXPECT_FALSE(work(reshape_));
  EXPECT_THAT(states_of(1), ElementsAre(kAccepted, kSucceeded));
  give(command);
  EXPECT_FALSE(work(reshape_));
  EXPECT_EQ(last().state, kSucceeded);
  EXPECT_EQ(harness_.one.orders_count(), 1);
}

TEST_F(ExecutorTest, ARepeatAfterARestartIsAnsweredFromDisk) {
  const Command command = harness_.command(SetVcpus{3});
  give(command);
  ASSERT_TRUE(work(reshape_));
  executor_->on_acknowledged(1, kSucceeded, now());
  start();
  Command again = command;
  again.term = 5;
  give(again);
  EXPECT_FALSE(work(reshape_));
  EXPECT_THAT(states_of(1), ElementsAre(kSucceeded));
  EXPECT_EQ(last().term, 5U);
  EXPECT_EQ(last().observed->vcpus, 3);
}

TEST_F(ExecutorTest, AnUnacknowledgedEndIsRepeatedAlsoAcrossARestart) {
  give(harness_.command(SetVcpus{3}));
  ASSERT_TRUE(work(reshape_));
  sent_.clear();
  harness_.clock.advance(seconds(2));
  executor_->on_tick(now());
  EXPECT_THAT(states_of(1), ElementsAre(kSucceeded));
  start();
  executor_->on_tick(now());
  EXPECT_THAT(sent_, IsEmpty()) << "nobody is followed yet";
  ASSERT_TRUE(executor_->on_welcome(0, "c1", 1, now()));
  executor_->on_tick(now());
  EXPECT_THAT(states_of(1), ElementsAre(kSucceeded));
  executor_->on_acknowledged(1, kSucceeded, now());
  harness_.clock.advance(seconds(60));
  sent_.clear();
  executor_->on_tick(now());
  EXPECT_THAT(sent_, IsEmpty());
}

TEST_F(ExecutorTest, AnAcknowledgementOfAnEarlierStateDoesNotSilenceTheEnd) {
  give(harness_.command(SetVcpus{3}));
  ASSERT_TRUE(work(reshape_));
  executor_->on_acknowledged(1, kAccepted, now());
  sent_.clear();
  harness_.clock.advance(seconds(2));
  executor_->on_tick(now());
  EXPECT_THAT(states_of(1), ElementsAre(kSucceeded));
}

TEST_F(ExecutorTest, WhatAnEarlierRunBeganIsFoundOutNotRepeated) {
  give(harness_.command(SetVcpus{3}));
  // Begun and written, but the process dies before a worker took it; the domain still has 2.
  start();
  ASSERT_TRUE(work(reshape_));
  EXPECT_EQ(harness_.one.orders_count(), 0);
  ASSERT_TRUE(executor_->on_welcome(0, "c1", 1, now()));
  executor_->on_tick(now());
  EXPECT_THAT(states_of(1), ElementsAre(kFailed));
  EXPECT_THAT(last().message, HasSubstr("2 vCPUs are online, not 3"));
}

TEST_F(ExecutorTest, ARestartInMidMigrationTellsTheTruth) {
  harness_.one.set_migration_step_bytes(10 * kMiB);
  Command command = harness_.command(JobHarness::migrate_to_two());
  command.deadline = harness_.clock.now() + seconds(60);
  give(command);
  harness_.pause.on_wait = [&] { harness_.pause.stopping = harness_.pause.waits_count == 10; };
  ASSERT_TRUE(work(migrate_));
  EXPECT_EQ(last().state, kRunning);
  harness_.pause.on_wait = nullptr;
  harness_.pause.stopping = false;
  start();
  ASSERT_TRUE(executor_->on_welcome(0, "c1", 1, now()));
  ASSERT_TRUE(work(migrate_));
  EXPECT_EQ(last().state, kSucceeded);
  EXPECT_TRUE(harness_.two.active(kWeb));
  EXPECT_EQ(harness_.one.orders_count(), 1);
}

TEST_F(ExecutorTest, CommandsForOneVmTakeTurnsThoseForAnotherDoNotWait) {
  Command other = harness_.command(SetCpuShares{2000}, 3);
  other.vm = VmId("b7b8f0a0-0000-4000-8000-000000000002");
  harness_.one.define(other.vm, fakes::FakeHypervisor::running_domain("db", 1, 256 * kMiB));
  give(harness_.command(SetVcpus{3}, 1));
  give(harness_.command(SetVcpus{4}, 2));
  give(other);
  EXPECT_EQ(reshape_.size(), 2U);
  const auto first = reshape_.try_pop();
  ASSERT_EQ(first->command.id, 1U);
  ASSERT_TRUE(work(reshape_));
  EXPECT_EQ(states_of(3).back(), kSucceeded);
  EXPECT_EQ(reshape_.size(), 0U) << "2 waits for 1";
  run_job(harness_.context, *first);
  for (const Update& update : std::vector<Update>(harness_.updates)) executor_->on_job_update(update, now());
  ASSERT_TRUE(work(reshape_));
  EXPECT_EQ(states_of(2).back(), kSucceeded);
  EXPECT_EQ(harness_.one.find(kWeb)->seen.vcpus, 4);
}

TEST_F(ExecutorTest, AReshapeWaitsForAMigrationOfItsVm) {
  give(harness_.command(JobHarness::migrate_to_two(), 1));
  give(harness_.command(SetVcpus{3}, 2));
  EXPECT_EQ(reshape_.size(), 0U);
  ASSERT_TRUE(work(migrate_));
  ASSERT_TRUE(work(reshape_));
  EXPECT_EQ(states_of(2).back(), kRefused) << "the domain has left";
}

TEST_F(ExecutorTest, TheFenceTurnsAwayAndRemembersNothing) {
  Command command = harness_.command(SetVcpus{3});
  command.term = 4;
  give(command);
  Command stale = harness_.command(SetVcpus{4}, 2);
  stale.term = 3;
  give(stale, 1);
  EXPECT_EQ(last().state, kRefused);
  EXPECT_EQ(sent_.back().first, 1U) << "the answer goes to whoever asked";
  Command rival = harness_.command(SetVcpus{4}, 3);
  rival.term = 9;
  rival.controller = "c2";
  give(rival, 1);
  EXPECT_EQ(last().state, kRefused);
  EXPECT_EQ(executor_->leader().followed().term, 4U);
  EXPECT_EQ(reshape_.size(), 1U);

  start();  // a restart does not forget the term
  stale.id = 4;
  give(stale, 1);
  EXPECT_EQ(last().state, kRefused);
  EXPECT_THAT(last().message, HasSubstr("older than 4"));
}

TEST_F(ExecutorTest, ASuccessorGetsTheWordOnWhatItsPredecessorBegan) {
  give(harness_.command(SetVcpus{3}), 0);
  harness_.clock.advance(seconds(20));
  ASSERT_TRUE(executor_->on_welcome(1, "c2", 2, now()));
  Command again = harness_.command(SetVcpus{3});
  again.term = 2;
  again.controller = "c2";
  give(again, 1);
  ASSERT_TRUE(work(reshape_));
  EXPECT_EQ(sent_.back().first, 1U);
  EXPECT_EQ(last().term, 2U);
}

TEST_F(ExecutorTest, RefusesWhatIsForAnotherHostLateOrNotAllowed) {
  Command command = harness_.command(SetVcpus{3}, 1);
  command.host = HostId("h2");
  give(command);
  EXPECT_THAT(last().message, HasSubstr("for host 'h2'"));
  command = harness_.command(SetVcpus{3}, 2);
  command.deadline = harness_.clock.now();
  give(command);
  EXPECT_THAT(last().message, HasSubstr("after its deadline"));
  give(harness_.command(SetVcpus{0}, 3));
  EXPECT_EQ(last().state, kRefused);
  EXPECT_EQ(reshape_.size(), 0U);
}

TEST_F(ExecutorTest, ASecondCopyOfARefusedCommandStaysRefused) {
  const Command big = harness_.command(Reserve{8 * kGiB, 0}, 1);
  harness_.limits.concurrent_migrations_max = 0;
  start();
  const Command command = harness_.command(JobHarness::migrate_to_two(), 2);
  give(command);
  EXPECT_EQ(last().state, kRefused);
  give(command);
  EXPECT_THAT(states_of(2), ElementsAre(kRefused, kRefused));
  give(big);
  available_bytes_ = 100 * kGiB;
  give(big);
  EXPECT_THAT(states_of(1), ElementsAre(kRefused, kRefused));
}

TEST_F(ExecutorTest, NoMoreMigrationsThanThisHostAllows) {
  for (std::uint64_t id = 1; id <= 3; ++id) {
    Command command = harness_.command(JobHarness::migrate_to_two(), id);
    command.vm = VmId("b7b8f0a0-0000-4000-8000-00000000000" + std::to_string(id));
    give(command);
  }
  EXPECT_EQ(migrate_.size(), 2U);
  EXPECT_THAT(states_of(3), ElementsAre(kRefused));
  EXPECT_THAT(last().message, HasSubstr("concurrent_migrations_max"));
}

TEST_F(ExecutorTest, AbortStopsTheMigrationOfItsAction) {
  harness_.one.set_migration_step_bytes(kMiB);
  const Command migrate = harness_.command(JobHarness::migrate_to_two(), 1);
  give(migrate);
  give(harness_.command(Abort{migrate.action}, 2));
  EXPECT_THAT(states_of(2), ElementsAre(kAccepted));
  ASSERT_TRUE(work(migrate_));
  EXPECT_EQ(states_of(1).back(), kRefused);
  EXPECT_EQ(states_of(2).back(), kSucceeded);
  EXPECT_EQ(executor_->open_count(), 0U);

  give(harness_.command(Abort{migrate.action}, 3));
  EXPECT_THAT(states_of(3), ElementsAre(kAccepted, kSucceeded)) << "it had ended";
  give(harness_.command(Abort{999}, 4));
  EXPECT_THAT(states_of(4), ElementsAre(kRefused));
}

TEST_F(ExecutorTest, AnAbortThatComesTooLateSaysSo) {
  const Command migrate = harness_.command(JobHarness::migrate_to_two(), 1);
  give(migrate);
  ASSERT_TRUE(work(migrate_));
  give(harness_.command(Abort{migrate.action}, 2));
  EXPECT_THAT(states_of(2), ElementsAre(kAccepted, kFailed));
}

TEST_F(ExecutorTest, ReservationsAreGrantedWithinWhatIsFreeAndSurviveARestart) {
  available_bytes_ = 1024 * kMiB;
  give(harness_.command(Reserve{400 * kMiB, 500}, 1));
  EXPECT_THAT(states_of(1), ElementsAre(kAccepted, kSucceeded));
  give(harness_.command(Reserve{200 * kMiB, 0}, 2));
  EXPECT_THAT(states_of(2), ElementsAre(kRefused));
  start();
  EXPECT_EQ(executor_->reservations().memory_bytes(), 400 * kMiB);
  give(harness_.command(Release{101}, 3));
  EXPECT_EQ(executor_->reservations().memory_bytes(), 0);
  start();
  EXPECT_EQ(executor_->reservations().memory_bytes(), 0);
  give(harness_.command(Release{12345}, 4));
  EXPECT_EQ(states_of(4).back(), kSucceeded);
}

TEST_F(ExecutorTest, AConditionalReservationAsksTheHypervisorFirst) {
  Command command = harness_.command(Reserve{100 * kMiB, 0}, 1);
  command.require_running = false;
  give(command);
  ASSERT_TRUE(work(inspect_));
  EXPECT_THAT(states_of(1), ElementsAre(kRefused)) << "the domain runs here";
  harness_.one.destroy(kWeb);
  command.id = 2;
  give(command);
  ASSERT_TRUE(work(inspect_));
  EXPECT_THAT(states_of(2), ElementsAre(kAccepted, kSucceeded));
  EXPECT_EQ(executor_->reservations().memory_bytes(), 100 * kMiB);
}

TEST_F(ExecutorTest, InspectionWaitsForNobody) {
  give(harness_.command(JobHarness::migrate_to_two(), 1));
  give(harness_.command(Inspect{}, 2));
  ASSERT_TRUE(work(inspect_));
  EXPECT_THAT(states_of(2), ElementsAre(kAccepted, kSucceeded));
  EXPECT_TRUE(last().observed->running);
}

}  // namespace
}  // namespace proteus::act
