#include "tests/controller/drs/executor_fixture.h"

namespace proteus::drs {
namespace {

TEST_F(ExecutorTest, SecondDecisionForABusyVmIsNotTakenUp) {
  take({quota(50000, 80000)});
  take({move()}, 2);
  EXPECT_EQ(action(2).state, kExpired);
  EXPECT_NE(action(2).message.find("action 1"), std::string::npos);
  EXPECT_TRUE(sent_.empty());
  EXPECT_EQ(journal_.at(2).state, kExpired);
}

TEST_F(ExecutorTest, PlanWaitsWhereItMustAndOnlyThere) {
  ham::Action after_first = quota(30000, 60000, vm_id(2));
  after_first.after = {0};
  take({quota(80000, 50000), after_first, quota(10000, 20000, vm_id(3)), move()});
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(action(1).state, kSent);
  EXPECT_EQ(action(2).state, kIntended) << "waits for the room";
  EXPECT_EQ(action(3).state, kSent);
  EXPECT_EQ(action(4).state, kIntended) << "waits for its own VM's reshape";
  say(sent_[0], CommandState::kSucceeded);
  observe({{kH1, runs(50000)}});
  EXPECT_EQ(action(1).state, kVerified);
  EXPECT_EQ(action(2).state, kSent);
  EXPECT_EQ(action(4).state, kReserving);
  EXPECT_EQ(action(1).trigger_time, action(3).trigger_time) << "the frame that the decision saw";
  const std::optional<Timestamp> seen = action(1).transitions.back().agent_time;
  ASSERT_TRUE(seen);
  EXPECT_EQ(action(2).trigger_time, *seen) << "what it waited for was seen to be done";
  EXPECT_EQ(action(4).trigger_time, *seen);
}

TEST_F(ExecutorTest, WhatWaitsForAFailedActionExpires) {
  ham::Action second = quota(30000, 60000, vm_id(2));
  second.after = {0};
  ham::Action third = quota(30000, 60000, vm_id(3));
  third.after = {1};
  third.automation = ham::Automation::kApprove;
  take({quota(80000, 50000), second, third});
  say(the<SetCpuQuota>(), CommandState::kRefused, "no");
  EXPECT_EQ(action(2).state, kExpired);
  EXPECT_EQ(action(3).state, kExpired);
}

TEST_F(ExecutorTest, ApprovalIsWaitedFor) {
  ham::Action asked = quota(50000, 80000);
  asked.automation = ham::Automation::kApprove;
  take({asked});
  EXPECT_EQ(action().state, kAwaitingApproval);
  EXPECT_TRUE(executor_.in_flight().at(0).awaiting_approval);
  EXPECT_TRUE(sent_.empty());
  Result<Output> out = executor_.approve(1, now_);
  ASSERT_TRUE(out);
  put(std::move(out.value()));
  EXPECT_EQ(action().state, kSent);
  EXPECT_EQ(action().trigger_time, now_) << "the approval set it off";
  EXPECT_EQ(executor_.approve(1, now_).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(executor_.reject(7, now_, "x").error().code, ErrorCode::kNotFound);
}

TEST_F(ExecutorTest, RejectedAndForgottenActionsAreNeverSent) {
  ham::Action asked = quota(50000, 80000);
  asked.automation = ham::Automation::kApprove;
  take({asked});
  Result<Output> out = executor_.reject(1, now_, "ops");
  ASSERT_TRUE(out);
  put(std::move(out.value()));
  EXPECT_EQ(action(1).state, kRejected);
  EXPECT_EQ(action(1).message, "rejected by ops");
  take({asked}, 2);
  tick(minutes(15));
  EXPECT_EQ(action(2).state, kExpired);
  EXPECT_TRUE(all_.empty());
}

TEST_F(ExecutorTest, LowLevelsOfAutomationAreNotExecuted) {
  ham::Action only_recommended = quota(50000, 80000);
  only_recommended.automation = ham::Automation::kRecommend;
  take({only_recommended});
  EXPECT_EQ(action().state, kExpired);
  EXPECT_TRUE(all_.empty());
}

TEST_F(ExecutorTest, KillSwitchStopsEverythingThatCanBeStopped) {
  ham::Action asked = quota(1, 2, vm_id(5));
  asked.automation = ham::Automation::kApprove;
  take({move(), quota(50000, 80000, vm_id(2)), move(vm_id(3)), asked});
  const std::vector<Command> first = sent_;
  say(first[0], CommandState::kSucceeded);
  say(the<Migrate>(), CommandState::kRunning);
  put(executor_.stop_all(now_));
  EXPECT_EQ(the<Abort>().action, 1u);
  EXPECT_EQ(action(2).state, kVerifying);
  EXPECT_EQ(the<SetCpuQuota>().deadline, kAskOnly) << "called back";
  EXPECT_EQ(action(4).state, kExpired);
  say(the<Release>(), CommandState::kSucceeded);
  EXPECT_EQ(action(3).state, kExpired);
}

TEST_F(ExecutorTest, AdoptedMigrationIsFollowedNotRepeated) {
  start_move();
  const std::uint64_t id = the<Migrate>().id;
  restart();
  all_.clear();
  tick(seconds(1));
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(sent_[0].id, id);
  EXPECT_EQ(sent_[0].term, 2u);
  EXPECT_EQ(sent_[0].deadline, kAskOnly) << "cannot start anything";
  say(sent_[0], CommandState::kRunning);
  EXPECT_EQ(action().state, kRunning);
  say(the<Migrate>(), CommandState::kSucceeded);
  observe({{kH1, absent()}, {kH2, runs()}});
  say(the<Release>(), CommandState::kSucceeded);
  EXPECT_EQ(action().state, kVerified);
  EXPECT_EQ(journal_.at(1).state, kVerified);
}

TEST_F(ExecutorTest, AdoptedCommandThatNeverLeftEndsAsFailed) {
  take({move()});
  say(the<Reserve>(), CommandState::kSucceeded);
  restart();
  all_.clear();
  tick(seconds(1));
  say(the<Migrate>(), CommandState::kRefused, "deadline has passed");
  observe({{kH1, runs()}, {kH2, absent()}});
  tick(seconds(2));
  observe({{kH1, runs()}, {kH2, absent()}});
  say(the<Release>(), CommandState::kSucceeded);
  EXPECT_EQ(action().state, kFailed);
}

TEST_F(ExecutorTest, AdoptedWaitingActionsExpireAndAdoptedApprovalsWait) {
  ham::Action later = quota(30000, 60000, vm_id(2));
  later.after = {0};
  ham::Action asked = quota(1, 2, vm_id(3));
  asked.automation = ham::Automation::kApprove;
  take({move(), later, asked});
  restart();
  tick(seconds(1));
  EXPECT_EQ(action(2).state, kExpired);
  EXPECT_EQ(action(3).state, kAwaitingApproval);
  say(the<Release>(), CommandState::kSucceeded);
  EXPECT_EQ(action(1).state, kExpired);
  EXPECT_EQ(count<Migrate>(), 0);
}

TEST_F(ExecutorTest, EndedActionsAreKeptInBoundedNumber) {
  executor_ = Executor({.controller = "c", .ended_actions_max = 10}, 1, 1, 1);
  for (std::uint64_t i = 1; i <= 30; ++i) {
    take({quota(50000, 80000)}, i);
    say(the<SetCpuQuota>(), CommandState::kRefused, "no");
  }
  EXPECT_EQ(executor_.actions().size(), 10u);
  EXPECT_TRUE(executor_.actions().contains(30));
}

}  // namespace
}  // namespace proteus::drs
