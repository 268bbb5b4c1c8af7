// Loads the real programs into the running kernel and compares them with procfs. Skipped, with the kernel's reason,
// where that is not permitted.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <thread>

#include "agent/collect/bpf_support.h"
#include "agent/collect/run_queue_trace.h"
#include "agent/collect/thread_reader.h"
#include "agent/collect/vm_process.h"
#include "ebpf/run_queue.h"
#include "ebpf/thread_counters.h"

namespace proteus::collect {
namespace {

constexpr std::chrono::seconds kPatience{30};

/// A thread that sleeps and runs in turn until told to end; both pinned to one CPU when `cpu` is given.
class BusyThread {
 public:
  explicit BusyThread(int cpu = -1) : thread_([this, cpu] { run(cpu); }) {
    while (tid_ == 0) std::this_thread::yield();
  }
  ~BusyThread() { end(); }
  /// Returns once the kernel knows the thread no more: a join returns a little earlier, while the thread is still exiting.
  void end() {
    stop_ = true;
    if (!thread_.joinable()) return;
    thread_.join();
    const std::string task = "/proc/self/task/" + std::to_string(tid_);
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (::access(task.c_str(), F_OK) == 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  }
  pid_t tid() const { return tid_; }
  ThreadKey key() const { return {::getpid(), tid_}; }

 private:
  void run(int cpu) {
    if (cpu >= 0) {
      cpu_set_t set;
      CPU_ZERO(&set);
      CPU_SET(static_cast<unsigned>(cpu), &set);
      ::sched_setaffinity(0, sizeof set, &set);
    }
    tid_ = static_cast<pid_t>(::syscall(SYS_gettid));
    while (!stop_) {
      const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(2);
      while (std::chrono::steady_clock::now() < until && !stop_) {
      }
      ::sched_yield();
    }
  }

  std::atomic<pid_t> tid_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class ThreadReaderTest : public testing::TestWithParam<ThreadLane> {
 protected:
  void SetUp() override {
    reader = ThreadReader::create("/", GetParam());
    if (reader->lane() != GetParam()) GTEST_SKIP() << reader->reason();
  }
  std::unique_ptr<ThreadReader> reader;
};

TEST_P(ThreadReaderTest, AgreesWithProcfs) {
  const BusyThread thread;
  // Between two readings of procfs the counters only grow, so the program's lie between.
  const std::vector<ThreadKey> keys{thread.key(), {::getpid(), ::getpid()}};
  std::vector<std::optional<ThreadFigures>> figures(2);
  const auto before = read_thread_from_procfs("/", keys[0]);
  reader->read(keys, figures);
  const auto after = read_thread_from_procfs("/", keys[0]);
  ASSERT_TRUE(before && after && figures[0] && figures[1]);
  const auto between = [&](auto field, const char* name) {
    EXPECT_GE((*figures[0]).*field, (*before).*field) << name;
    EXPECT_LE((*figures[0]).*field, (*after).*field) << name;
  };
  between(&ThreadFigures::run_time_ns, "run time");
  between(&ThreadFigures::run_queue_wait_ns, "wait");
  between(&ThreadFigures::dispatches_count, "dispatches");
  between(&ThreadFigures::switches_voluntary_count, "voluntary");
  between(&ThreadFigures::switches_forced_count, "forced");
  between(&ThreadFigures::faults_minor_count, "minor faults");
  EXPECT_EQ(figures[0]->start_ns / 10'000'000, after->start_ns / 10'000'000);
  ASSERT_TRUE(figures[1]->resident_bytes && after->resident_bytes);
  EXPECT_NEAR(static_cast<double>(*figures[1]->resident_bytes), static_cast<double>(*after->resident_bytes), 4e6);
  EXPECT_GE(*figures[1]->resident_bytes, 100'000);
  EXPECT_EQ(figures[0]->thread_count, std::nullopt) << "told by the first thread";
  if (GetParam() != ThreadLane::kProcfs) {
    EXPECT_EQ(figures[1]->thread_count, count_threads("/", ::getpid()));
  }
}

TEST_P(ThreadReaderTest, AThreadThatEndedOrBelongsElsewhereIsAbsent) {
  BusyThread thread;
  const ThreadKey key = thread.key();
  const ThreadKey elsewhere{1, key.tid};
  std::optional<ThreadFigures> figures;
  reader->read({&key, 1}, {&figures, 1});
  EXPECT_TRUE(figures);
  reader->read({&elsewhere, 1}, {&figures, 1});
  EXPECT_FALSE(figures) << "another process's";
  thread.end();
  reader->read({&key, 1}, {&figures, 1});
  EXPECT_FALSE(figures);
}

TEST_P(ThreadReaderTest, ThreadsBeyondTheSlotsAreReadThroughProcfs) {
  if (GetParam() != ThreadLane::kSyscallProgram) GTEST_SKIP() << "one lane is enough for this";
  std::vector<ThreadKey> keys(THREAD_COUNTERS_SLOTS + 1, ThreadKey{::getpid(), ::getpid()});
  std::vector<std::optional<ThreadFigures>> figures(keys.size());
  reader->read(keys, figures);
  ASSERT_TRUE(figures.front() && figures[THREAD_COUNTERS_SLOTS - 1] && figures.back());
  EXPECT_TRUE(figures.front()->cpu_migrations_count);
  EXPECT_FALSE(figures.back()->cpu_migrations_count);
}

INSTANTIATE_TEST_SUITE_P(Lanes, ThreadReaderTest,
                         testing::Values(ThreadLane::kSyscallProgram, ThreadLane::kTaskIterator));

std::int64_t sum(const RunQueueTrace::Histogram& histogram) {
  return std::accumulate(histogram.begin(), histogram.end(), std::int64_t{0});
}

class RunQueueTraceTest : public testing::Test {
 protected:
  void SetUp() override {
    auto created = RunQueueTrace::create();
    if (!created) GTEST_SKIP() << created.error().message;
    trace = std::move(created).value();
  }
  RunQueueTrace::Histogram histogram(std::uint32_t slot) const {
    RunQueueTrace::Histogram h{}, slices{};
    trace->read_histograms(slot, h, slices);
    return h;
  }
  /// How many of the marks were done.
  std::size_t mark(std::vector<ThreadMark> marks) const {
    trace->mark(marks);
    return static_cast<std::size_t>(
        std::count_if(marks.begin(), marks.end(), [](const ThreadMark& m) { return m.done; }));
  }
  std::unique_ptr<RunQueueTrace> trace;
};

TEST_F(RunQueueTraceTest, CountsEveryDispatchOfAMarkedThread) {
  BusyThread rival(0);
  BusyThread thread(0);  // two on one CPU: both wait
  const auto slot = trace->acquire_slot();
  ASSERT_TRUE(slot);
  const auto before = read_thread_from_procfs("/", thread.key());
  const ThreadMark mark{.thread = thread.key(), .slot = slot};
  ASSERT_EQ(this->mark({mark}), 1u);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (sum(histogram(*slot)) < 50 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  const auto counted = histogram(*slot);
  const auto after = read_thread_from_procfs("/", thread.key());
  ASSERT_TRUE(before && after);
  EXPECT_GE(sum(counted), 50);
  EXPECT_LE(sum(counted), after->dispatches_count - before->dispatches_count + 1);
  // the histogram's weight in ns, from its buckets' bounds, must enclose what the kernel summed up meanwhile
  double least = 0;
  for (int b = 1; b < kHistogramBucketCount; ++b) {
    least += static_cast<double>(counted[static_cast<std::size_t>(b)]) * static_cast<double>(1LL << b);
  }
  EXPECT_LE(least, static_cast<double>(after->run_queue_wait_ns - before->run_queue_wait_ns));
  EXPECT_GT(2 * least + 2 * static_cast<double>(sum(counted)) + 100e6,
            static_cast<double>(after->run_queue_wait_ns - before->run_queue_wait_ns));
}

TEST_F(RunQueueTraceTest, SlicesAddUpToTheCpuTime) {
  BusyThread rival(0);
  BusyThread thread(0);
  const auto slot = trace->acquire_slot();
  ASSERT_TRUE(slot);
  const auto before = read_thread_from_procfs("/", thread.key());
  ASSERT_EQ(mark({{.thread = thread.key(), .slot = slot}}), 1u);
  RunQueueTrace::Histogram waits{}, slices{};
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (sum(slices) < 50 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
    trace->read_histograms(*slot, waits, slices);
  }
  const auto after = read_thread_from_procfs("/", thread.key());
  ASSERT_TRUE(before && after);
  EXPECT_EQ(sum(slices), sum(waits)) << "each departure ends one wait and one slice";
  double least = 0;
  for (int b = 1; b < kHistogramBucketCount; ++b) {
    least += static_cast<double>(slices[static_cast<std::size_t>(b)]) * static_cast<double>(1LL << b);
  }
  EXPECT_GT(least, 0);
  EXPECT_LE(least, static_cast<double>(after->run_time_ns - before->run_time_ns));
}

TEST_F(RunQueueTraceTest, NamesWhoTookTheCpu) {
  BusyThread victim(0);
  BusyThread neighbour(0);
  BusyThread stranger(0);
  const auto a = trace->acquire_slot();
  const auto b = trace->acquire_slot();
  ASSERT_TRUE(a && b);
  const std::vector<ThreadMark> marks{{.thread = victim.key(), .slot = a}, {.thread = neighbour.key(), .slot = b}};
  ASSERT_EQ(mark(marks), 2u);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  const auto done = [&] { return trace->preemptions(*a, b) > 0 && trace->preemptions(*a, std::nullopt) > 0; };
  while (!done() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_GT(trace->preemptions(*a, b), 0);
  EXPECT_GT(trace->preemptions(*a, std::nullopt), 0) << "the stranger, or anything else on that CPU";
}

/// A control group with a CPU quota, v1 (threads move one by one); made by the test and removed with it.
class QuotaGroup {
 public:
  QuotaGroup() : path_("/sys/fs/cgroup/cpu/proteus-test-" + std::to_string(::getpid())) {
    made_ = std::filesystem::exists("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") &&
            std::filesystem::create_directory(path_, error_) && write("cpu.cfs_quota_us", "5000");
  }
  ~QuotaGroup() {
    if (made_) ::rmdir(path_.c_str());
  }
  bool made() const { return made_; }
  bool write(const std::string& file, const std::string& text) const {
    std::ofstream out(path_ + "/" + file);
    out << text << std::flush;
    return out.good();
  }

 private:
  std::string path_;
  std::error_code error_;
  bool made_ = false;
};

TEST_F(RunQueueTraceTest, TellsTheWaitsOfTheOwnQuotaFromOthers) {
  const QuotaGroup group;  // outlives the thread in it
  if (!group.made()) GTEST_SKIP() << "no control group with a quota can be made here";
  BusyThread limited(0);
  BusyThread rival(0);
  const auto a = trace->acquire_slot();
  const auto b = trace->acquire_slot();
  const std::vector<ThreadMark> marks{{.thread = limited.key(), .slot = a}, {.thread = rival.key(), .slot = b}};
  ASSERT_EQ(mark(marks), 2u);
  ASSERT_TRUE(group.write("tasks", std::to_string(limited.tid())));
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (trace->own_quota_wait_ns(*a) < 200'000'000 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  EXPECT_GE(trace->own_quota_wait_ns(*a), 200'000'000);
  EXPECT_EQ(trace->own_quota_wait_ns(*b), 0) << "the rival waits too, but for nobody's quota";
}

TEST_F(RunQueueTraceTest, AForgottenThreadCountsNoMoreAndItsSlotReturnsEmpty) {
  BusyThread thread(0);
  BusyThread rival(0);
  const auto slot = trace->acquire_slot();
  ASSERT_TRUE(slot);
  const ThreadMark mark{.thread = thread.key(), .slot = slot};
  ASSERT_EQ(this->mark({mark}), 1u);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (sum(histogram(*slot)) == 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  ASSERT_GT(sum(histogram(*slot)), 0);
  const ThreadMark forget{.thread = thread.key(), .slot = std::nullopt};
  ASSERT_EQ(this->mark({forget}), 1u);
  trace->release_slot(*slot);
  for (std::uint32_t i = 1; i < trace->slot_count(); ++i) ASSERT_TRUE(trace->acquire_slot());
  const auto again = trace->acquire_slot();
  ASSERT_EQ(again, slot) << "the one that rested longest comes last here";
  EXPECT_EQ(sum(histogram(*slot)), 0);
  EXPECT_FALSE(trace->acquire_slot()) << "all are taken";
}

TEST_F(RunQueueTraceTest, AThreadThatIsGoneIsCountedAsNotMarked) {
  BusyThread thread;
  const ThreadMark mark{.thread = thread.key(), .slot = 0};
  thread.end();
  EXPECT_EQ(this->mark({mark}), 0u);
}

TEST_F(RunQueueTraceTest, TwoAgentsOnOneKernelDoNotMeet) {
  auto other = RunQueueTrace::create();
  ASSERT_TRUE(other);
  BusyThread thread(0);
  BusyThread rival(0);
  const ThreadMark mark{.thread = thread.key(), .slot = trace->acquire_slot()};
  ASSERT_EQ(this->mark({mark}), 1u);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (sum(histogram(*mark.slot)) == 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_GT(sum(histogram(*mark.slot)), 0);
  RunQueueTrace::Histogram theirs{};
  RunQueueTrace::Histogram slices{};
  other.value()->read_histograms(*mark.slot, theirs, slices);
  EXPECT_EQ(sum(theirs), 0);
  other.value().reset();  // their exit takes nothing of ours
  const auto seen = sum(histogram(*mark.slot));
  while (sum(histogram(*mark.slot)) == seen && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_GT(sum(histogram(*mark.slot)), seen);
}

TEST_F(RunQueueTraceTest, ManyMarksTakeSeveralRuns) {
  BusyThread thread;
  const auto slot = trace->acquire_slot();
  const std::vector<ThreadMark> marks(2 * RUN_QUEUE_MARK_BATCH + 3, ThreadMark{.thread = thread.key(), .slot = slot});
  EXPECT_EQ(mark(marks), marks.size());
}

}  // namespace
}  // namespace proteus::collect
