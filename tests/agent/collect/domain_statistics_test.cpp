#include "agent/collect/domain_statistics.h"

#include <gtest/gtest.h>
#include <libvirt/libvirt.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace proteus::collect {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr seconds kCurrentFor{30};

const VmId kWeb("web");
const VmId kHung("hung");

/// Answers at once of all that it is asked of, unless "hung" is among it: then when it is told to, or at once if a call
/// for it is under way already, as libvirt passes over such a domain.
struct Daemon {
  std::mutex mutex;
  std::condition_variable changed;
  bool hangs = true;
  bool fails_in_the_end = false;  ///< the call that hangs
  bool is_asking = false;
  int made = 0;
  int waiting = 0;

  void release() {
    const std::lock_guard lock(mutex);
    hangs = false;
    changed.notify_all();
  }
  void wait_for_waiting(int count) {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, seconds(20), [&] { return waiting == count; }));
  }
};

class Source final : public StatisticsSource {
 public:
  explicit Source(std::shared_ptr<Daemon> daemon) : daemon_(std::move(daemon)) {
    const std::lock_guard lock(daemon_->mutex);
    ++daemon_->made;
  }
  Result<std::map<VmId, DomainStatistics>> ask(const StatisticsQuestion& question) override {
    std::unique_lock lock(daemon_->mutex);
    std::map<VmId, DomainStatistics> answer;
    for (const VmId& vm : question.vms) answer[vm].state = VIR_DOMAIN_RUNNING;
    if (question.vms.contains(kHung) && daemon_->hangs && !daemon_->is_asking) {
      daemon_->is_asking = true;
      ++daemon_->waiting;
      daemon_->changed.notify_all();
      daemon_->changed.wait(lock, [&] { return !daemon_->hangs; });
      --daemon_->waiting;
      daemon_->is_asking = false;
      daemon_->changed.notify_all();
      if (daemon_->fails_in_the_end) return Error{ErrorCode::kUnavailable, "end of file"};
    }
    return answer;
  }

  void measure(const std::set<VmId>&) override {}

 private:
  const std::shared_ptr<Daemon> daemon_;
};

class StatisticsReaderTest : public testing::Test {
 protected:
  std::shared_ptr<Daemon> daemon_ = std::make_shared<Daemon>();
  std::atomic<int> ready_{0};
  StatisticsReader reader_{[daemon = daemon_] { return std::make_unique<Source>(daemon); }, [this] { ++ready_; }};

  void TearDown() override { daemon_->release(); }
  static StatisticsQuestion about(std::set<VmId> vms) {
    return {.all = false, .except = {}, .vms = std::move(vms), .measure = {}};
  }
};

TEST_F(StatisticsReaderTest, AnswersWhatIsAsked) {
  reader_.ask(about({kWeb}));
  ASSERT_TRUE(reader_.wait(seconds(20)));
  EXPECT_EQ(reader_.take().statistics.count(kWeb), 1u);
  EXPECT_TRUE(reader_.take().statistics.empty()) << "each answer once";
  EXPECT_EQ(ready_, 1);
}

TEST_F(StatisticsReaderTest, ADomainThatHangsHidesNoOtherAndAnswersInTheEnd) {
  reader_.ask(about({kWeb, kHung}));
  daemon_->wait_for_waiting(1);
  EXPECT_FALSE(reader_.wait(milliseconds(1)));
  EXPECT_FALSE(reader_.hangs()) << "it may just be busy";
  // Who asks again after kHungAfter is answered by another thread.
  const auto deadline = std::chrono::steady_clock::now() + seconds(20);
  std::map<VmId, DomainStatistics> answers;
  while (answers.empty() && std::chrono::steady_clock::now() < deadline) {
    reader_.ask(about({kWeb, kHung}));
    reader_.wait(milliseconds(50));
    answers = reader_.take().statistics;
  }
  EXPECT_EQ(answers.size(), 2u);
  EXPECT_EQ(daemon_->made, 2);
  reader_.ask(about({kWeb}));
  EXPECT_TRUE(reader_.wait(seconds(20))) << "the new thread has no trouble";
  EXPECT_TRUE(reader_.hangs()) << "the first still waits";
  const int before = ready_;
  daemon_->release();
  daemon_->wait_for_waiting(0);
  const auto later = std::chrono::steady_clock::now() + seconds(20);
  while (ready_ == before && std::chrono::steady_clock::now() < later) std::this_thread::yield();
  EXPECT_EQ(reader_.take().statistics.count(kHung), 1u);
  while (reader_.hangs() && std::chrono::steady_clock::now() < later) std::this_thread::yield();
  EXPECT_FALSE(reader_.hangs());
}

