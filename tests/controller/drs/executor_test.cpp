#include "tests/controller/drs/executor_fixture.h"

namespace proteus::drs {
namespace {

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

TEST_F(ExecutorTest, AWordIsAwaitedOnce) {
  take({quota(50000, 80000)});
  const Command set = the<SetCpuQuota>();
  Command unknown = set;
  unknown.id = 99;
  EXPECT_FALSE(awaits(unknown, CommandState::kSucceeded)) << "it was never given";
  Command of_another_host = set;
  of_another_host.host = kH2;
  EXPECT_FALSE(awaits(of_another_host, CommandState::kSucceeded));
  ASSERT_TRUE(awaits(set, CommandState::kAccepted));
  say(set, CommandState::kAccepted);
  EXPECT_FALSE(awaits(set, CommandState::kAccepted));
  EXPECT_TRUE(awaits(set, CommandState::kRunning)) << "that is news";
  say(set, CommandState::kRunning);
  EXPECT_FALSE(awaits(set, CommandState::kRunning));
  EXPECT_FALSE(awaits(set, CommandState::kAccepted)) << "one after the other is no more news than one";
  now_ += milliseconds(500);
  EXPECT_TRUE(awaits(set, CommandState::kRunning)) << "how far it has come";
  EXPECT_TRUE(awaits(set, CommandState::kSucceeded));
  say(set, CommandState::kSucceeded);
  now_ += seconds(5);
  EXPECT_FALSE(awaits(set, CommandState::kSucceeded));
  EXPECT_FALSE(awaits(set, CommandState::kRunning));
  const Command question = the<Inspect>();
  EXPECT_TRUE(awaits(question, CommandState::kSucceeded));
  EXPECT_FALSE(awaits(question, CommandState::kRunning));
  say(question, CommandState::kSucceeded, "", runs(80000));
  EXPECT_EQ(action().state, kVerifying) << "too late an answer";
  EXPECT_FALSE(awaits(question, CommandState::kSucceeded));
  tick(seconds(2));
  observe({{kH1, runs(80000)}});
  ASSERT_EQ(action().state, kVerified);
  EXPECT_FALSE(awaits(question, CommandState::kSucceeded)) << "the action has ended";
}

TEST_F(ExecutorTest, AfterARestartWhatIsAwaitedIsWhatTheJournalKnows) {
  start_move();
  const Command migrate = the<Migrate>();
  const Command reserve = the<Reserve>();
  restart();
  EXPECT_TRUE(awaits(migrate, CommandState::kSucceeded));
  EXPECT_FALSE(awaits(reserve, CommandState::kSucceeded)) << "that was answered";
  say(migrate, CommandState::kSucceeded);
  EXPECT_FALSE(awaits(migrate, CommandState::kSucceeded));
  observe({{kH1, absent()}, {kH2, runs()}});
  const Command release = the<Release>();
  ASSERT_TRUE(awaits(release, CommandState::kFailed));
  say(release, CommandState::kFailed);
  EXPECT_FALSE(awaits(release, CommandState::kFailed));
  EXPECT_TRUE(awaits(release, CommandState::kSucceeded));
  tick(seconds(10));
  ASSERT_EQ(action().state, kVerified) << "the target had its time";
  const Command again = the<Release>();
  EXPECT_FALSE(awaits(again, CommandState::kFailed)) << "it is asked again in any case";
  EXPECT_TRUE(awaits(again, CommandState::kSucceeded)) << "the action has ended, its room is not back";
  say(again, CommandState::kSucceeded);
  EXPECT_FALSE(awaits(again, CommandState::kSucceeded));
}

TEST_F(ExecutorTest, AnAbortIsAnsweredOnce) {
  start_move();
  put(executor_.stop_all(now_));
  const Command abort = the<Abort>();
  ASSERT_TRUE(awaits(abort, CommandState::kSucceeded));
  say(abort, CommandState::kSucceeded);
  EXPECT_FALSE(awaits(abort, CommandState::kSucceeded));
  EXPECT_TRUE(awaits(the<Migrate>(), CommandState::kFailed)) << "that is for the move itself to say";
}

}  // namespace
}  // namespace proteus::drs
