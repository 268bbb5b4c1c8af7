#include "controller/drs/executor.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "controller/drs/reshape_value.h"

namespace proteus::drs {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using enum ActionState;

const HostId kH1("h1");
const HostId kH2("h2");
const VmId kVm("vm1");

ham::Action quota(std::int64_t from_us, std::int64_t to_us, const VmId& vm = kVm) {
  ham::Action action;
  action.vm = vm;
  action.host = kH1;
  action.operation = SetCpuQuota{to_us, 100000};
  action.present_value = from_us;
  action.automation = ham::Automation::kAutomatic;
  return action;
}

ham::Action move(const VmId& vm = kVm) {
  ham::Action action;
  action.vm = vm;
  action.host = kH1;
  Migrate migrate;
  migrate.target = kH2;
  action.operation = migrate;
  action.reserve = {2 * kGiB, 1500};
  action.automation = ham::Automation::kAutomatic;
  return action;
}

DomainObservation runs(std::int64_t quota_us = 50000) {
  return {true, true, 2, quota_us, 100000, 1024, kGiB};
}
DomainObservation paused() {
  return {true, false, 2, 50000, 100000, 1024, kGiB};
}
DomainObservation absent() {
  return {};
}

/// An executor, what it has put out, and short words for what agents say.
class ExecutorTest : public ::testing::Test {
 protected:
  void put(Output out) {
    for (ActionRecord& record : out.new_actions) journal_[record.action.id] = record;
    for (const Transition& transition : out.transitions) {
      const Status applied = apply(journal_.at(transition.action), transition);
      ASSERT_TRUE(applied) << applied.error().message;
    }
    sent_ = std::move(out.commands);
    all_.insert(all_.end(), sent_.begin(), sent_.end());
  }
  void take(std::vector<ham::Action> actions, std::uint64_t decision = 1) {
    put(executor_.take(decision, now_ - milliseconds(300), std::move(actions), now_));
  }
  void tick(Nanoseconds later) {
    now_ += later;
    put(executor_.on_tick(now_, [this](const HostId& host) { return !unreachable_.contains(host); }));
  }
  void say(const Command& command, CommandState state, std::string message = "",
           std::optional<DomainObservation> seen = std::nullopt) {
    Update update;
    update.command = command.id;
    update.action = command.action;
    update.term = command.term;
    update.host = command.host;
    update.vm = command.vm;
    update.state = state;
    update.time = now_ + seconds(1);  // this host's clock is ahead
    update.message = std::move(message);
    update.observed = std::move(seen);
    put(executor_.on_update(update, now_));
  }
  /// Answers the questions that left last, by host.
  void observe(const std::map<HostId, DomainObservation>& truth) {
    for (const Command& question : std::vector<Command>(sent_)) {
      if (std::holds_alternative<Inspect>(question.operation)) {
        say(question, CommandState::kSucceeded, "", truth.at(question.host));
      }
    }
  }
  template <typename Kind>
  const Command* latest() const {
    for (auto it = all_.rbegin(); it != all_.rend(); ++it) {
      if (std::holds_alternative<Kind>(it->operation)) return &*it;
    }
    return nullptr;
  }
  template <typename Kind>
  Command the() const {
    const Command* command = latest<Kind>();
    EXPECT_NE(command, nullptr);
    return command == nullptr ? Command{} : *command;
  }
  template <typename Kind>
  int count() const {
    int n = 0;
    for (const Command& command : all_) n += std::holds_alternative<Kind>(command.operation) ? 1 : 0;
    return n;
  }
  const ActionRecord& action(ActionId id = 1) const { return executor_.actions().at(id); }
  /// Up to a migration that its agent says is running.
  void start_move() {
    take({move()});
    say(the<Reserve>(), CommandState::kSucceeded);
    say(the<Migrate>(), CommandState::kAccepted);
    say(the<Migrate>(), CommandState::kRunning);
  }
  /// A new controller, which knows what the journal holds.
  void restart() {
    std::vector<ActionRecord> open;
    for (const auto& [id, record] : journal_) {
      if (!is_final(record.state)) open.push_back(record);
    }
    executor_ = Executor({.controller = "c2"}, 2, 100, 1000);
    executor_.adopt(std::move(open));
  }