TEST_F(StatisticsReaderTest, ACallThatHungAndFailsIsNoTroubleOnceAnotherIsAnswered) {
  daemon_->fails_in_the_end = true;
  reader_.ask(about({kHung}));
  daemon_->wait_for_waiting(1);
  const auto deadline = std::chrono::steady_clock::now() + seconds(20);
  bool is_answered = false;
  while (!is_answered && std::chrono::steady_clock::now() < deadline) {
    reader_.ask(about({kHung}));  // by another thread, once the first counts as hung
    is_answered = reader_.wait(milliseconds(50));
  }
  ASSERT_TRUE(is_answered);
  EXPECT_FALSE(reader_.take().error);
  const int before = ready_;
  daemon_->release();
  const auto later = std::chrono::steady_clock::now() + seconds(20);
  while (ready_ == before && std::chrono::steady_clock::now() < later) std::this_thread::yield();
  const auto answers = reader_.take();
  EXPECT_FALSE(answers.error) << answers.error->message;
}

TEST(StatisticsReaderAlone, EndsWhileACallHangs) {
  const auto daemon = std::make_shared<Daemon>();
  auto reader = std::make_unique<StatisticsReader>([daemon] { return std::make_unique<Source>(daemon); }, [] {});
  reader->ask({.all = false, .except = {}, .vms = {kHung}, .measure = {}});
  daemon->wait_for_waiting(1);
  reader.reset();
  daemon->release();
  daemon->wait_for_waiting(0);
}

TEST(ApplyStatistics, ACallThatHungDoesNotSetCountersBack) {
  VmFacts facts;
  DomainStatistics newer;
  newer.asked_at = std::chrono::steady_clock::time_point(seconds(50));
  newer.balloon_bytes = 6;
  apply(newer, facts, kCurrentFor);
  DomainStatistics older;
  older.asked_at = std::chrono::steady_clock::time_point(seconds(20));
  older.balloon_bytes = 5;
  apply(older, facts, kCurrentFor);
  EXPECT_EQ(facts.balloon_bytes, 6);
  EXPECT_EQ(facts.statistics_at, newer.asked_at);
}

TEST(ApplyStatistics, AStateThatWasListedSinceIsNewer) {
  VmFacts facts;
  facts.state = VIR_DOMAIN_RUNNING;
  facts.read_at = std::chrono::steady_clock::time_point(seconds(30));
  DomainStatistics late;
  late.asked_at = std::chrono::steady_clock::time_point(seconds(20));
  late.state = VIR_DOMAIN_PAUSED;
  late.balloon_bytes = 5;
  apply(late, facts, kCurrentFor);
  EXPECT_EQ(facts.state, VIR_DOMAIN_RUNNING);
  EXPECT_EQ(facts.balloon_bytes, 5);
}

TEST(ApplyStatistics, WhatABusyDomainLeavesOutStaysAsItWas) {
  VmFacts facts;
  facts.memory_bytes = 5;
  facts.memory_dirty_bytes_per_s = 7;
  facts.disks.resize(1);
  DomainStatistics statistics;
  statistics.state = VIR_DOMAIN_RUNNING;
  apply(statistics, facts, kCurrentFor);
  EXPECT_EQ(facts.state, VIR_DOMAIN_RUNNING);
  EXPECT_EQ(facts.memory_bytes, 5);
  EXPECT_EQ(facts.memory_dirty_bytes_per_s, 7);
  EXPECT_EQ(facts.disks.size(), 1u);
  statistics.state = VIR_DOMAIN_PAUSED;
  statistics.memory_dirty_bytes_per_s = 9;
  apply(statistics, facts, kCurrentFor);
  EXPECT_EQ(facts.memory_dirty_bytes_per_s, std::nullopt) << "it is of when it last ran";
}

