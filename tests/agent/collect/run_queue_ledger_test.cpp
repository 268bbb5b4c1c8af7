#include "agent/collect/run_queue_ledger.h"

#include <gtest/gtest.h>

#include <vector>

namespace proteus::collect {
namespace {

constexpr std::uint64_t kUnitNs = 1 << RUN_QUEUE_UNIT_SHIFT;

/// delay_ns: all that the thread has waited so far.
run_queue_departure departure(std::uint32_t process, std::uint32_t tid, std::uint64_t delay_ns, std::uint64_t slice_ns,
                              std::uint64_t flags = 0) {
  const std::uint64_t delay_units = (delay_ns / kUnitNs) & ((std::uint64_t{1} << RUN_QUEUE_DELAY_BITS) - 1);
  return {.who = std::uint64_t{process} << 32 | std::uint64_t{tid} << 8 | flags,
          .time = delay_units << RUN_QUEUE_SLICE_BITS | slice_ns / kUnitNs,
          .came_ns = 0};
}

RunQueueLedger::Histogram histogram(std::initializer_list<std::pair<std::size_t, std::int64_t>> buckets) {
  RunQueueLedger::Histogram all{};
  for (const auto& [bucket, count] : buckets) all[bucket] = count;
  return all;
}

class RunQueueLedgerTest : public testing::Test {
 protected:
  void SetUp() override {
    ledger.watch(70, 2);
    ledger.watch(80, 3);
    ledger.set_vcpus(70, std::vector<pid_t>{71});
  }
  void take(std::size_t cpu, const std::vector<run_queue_departure>& departures) {
    std::vector<std::span<const run_queue_departure>> logs(2);
    logs[cpu] = departures;
    ledger.take(logs);
  }
  RunQueueLedger ledger{4, 2};
};

TEST_F(RunQueueLedgerTest, CountsTheStepsFromDepartureToDeparture) {
  take(0, {departure(70, 71, 1'000'000, 5'000)});
  EXPECT_EQ(ledger.waits(2), histogram({})) << "what it had waited before is not known";
  take(1, {departure(70, 71, 1'002'048, 8'192), departure(70, 71, 1'002'048, 1'048'576)});
  EXPECT_EQ(ledger.waits(2), histogram({{0, 1}, {11, 1}})) << "on whatever CPU";
  EXPECT_EQ(ledger.slices(2), histogram({{13, 1}, {20, 1}}));
  EXPECT_EQ(ledger.waits(3), histogram({}));
}

TEST_F(RunQueueLedgerTest, AThreadThatLeavesSeveralCpusIsFollowedInOrder) {
  const auto at = [](std::uint64_t came_ns, std::uint64_t delay_ns) {
    run_queue_departure made = departure(70, 71, delay_ns, 16);
    made.came_ns = came_ns;
    return made;
  };
  const std::vector<run_queue_departure> first{at(10, 1'024), at(40, 1'024 + 64), at(50, 1'024 + 64 + 128)};
  const std::vector<run_queue_departure> second{at(20, 1'024 + 16), at(30, 1'024 + 16 + 32), at(60, 1'024 + 704)};
  const std::vector<std::span<const run_queue_departure>> logs{first, second};
  ledger.take(logs);
  EXPECT_EQ(ledger.waits(2), histogram({{4, 2}, {5, 1}, {7, 1}, {9, 1}}));
}

TEST_F(RunQueueLedgerTest, TheFirstStayOfANewThreadCounts) {
  take(0, {departure(70, 72, 4'096, 16, RUN_QUEUE_FIRST_STAY)});
  EXPECT_EQ(ledger.waits(2), histogram({{12, 1}}));
  EXPECT_EQ(ledger.slices(2), histogram({{4, 1}}));
}

// A VM's I/O workers come and go for weeks, and ids go on.
TEST_F(RunQueueLedgerTest, ThreadsThatHaveEndedTakeNoMemory) {
  for (std::uint32_t tid = 100; tid < 2'000'000; tid += 100) {
    take(0, {departure(70, tid, 1'000, 16, RUN_QUEUE_FIRST_STAY | RUN_QUEUE_LAST_STAY)});
  }
  EXPECT_LT(ledger.thread_block_count(), 5'000u);
}

TEST_F(RunQueueLedgerTest, SumsOfWaitsMayWrap) {
  const std::uint64_t wrap_ns = kUnitNs << RUN_QUEUE_DELAY_BITS;
  take(0, {departure(70, 71, wrap_ns - 1024, 16), departure(70, 71, wrap_ns + 1024, 16)});
  EXPECT_EQ(ledger.waits(2), histogram({{11, 1}}));
}

TEST_F(RunQueueLedgerTest, LongStaysFallIntoTheLastBucket) {
  const std::uint64_t longest_ns = ((std::uint64_t{1} << RUN_QUEUE_SLICE_BITS) - 1) * kUnitNs;
  take(0, {departure(70, 71, 0, 0, RUN_QUEUE_FIRST_STAY), departure(70, 71, 60'000'000'000, longest_ns)});
  EXPECT_EQ(ledger.waits(2), histogram({{0, 1}, {31, 1}}));
  EXPECT_EQ(ledger.slices(2), histogram({{0, 1}, {31, 1}}));
}

TEST_F(RunQueueLedgerTest, WaitsOfTheOwnQuotaAreThoseThatItBegan) {
  take(0, {departure(70, 71, 1'000, 16, RUN_QUEUE_BY_OWN_QUOTA)});
  EXPECT_EQ(ledger.own_quota_wait_ns(2), 0);
  take(0, {departure(70, 71, 1'000 + 32'000, 16), departure(70, 71, 1'000 + 48'000, 16)});
  EXPECT_EQ(ledger.own_quota_wait_ns(2), 32'000);
}

TEST_F(RunQueueLedgerTest, WaitsOfTheOwnQuotaAreThoseOfVcpus) {
  const auto wait = [this](std::uint32_t tid, std::uint64_t from_ns) {
    take(0, {departure(70, tid, from_ns, 16, RUN_QUEUE_BY_OWN_QUOTA), departure(70, tid, from_ns + 32'000, 16)});
  };
  wait(70, 1'000);
  wait(72, 1'000);
  EXPECT_EQ(ledger.own_quota_wait_ns(2), 0) << "of the emulator and its workers";
  wait(71, 1'000);
  EXPECT_EQ(ledger.own_quota_wait_ns(2), 32'000);
  ledger.set_vcpus(70, std::vector<pid_t>{72});
  wait(71, 40'000);
  EXPECT_EQ(ledger.own_quota_wait_ns(2), 32'000);
  wait(72, 40'000);
  EXPECT_EQ(ledger.own_quota_wait_ns(2), 64'000);
  ledger.forget(70);
  ledger.watch(70, 2);
  wait(72, 90'000);
  EXPECT_EQ(ledger.own_quota_wait_ns(2), 64'000) << "the id may be another's";
}

TEST_F(RunQueueLedgerTest, WhoLeavesNextTookTheCpu) {
  take(0, {departure(70, 71, 0, 16, RUN_QUEUE_PREEMPTED)});
  take(1, {departure(80, 82, 0, 16)});  // somewhere else
  EXPECT_EQ(ledger.preemptions(2, 3), 0);
  take(0, {departure(80, 81, 0, 16, RUN_QUEUE_PREEMPTED), departure(99, 99, 0, 16, RUN_QUEUE_PREEMPTED),
           departure(70, 71, 0, 16, RUN_QUEUE_PREEMPTED | RUN_QUEUE_BY_KERNEL_THREAD), departure(80, 81, 0, 16)});
  EXPECT_EQ(ledger.preemptions(2, 3), 1);
  EXPECT_EQ(ledger.preemptions(3, std::nullopt), 1) << "a process of no VM";
  EXPECT_EQ(ledger.preemptions(2, std::nullopt), 1) << "a thread of the kernel";
  EXPECT_EQ(ledger.preemptions(3, 2), 0);
  EXPECT_EQ(ledger.pairs_count(), 3u);
}

TEST_F(RunQueueLedgerTest, BehindAGapNobodyIsBlamed) {
  take(0, {departure(70, 71, 0, 16, RUN_QUEUE_PREEMPTED), departure(80, 81, 0, 16, RUN_QUEUE_AFTER_GAP)});
  EXPECT_EQ(ledger.preemptions(2, 3), 0);
}

TEST_F(RunQueueLedgerTest, ForgetsThreadsThatEndedAndWhoseIdIsAnothers) {
  take(0, {departure(70, 71, 9'000, 16), departure(70, 71, 9'032, 16, RUN_QUEUE_LAST_STAY)});
  EXPECT_EQ(ledger.waits(2), histogram({{5, 1}}));
  take(0, {departure(70, 71, 64, 16)});  // a new thread, which had waited 64 ns before it was seen first
  EXPECT_EQ(ledger.waits(2), histogram({{5, 1}}));
  take(0, {departure(80, 71, 70'000, 16)});  // one of another VM
  EXPECT_EQ(ledger.waits(3), histogram({}));
}

TEST_F(RunQueueLedgerTest, WaitsBetweenWhichDeparturesWereLostAreNotOne) {
  take(0, {departure(70, 71, 1'024, 16, RUN_QUEUE_BY_OWN_QUOTA), departure(80, 81, 1'024, 16)});
  take(0, {departure(99, 99, 0, 16, RUN_QUEUE_AFTER_GAP | RUN_QUEUE_AFTER_LOSS), departure(70, 71, 9'000'000, 16)});
  take(1, {departure(80, 81, 9'000'000, 16)});
  EXPECT_EQ(ledger.waits(2), histogram({}));
  EXPECT_EQ(ledger.waits(3), histogram({}));
  EXPECT_EQ(ledger.own_quota_wait_ns(2), 0);
  take(0, {departure(70, 71, 9'000'064, 16), departure(70, 72, 2'048, 16, RUN_QUEUE_FIRST_STAY),
           departure(80, 81, 9'000'128, 16, RUN_QUEUE_AFTER_GAP)});
  EXPECT_EQ(ledger.waits(2), histogram({{6, 1}, {11, 1}}));
  EXPECT_EQ(ledger.waits(3), histogram({{7, 1}})) << "threads of no VM alone were missing";
}

TEST_F(RunQueueLedgerTest, AThreadThatGoesFromAFullLogToAnothersHasNoWaitBetween) {
  const auto at = [](std::uint64_t came_ns, std::uint64_t delay_ns) {
    run_queue_departure made = departure(70, 71, delay_ns, 16);
    made.came_ns = came_ns;
    return made;
  };
  const std::vector<run_queue_departure> full{at(10, 1'024), at(20, 1'024 + 16)};
  const std::vector<run_queue_departure> other{at(30, 9'000'000), at(40, 9'000'064)};
  const std::vector<std::span<const run_queue_departure>> logs{full, other};
  const std::vector<std::uint8_t> ends_in_loss{1, 0};
  ledger.take(logs, ends_in_loss);
  EXPECT_EQ(ledger.waits(2), histogram({{4, 1}, {6, 1}}));
}

TEST_F(RunQueueLedgerTest, NoWaitGoesOnAcrossALossWhileTheLogsWereTaken) {
  take(0, {departure(70, 71, 1'024, 16), departure(70, 71, 1'024 + 16, 16)});
  ledger.lose();
  take(1, {departure(70, 71, 9'000'000, 16), departure(70, 71, 9'000'064, 16)});
  EXPECT_EQ(ledger.waits(2), histogram({{4, 1}, {6, 1}}));
}

TEST_F(RunQueueLedgerTest, ANewThreadDoesNotGoOnWhereOneBeforeItEndedUnseen) {
  take(0, {departure(70, 71, 9'000'000, 16, RUN_QUEUE_BY_OWN_QUOTA)});  // its end found no room in the log
  take(0, {departure(70, 71, 64, 16, RUN_QUEUE_FIRST_STAY | RUN_QUEUE_AFTER_GAP)});
  EXPECT_EQ(ledger.waits(2), histogram({{6, 1}}));
  EXPECT_EQ(ledger.own_quota_wait_ns(2), 0);
}

TEST_F(RunQueueLedgerTest, AForgottenProcessCountsNoMore) {
  take(0, {departure(70, 71, 0, 16, RUN_QUEUE_PREEMPTED), departure(80, 81, 0, 16, RUN_QUEUE_PREEMPTED)});
  ledger.forget(70);
  take(0, {departure(70, 71, 1'024, 16)});
  EXPECT_EQ(ledger.waits(2), histogram({}));
  EXPECT_EQ(ledger.preemptions(3, 2), 0);
  EXPECT_EQ(ledger.preemptions(3, std::nullopt), 1) << "it is no VM's now";
  EXPECT_EQ(ledger.preemptions(2, 3), 1);
  ledger.clear(2);
  EXPECT_EQ(ledger.preemptions(2, 3), 0);
  ledger.watch(70, 2);
  take(0, {departure(70, 71, 2'048, 16), departure(70, 71, 3'072, 16)});
  EXPECT_EQ(ledger.waits(2), histogram({{10, 1}}));
}

}  // namespace
}  // namespace proteus::collect