  Timestamp now_ = from_unix_ns(1'700'000'000'000'000'000);
  Executor executor_{{.controller = "c1"}, 1, 1, 1};
  std::set<HostId> unreachable_;
  std::map<ActionId, ActionRecord> journal_;
  std::vector<Command> sent_;  ///< by the last call
  std::vector<Command> all_;
};

TEST_F(ExecutorTest, ReshapeIsSentAtOnceWithItsPreconditions) {
  take({quota(50000, 80000)});
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(sent_[0].require_value, 50000);
  EXPECT_EQ(sent_[0].require_running, true);
  EXPECT_EQ(sent_[0].term, 1u);
  EXPECT_EQ(sent_[0].controller, "c1");
  EXPECT_EQ(sent_[0].deadline, now_ + seconds(10));
  EXPECT_EQ(action().state, kSent);
  EXPECT_EQ(journal_.at(1).command, sent_[0].id);
}

TEST_F(ExecutorTest, ReshapeIsVerifiedByLooking) {
  take({quota(50000, 80000)});
  const Command set = the<SetCpuQuota>();
  say(set, CommandState::kAccepted);
  EXPECT_EQ(action().executed_at, now_ + seconds(1));
  EXPECT_EQ(action().trigger_time, now_ - milliseconds(300));
  say(set, CommandState::kSucceeded);
  EXPECT_EQ(action().state, kVerifying);
  observe({{kH1, runs(80000)}});
  EXPECT_EQ(action().state, kVerified);
  EXPECT_TRUE(executor_.in_flight().empty());
}

TEST_F(ExecutorTest, FirstWordMayBeTheLast) {
  take({quota(50000, 80000)});
  say(the<SetCpuQuota>(), CommandState::kSucceeded);
  EXPECT_TRUE(action().executed_at);
  observe({{kH1, runs(80000)}});
  EXPECT_EQ(action().state, kVerified);
}

TEST_F(ExecutorTest, ReshapeThatTookNoEffectIsNotVerified) {
  take({quota(50000, 80000)});
  say(the<SetCpuQuota>(), CommandState::kSucceeded);
  for (int i = 0; i < 6; ++i) {
    observe({{kH1, runs(60000)}});
    tick(seconds(2));
  }
  observe({{kH1, runs(60000)}});
  EXPECT_EQ(action().state, kFailed);
  EXPECT_EQ(count<SetCpuQuota>(), 1) << "another hand's change is not fought";
}

TEST_F(ExecutorTest, RefusalEndsAtOnce) {
  take({quota(50000, 80000)});
  say(the<SetCpuQuota>(), CommandState::kRefused, "value is 60000");
  EXPECT_EQ(action().state, kFailed);
  EXPECT_NE(action().message.find("value is 60000"), std::string::npos);
}

TEST_F(ExecutorTest, HalfDoneReshapeIsReverted) {
  take({quota(50000, 80000)});
  say(the<SetCpuQuota>(), CommandState::kFailed, "second of two calls failed");
  observe({{kH1, runs(65000)}});
  tick(seconds(2));
  observe({{kH1, runs(65000)}});
  ASSERT_EQ(action().state, kReverting);
  const Command back = the<SetCpuQuota>();
  EXPECT_EQ(std::get<SetCpuQuota>(back.operation).quota_us, 50000);
  EXPECT_EQ(back.require_value, 65000);
  say(back, CommandState::kSucceeded);
  observe({{kH1, runs(50000)}});
  EXPECT_EQ(action().state, kReverted);
}

TEST_F(ExecutorTest, FailedReshapeWithoutEffectIsLeftAlone) {
  take({quota(50000, 80000)});
  say(the<SetCpuQuota>(), CommandState::kFailed, "no");
  observe({{kH1, runs(50000)}});
  tick(seconds(2));
  observe({{kH1, runs(50000)}});
  EXPECT_EQ(action().state, kFailed);
  EXPECT_EQ(count<SetCpuQuota>(), 1);
}

TEST_F(ExecutorTest, SilenceRepeatsTheSameCommandThenOnlyAsks) {
  take({quota(50000, 80000)});
  const Command set = the<SetCpuQuota>();
  tick(seconds(5));
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(sent_[0].id, set.id);
  EXPECT_EQ(sent_[0].deadline, set.deadline);
  tick(seconds(5));  // the deadline
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(sent_[0].id, set.id);
  EXPECT_EQ(sent_[0].deadline, kAskOnly);
  EXPECT_EQ(action().state, kVerifying);
  say(set, CommandState::kRefused, "deadline has passed");
  observe({{kH1, runs(80000)}});
  EXPECT_EQ(action().state, kVerified) << "it had been executed by an agent that forgot it";
}

TEST_F(ExecutorTest, UnreachableHostHoldsTheActionOpen) {
  take({quota(50000, 80000)});
  unreachable_.insert(kH1);
  for (int i = 0; i < 100; ++i) tick(seconds(10));
  EXPECT_FALSE(is_final(action().state));
  EXPECT_EQ(executor_.in_flight().size(), 1u);
  unreachable_.clear();
  tick(seconds(1));
  ASSERT_EQ(sent_.size(), 1u) << "asked as soon as the host is back";
  say(sent_[0], CommandState::kSucceeded);
  observe({{kH1, runs(80000)}});
  EXPECT_EQ(action().state, kVerified);
}

TEST_F(ExecutorTest, MigrationReservesMovesVerifiesReleases) {
  take({move()});
  const Command reserve = the<Reserve>();
  EXPECT_EQ(reserve.host, kH2);
  EXPECT_EQ(std::get<Reserve>(reserve.operation).memory_bytes, 2 * kGiB);
  EXPECT_EQ(count<Migrate>(), 0);
  say(reserve, CommandState::kSucceeded);
  const Command migrate = the<Migrate>();
  EXPECT_EQ(migrate.host, kH1);
  say(migrate, CommandState::kAccepted);
  say(migrate, CommandState::kRunning);
  EXPECT_EQ(action().state, kRunning);
  say(migrate, CommandState::kSucceeded);
  observe({{kH1, absent()}, {kH2, runs()}});
  EXPECT_EQ(action().state, kVerifying) << "until the room is given back";
  say(the<Release>(), CommandState::kSucceeded);
  EXPECT_EQ(action().state, kVerified);
}

TEST_F(ExecutorTest, MigrationWithoutRoomEndsBeforeItBegins) {
  take({move()});
  say(the<Reserve>(), CommandState::kRefused, "no room");
  say(the<Release>(), CommandState::kSucceeded);
  EXPECT_EQ(action().state, kFailed);
  EXPECT_EQ(count<Migrate>(), 0);
}

TEST_F(ExecutorTest, SilentTargetIsGivenUpAndAskedToReleaseLater) {
  take({move()});
  unreachable_.insert(kH2);
  for (int i = 0; i < 40; ++i) tick(seconds(1));
  EXPECT_EQ(action().state, kExpired);
  EXPECT_EQ(count<Migrate>(), 0);
  const int before = count<Release>();
  unreachable_.clear();
  tick(seconds(5));
  EXPECT_EQ(count<Release>(), before + 1);
  say(the<Release>(), CommandState::kSucceeded);
  tick(seconds(30));
  EXPECT_EQ(count<Release>(), before + 1);
}

TEST_F(ExecutorTest, FailedMigrationThatDidMoveIsVerified) {
  start_move();
  say(the<Migrate>(), CommandState::kFailed, "connection to target lost");
  observe({{kH1, absent()}, {kH2, runs()}});
  say(the<Release>(), CommandState::kSucceeded);
  EXPECT_EQ(action().state, kVerified);
  EXPECT_NE(action().message.find("although"), std::string::npos);
}

TEST_F(ExecutorTest, FailedMigrationThatStayedIsFailedAfterTwoLooks) {
  start_move();
  say(the<Migrate>(), CommandState::kFailed, "dirties too fast");
  observe({{kH1, runs()}, {kH2, absent()}});
  EXPECT_EQ(count<Release>(), 0);
  tick(seconds(2));
  observe({{kH1, runs()}, {kH2, absent()}});
  say(the<Release>(), CommandState::kSucceeded);
  EXPECT_EQ(action().state, kFailed);
  EXPECT_NE(action().message.find("dirties too fast"), std::string::npos);
  EXPECT_EQ(count<Migrate>(), 1);
}

TEST_F(ExecutorTest, OnBothHostsIsAnAlarmUntilItIsOne) {
  start_move();
  say(the<Migrate>(), CommandState::kFailed, "lost");
  for (int i = 0; i < 10; ++i) {
    observe({{kH1, runs()}, {kH2, paused()}});
    tick(seconds(2));
  }
  EXPECT_EQ(action().state, kVerifying);
  EXPECT_NE(action().message.find("ALARM"), std::string::npos);
  observe({{kH1, absent()}, {kH2, runs()}});
  say(the<Release>(), CommandState::kSucceeded);
  EXPECT_EQ(action().state, kVerified);
}

TEST_F(ExecutorTest, NowhereOnceIsNotYetVanished) {
  start_move();
  say(the<Migrate>(), CommandState::kSucceeded);
  observe({{kH1, absent()}, {kH2, absent()}});
  EXPECT_EQ(count<Release>(), 0);
  tick(seconds(2));
  observe({{kH1, absent()}, {kH2, absent()}});
  say(the<Release>(), CommandState::kSucceeded);
  EXPECT_EQ(action().state, kFailed);
  EXPECT_NE(action().message.find("vanished"), std::string::npos);
}

TEST_F(ExecutorTest, OldAnswersAreNotSetBesideNewOnes) {
  start_move();
  say(the<Migrate>(), CommandState::kSucceeded);
  const std::vector<Command> questions = sent_;
  ASSERT_EQ(questions.size(), 2u);
  say(questions[1], CommandState::kSucceeded, "", runs());
  now_ += seconds(20);
  say(questions[0], CommandState::kSucceeded, "", absent());
  EXPECT_EQ(count<Release>(), 0) << "the target's answer is 20 s old";
  tick(milliseconds(1));
  ASSERT_EQ(sent_.size(), 0u);
  tick(seconds(2));
  observe({{kH1, absent()}, {kH2, runs()}});
  EXPECT_EQ(count<Release>(), 1);
}

TEST_F(ExecutorTest, DeadlineAbortsARunningMigration) {
  start_move();
  tick(minutes(10));
  EXPECT_EQ(the<Abort>().host, kH1);
  EXPECT_EQ(std::get<Abort>(the<Abort>().operation).action, 1u);
  EXPECT_EQ(the<Migrate>().deadline, kAskOnly);
  EXPECT_EQ(action().state, kVerifying);
  say(the<Migrate>(), CommandState::kFailed, "aborted");
  observe({{kH1, runs()}, {kH2, absent()}});
  tick(seconds(2));
  observe({{kH1, runs()}, {kH2, absent()}});
  say(the<Release>(), CommandState::kSucceeded);
  EXPECT_EQ(action().state, kFailed);
}

TEST_F(ExecutorTest, UpdatesLateTwiceAndInAnyOrderChangeNothing) {
  start_move();
  const Command migrate = the<Migrate>();
  say(migrate, CommandState::kSucceeded);
  say(migrate, CommandState::kRunning);
  say(migrate, CommandState::kAccepted);
  say(migrate, CommandState::kFailed, "a lie");
  EXPECT_EQ(action().state, kVerifying);
  Command unknown = migrate;
  unknown.id = 4711;
  say(unknown, CommandState::kFailed);
  Command elsewhere = migrate;
  elsewhere.host = kH2;
  say(elsewhere, CommandState::kFailed);
  EXPECT_EQ(action().state, kVerifying);
}

TEST_F(ExecutorTest, SecondDecisionForABusyVmIsNotTakenUp) {
  take({quota(50000, 80000)});
  take({move()}, 2);
  EXPECT_EQ(action(2).state, kExpired);
  EXPECT_NE(action(2).message.find("action 1"), std::string::npos);
  EXPECT_TRUE(sent_.empty());
  EXPECT_EQ(journal_.at(2).state, kExpired);
}

TEST_F(ExecutorTest, PlanWaitsWhereItMustAndOnlyThere) {
  ham::Action after_first = quota(30000, 60000, VmId("vm2"));
  after_first.after = {0};
  take({quota(80000, 50000), after_first, quota(10000, 20000, VmId("vm3")), move()});
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
  ham::Action second = quota(30000, 60000, VmId("vm2"));
  second.after = {0};
  ham::Action third = quota(30000, 60000, VmId("vm3"));
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
  ham::Action asked = quota(1, 2, VmId("vm5"));
  asked.automation = ham::Automation::kApprove;
  take({move(), quota(50000, 80000, VmId("vm2")), move(VmId("vm3")), asked});
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
  ham::Action later = quota(30000, 60000, VmId("vm2"));
  later.after = {0};
  ham::Action asked = quota(1, 2, VmId("vm3"));
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

TEST(ReshapeValue, UnlimitedQuotasAreEqualAndBalloonsNearlyExact) {
  EXPECT_TRUE(same_value(SetCpuQuota{}, -1, -1000));
  EXPECT_FALSE(same_value(SetCpuQuota{}, -1, 5000));
  EXPECT_TRUE(same_value(SetMemory{}, kGiB, kGiB - 4096));
  EXPECT_FALSE(same_value(SetMemory{}, kGiB, kGiB - kMiB));
  EXPECT_FALSE(fulfils(SetCpuQuota{50000, 50000}, runs(50000))) << "another period";
  EXPECT_FALSE(value_of(Migrate{}));
}

TEST(ActionRecord, TransitionsThatDoNotFitAreRefused) {
  ActionRecord record;
  record.action.id = 5;
  Transition transition;
  transition.action = 5;
  transition.from = kSent;
  transition.to = kAccepted;
  EXPECT_FALSE(apply(record, transition));
  transition.from = kIntended;
  EXPECT_FALSE(apply(record, transition)) << "the diagram has no such arrow";
  transition.to = kSent;
  transition.command = 9;
  EXPECT_TRUE(apply(record, transition));
  EXPECT_EQ(record.command, 9u);
  EXPECT_EQ(record.transitions.size(), 1u);
}

}  // namespace
}  // namespace proteus::drs