/// A VM of which QEMU tells a dirty rate, and what is asked and told of it.
class DirtyRate : public testing::Test {
 protected:
  static SteadyTime at(int second) { return SteadyTime(seconds(1'000 + second)); }
  /// Returns: the rate that is current then.
  std::optional<std::int64_t> ask(int second, std::int64_t state = VIR_DOMAIN_RUNNING) {
    DomainStatistics told;
    told.asked_at = at(second);
    told.state = state;
    told.can_measure = told.qemu_answered = answers;
    if (answers) {
      told.memory_dirty_bytes_per_s = rate;
      told.dirty_rate_began_at = began;
    }
    apply(told, facts, kCurrentFor);
    return facts.memory_dirty_bytes_per_s;
  }
  void measured(int second, std::int64_t bytes_per_s) {
    began = at(second);
    rate = bytes_per_s;
  }
  void want(int second) { facts.dirty_rate_wanted_at = at(second); }

  VmFacts facts;
  bool answers = true;
  std::optional<std::int64_t> rate;
  SteadyTime began;
};

TEST_F(DirtyRate, StaysUntilTheGuestsNextTurn) {
  measured(0, 7);
  for (int second = 10; second < 1'000; second += 10) EXPECT_EQ(ask(second), 7) << "many guests are measured in turns";
  facts.dirty_rate_wanted_at = at(990) + milliseconds(700);
  measured(990, 9);
  EXPECT_EQ(ask(1'000), 9);
  EXPECT_FALSE(facts.dirty_rate_wanted_at);
}

TEST_F(DirtyRate, IsAbsentOnceANewerOneIsAskedForInVain) {
  measured(0, 7);
  EXPECT_EQ(ask(10), 7);
  for (int second = 10; second <= 40; second += 10) {  // a backup keeps it from being measured
    EXPECT_EQ(ask(second), 7) << second;
    want(second);
  }
  EXPECT_EQ(ask(50), std::nullopt);
  EXPECT_EQ(ask(60), std::nullopt);
  measured(60, 9);
  EXPECT_EQ(ask(70), 9);
}

TEST_F(DirtyRate, IsAbsentOnceQemuHasNotBeenAskedForLong) {
  measured(0, 7);
  EXPECT_EQ(ask(10), 7);
  answers = false;
  EXPECT_EQ(ask(40), 7);
  EXPECT_EQ(ask(41), std::nullopt);
  answers = true;
  EXPECT_EQ(ask(50), std::nullopt) << "it is told again, but is too old by now";
}

TEST_F(DirtyRate, OfLongAgoIsNotTakenByAnAgentThatStarts) {
  measured(0, 7);
  EXPECT_EQ(ask(100), std::nullopt);
  want(100);
  EXPECT_EQ(ask(110), std::nullopt);
}

TEST_F(DirtyRate, OfBeforeAPauseIsNotOfThisRun) {
  measured(0, 7);
  EXPECT_EQ(ask(5), 7);
  EXPECT_EQ(ask(6, VIR_DOMAIN_PAUSED), std::nullopt);
  EXPECT_EQ(ask(8), std::nullopt);
  measured(10, 9);
  EXPECT_EQ(ask(12), 9);
  // as the list of domains tells it
  note_state(facts, VIR_DOMAIN_PAUSED, at(13));
  note_state(facts, VIR_DOMAIN_RUNNING, at(14));
  EXPECT_EQ(ask(15), std::nullopt);
}

/// A VM whose guest reports its memory.
class UsableMemory : public testing::Test {
 protected:
  std::optional<std::int64_t> ask(int second, int told_second, bool answers = true) {
    DomainStatistics told;
    told.asked_at = SteadyTime(seconds(second));
    told.balloon_bytes = 100;  // libvirt knows
    told.qemu_answered = answers;
    if (answers) {
      told.guest_memory_usable_bytes = 7;
      told.guest_memory_told_at = SteadyTime(seconds(told_second));
    }
    apply(told, facts, kCurrentFor);
    return facts.guest_memory_usable_bytes;
  }
  VmFacts facts;
};

TEST_F(UsableMemory, IsAbsentOnceTheGuestReportsNoMore) {
  EXPECT_EQ(ask(1'000, 999), 7);
  EXPECT_EQ(ask(1'029, 999), 7);
  EXPECT_EQ(ask(1'030, 999), std::nullopt);
  EXPECT_EQ(ask(1'040, 1'035), 7);
}

TEST_F(UsableMemory, MayBeAsOldAsItsPeriodAllows) {
  facts.description.memory_stats_period = seconds(60);
  EXPECT_EQ(ask(1'100, 1'000), 7);
  EXPECT_EQ(ask(1'181, 1'000), std::nullopt);
}

TEST_F(UsableMemory, StaysWhileQemuIsNotAskedThoughNotForEver) {
  EXPECT_EQ(ask(1'000, 999), 7);
  EXPECT_EQ(ask(1'010, 0, false), 7);
  EXPECT_EQ(ask(1'030, 0, false), std::nullopt);
}

}  // namespace
}  // namespace proteus::collect
