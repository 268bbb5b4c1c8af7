// Loads the real programs into the running kernel and compares them with procfs. Skipped, with the kernel's reason,
// where that is not permitted.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <thread>

#include "agent/collect/bpf_support.h"
#include "agent/collect/run_queue_trace.h"
#include "agent/collect/text_file.h"
#include "agent/collect/thread_reader.h"
#include "agent/collect/vm_process.h"
#include "ebpf/thread_counters.h"
#include "tests/agent/collect/fixture_root.h"
#include "tests/agent/collect/kernel_refusal.h"

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
  /// Returns once the kernel knows the thread no more: a join returns a little earlier, while the thread is still
  /// exiting.
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
    if (reader->lane() != GetParam()) SKIP_UNLESS_OUR_FAULT(reader->reason());
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

TEST_P(ThreadReaderTest, FollowsAListThatChanges) {
  BusyThread first;
  const BusyThread second;
  const ThreadKey a = first.key(), b = second.key();
  const auto start_ns = [](ThreadKey key) { return read_thread_from_procfs("/", key).value().start_ns / 10'000'000; };
  const std::uint64_t a_began = start_ns(a), b_began = start_ns(b);
  const auto expect = [&](const std::vector<ThreadKey>& keys) {
    std::vector<std::optional<ThreadFigures>> figures(keys.size());
    reader->read(keys, figures);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      ASSERT_TRUE(figures[i]);
      EXPECT_EQ(figures[i]->start_ns / 10'000'000, keys[i] == a ? a_began : b_began);
      EXPECT_GE(figures[i]->run_time_ns, 0);
    }
  };
  for (const auto& keys : std::vector<std::vector<ThreadKey>>{{a, b}, {b}, {b, a}, {}, {a}}) expect(keys);
  first.end();
  expect({b});
  std::vector<std::optional<ThreadFigures>> figures(2);
  reader->read(std::vector{a, b}, figures);
  EXPECT_FALSE(figures[0]);
  EXPECT_TRUE(figures[1]);
}

/// More huge pages for as long as it lives.
class HugePages {
 public:
  explicit HugePages(std::int64_t more) : before_(count()) {
    std::ofstream(kFile) << before_ + more << std::flush;
    is_there_ = count() >= before_ + more;
  }
  ~HugePages() { std::ofstream(kFile) << before_ << std::flush; }
  HugePages(const HugePages&) = delete;
  HugePages& operator=(const HugePages&) = delete;
  bool is_there() const { return is_there_; }

 private:
  static constexpr const char* kFile = "/proc/sys/vm/nr_hugepages";
  static std::int64_t count() {
    std::int64_t pages = 0;
    std::ifstream(kFile) >> pages;
    return pages;
  }
  const std::int64_t before_;
  bool is_there_ = false;
};

TEST(ThreadReader, PagesOfHugetlbfsAreResidentToo) {
  constexpr std::size_t kPages = 8;
  const HugePages pages(kPages);
  std::int64_t page_kib = 0;
  if (const auto text = read_file("/proc/meminfo")) page_kib = number_after(*text, "Hugepagesize:").value_or(0);
  if (!pages.is_there() || page_kib == 0) GTEST_SKIP() << "no huge pages can be reserved here";
  const std::size_t length = kPages * static_cast<std::size_t>(page_kib) * 1024;
  const ThreadKey self{::getpid(), ::getpid()};
  for (const ThreadLane lane :
       {ThreadLane::kHeldTasks, ThreadLane::kSyscallProgram, ThreadLane::kTaskIterator, ThreadLane::kProcfs}) {
    const auto reader = ThreadReader::create("/", lane);  // or one that this kernel can do
    const auto resident_bytes = [&] {
      std::optional<ThreadFigures> figures;
      reader->read({&self, 1}, {&figures, 1});
      return static_cast<double>(figures.value().resident_bytes.value());
    };
    const double before = resident_bytes();
    void* memory = ::mmap(nullptr, length, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);
    ASSERT_NE(memory, MAP_FAILED) << std::strerror(errno);
    EXPECT_NEAR(resident_bytes(), before + static_cast<double>(length), 4e6) << to_string(reader->lane());
    ::munmap(memory, length);
  }
}

TEST_P(ThreadReaderTest, ThreadsBeyondTheSlotsAreReadByFurtherRuns) {
  const ThreadKey self{::getpid(), ::getpid()};
  std::vector<ThreadKey> keys(THREAD_COUNTERS_SLOTS_MAX + 300, ThreadKey{self.pid, 0});  // of nobody
  keys.front() = keys.back() = self;
  std::vector<std::optional<ThreadFigures>> figures(keys.size());
  for (int i = 0; i < 2; ++i) {
    reader->read(keys, figures);
    ASSERT_TRUE(figures.front() && figures.back());
    EXPECT_FALSE(figures[1]);
    EXPECT_TRUE(figures.front()->cpu_migrations_count) << "which procfs does not tell";
    EXPECT_TRUE(figures.back()->cpu_migrations_count);
  }
}

// A kernel without CONFIG_SCHED_INFO has no schedstat; its programs cannot be loaded either.
TEST(ThreadReader, WithoutSchedstatProcfsTellsAllButWaits) {
  const FixtureRoot root;
  root.write("/proc/70/task/71/stat", "71 (CPU 0/KVM) S 1 1 1 0 -1 0 5 0 7 0 120 30 0 0 20 0 1 0 999 0 0");
  root.write("/proc/70/task/71/status", "VmRSS:\t8 kB\nvoluntary_ctxt_switches:\t4\n");
  const auto figures = read_thread_from_procfs(root.path(), {70, 71});
  ASSERT_TRUE(figures);
  EXPECT_EQ(figures->run_time_ns, 150 * (1'000'000'000 / ::sysconf(_SC_CLK_TCK)));
  EXPECT_EQ(figures->run_queue_wait_ns, std::nullopt);
  EXPECT_EQ(figures->dispatches_count, std::nullopt);
  EXPECT_EQ(figures->faults_minor_count, 5);
  EXPECT_EQ(figures->faults_major_count, 7);
  EXPECT_EQ(figures->switches_voluntary_count, 4);

  root.write("/proc/self/schedstat", "1 1 1\n");
  EXPECT_FALSE(read_thread_from_procfs(root.path(), {70, 71})) << "this kernel has it: the thread has just ended";
  root.write("/proc/70/task/71/schedstat", "1500000007 300 4\n");
  EXPECT_EQ(read_thread_from_procfs(root.path(), {70, 71})->run_time_ns, 1'500'000'007);
  EXPECT_EQ(read_thread_from_procfs(root.path(), {70, 71})->run_queue_wait_ns, 300);
}

INSTANTIATE_TEST_SUITE_P(Lanes, ThreadReaderTest,
                         testing::Values(ThreadLane::kHeldTasks, ThreadLane::kSyscallProgram,
                                         ThreadLane::kTaskIterator));

/// A process with one thread, pinned to CPU 0, that always wants to run.
class BusyProcess {
 public:
  BusyProcess() : pid_(::fork()) {
    if (pid_ != 0) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(0, &set);
    ::sched_setaffinity(0, sizeof set, &set);
    for (;;) {
      const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(2);
      while (std::chrono::steady_clock::now() < until) {
      }
      ::sched_yield();
    }
  }
  ~BusyProcess() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  BusyProcess(const BusyProcess&) = delete;
  BusyProcess& operator=(const BusyProcess&) = delete;
  /// Returns when it has left the CPU.
  void stop() const {
    ::kill(pid_, SIGSTOP);
    ::waitpid(pid_, nullptr, WUNTRACED);
  }
  void go_on() const { ::kill(pid_, SIGCONT); }
  pid_t pid() const { return pid_; }
  ThreadFigures figures() const { return read_thread_from_procfs("/", {pid_, pid_}).value(); }

 private:
  const pid_t pid_;
};

std::int64_t sum(const RunQueueTrace::Histogram& histogram) {
  return std::accumulate(histogram.begin(), histogram.end(), std::int64_t{0});
}

/// The least time that the histogram can stand for.
double least_ns(const RunQueueTrace::Histogram& histogram) {
  double least = 0;
  for (std::size_t b = 1; b < histogram.size(); ++b) {
    least += static_cast<double>(histogram[b]) * static_cast<double>(1LL << b);
  }
  return least;
}

class RunQueueTraceTest : public testing::Test {
 protected:
  void SetUp() override {
    auto created = RunQueueTrace::create();
    if (!created) SKIP_UNLESS_OUR_FAULT(created.error().message);
    trace = std::move(created).value();
  }
  RunQueueTrace::Histogram waits(std::uint32_t slot) const {
    RunQueueTrace::Histogram waits{}, slices{};
    trace->update();
    trace->read_histograms(slot, waits, slices);
    return waits;
  }
  RunQueueTrace::Histogram slices(std::uint32_t slot) const {
    RunQueueTrace::Histogram waits{}, slices{};
    trace->update();
    trace->read_histograms(slot, waits, slices);
    return slices;
  }
  void expect_every_dispatch_counted(const BusyProcess& process) const;
  std::uint32_t watched(const BusyProcess& process) const {
    const std::uint32_t slot = trace->acquire_slot().value();
    EXPECT_TRUE(trace->watch(process.pid(), slot));
    return slot;
  }
  /// True once `done`; false after a long while.
  template <typename Done>
  static bool eventually(Done done) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!done() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    return done();
  }
  std::unique_ptr<RunQueueTrace> trace;
};

/// That every dispatch of the process is counted, and what it comes to in the kernel's own figures.
void RunQueueTraceTest::expect_every_dispatch_counted(const BusyProcess& process) const {
  process.stop();   // the kernel adds a wait up when it ends: of one that has begun the histogram knows nothing
  trace->update();  // what it did before it is watched is still in the log
  const ThreadFigures before = process.figures();
  const std::uint32_t slot = watched(process);
  process.go_on();
  ASSERT_TRUE(eventually([&] { return sum(waits(slot)) >= 120; }));
  process.stop();
  const ThreadFigures after = process.figures();
  const auto dispatches = after.dispatches_count.value() - before.dispatches_count.value();
  EXPECT_LE(sum(waits(slot)), dispatches + 1);
  EXPECT_GE(sum(waits(slot)), dispatches - 2) << "but for the stay in which it was entered, all of them";
  EXPECT_EQ(sum(waits(slot)), sum(slices(slot))) << "each departure ends one wait and one slice";
  // the histograms' weight in ns, from their buckets' bounds, must enclose what the kernel summed up meanwhile
  const auto waited_ns = static_cast<double>(after.run_queue_wait_ns.value() - before.run_queue_wait_ns.value());
  const double least_waited_ns = least_ns(waits(slot));
  EXPECT_LE(least_waited_ns, waited_ns);
  EXPECT_GT(2 * least_waited_ns + 2 * static_cast<double>(sum(waits(slot))) + 100e6, waited_ns);
  const auto ran_ns = static_cast<double>(after.run_time_ns - before.run_time_ns);
  const double least_ran_ns = least_ns(slices(slot));
  EXPECT_LE(least_ran_ns, ran_ns);
  EXPECT_GT(2 * least_ran_ns + 2 * static_cast<double>(sum(slices(slot))) + 100e6, ran_ns);
}

TEST_F(RunQueueTraceTest, CountsEveryDispatchOfAWatchedProcess) {
  const BusyProcess rival, process;  // two on one CPU: both wait
  expect_every_dispatch_counted(process);
}

TEST_F(RunQueueTraceTest, CountsEveryDispatchOfARealTimeProcess) {
  const BusyProcess rival, process;
  sched_param priority{};
  priority.sched_priority = 1;
  if (::sched_setscheduler(rival.pid(), SCHED_FIFO, &priority) != 0 ||
      ::sched_setscheduler(process.pid(), SCHED_FIFO, &priority) != 0) {
    GTEST_SKIP() << "no real-time scheduling here: " << std::strerror(errno);
  }
  expect_every_dispatch_counted(process);
}

TEST_F(RunQueueTraceTest, CountsThreadsThatComeLater) {
  const std::uint32_t slot = trace->acquire_slot().value();
  ASSERT_TRUE(trace->watch(::getpid(), slot));
  BusyThread thread(0);
  const BusyProcess rival;
  const auto seen = sum(waits(slot));
  EXPECT_TRUE(eventually([&] { return sum(waits(slot)) > seen + 10; }));
  trace->forget(::getpid());
}

TEST_F(RunQueueTraceTest, NamesWhoTookTheCpu) {
  const BusyProcess victim, neighbour, stranger;
  const std::uint32_t a = watched(victim);
  const std::uint32_t b = watched(neighbour);
  eventually([&] {
    trace->update();
    return trace->preemptions(a, b) > 0 && trace->preemptions(a, std::nullopt) > 0;
  });
  EXPECT_GT(trace->preemptions(a, b), 0);
  EXPECT_GT(trace->preemptions(a, std::nullopt), 0) << "the stranger, or anything else on that CPU";
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
  const QuotaGroup group;  // outlives the process in it
  if (!group.made()) GTEST_SKIP() << "no control group with a quota can be made here";
  const BusyProcess limited, rival;
  const std::uint32_t a = watched(limited);
  const std::uint32_t b = watched(rival);
  trace->set_vcpus(limited.pid(), std::vector{limited.pid()});
  trace->set_vcpus(rival.pid(), std::vector{rival.pid()});
  ASSERT_TRUE(group.write("tasks", std::to_string(limited.pid())));
  EXPECT_TRUE(eventually([&] {
    trace->update();
    return trace->own_quota_wait_ns(a) >= 200'000'000;
  }));
  EXPECT_EQ(trace->own_quota_wait_ns(b), 0) << "the rival waits too, but for nobody's quota";
}

TEST_F(RunQueueTraceTest, AForgottenProcessCountsNoMoreAndItsSlotReturnsEmpty) {
  const BusyProcess process, rival;
  const std::uint32_t slot = watched(process);
  ASSERT_TRUE(eventually([&] { return sum(waits(slot)) > 0; }));
  trace->forget(process.pid());
  process.stop();
  trace->release_slot(slot);
  for (std::uint32_t i = 1; i < trace->slot_count(); ++i) ASSERT_TRUE(trace->acquire_slot());
  const auto again = trace->acquire_slot();
  ASSERT_EQ(again, slot) << "the one that rested longest comes last here";
  EXPECT_EQ(sum(waits(slot)), 0);
  EXPECT_FALSE(trace->acquire_slot()) << "all are taken";
}

TEST_F(RunQueueTraceTest, WhatHasNoRoomIsCounted) {
  ASSERT_TRUE(trace->watch(::getpid(), trace->acquire_slot().value()));
  const auto leave_often = [] {  // each is a departure of this thread
    for (int i = 0; i < 200; ++i) std::this_thread::sleep_for(std::chrono::nanoseconds(1));
  };
  EXPECT_TRUE(eventually([&] {
    leave_often();  // and nobody looks meanwhile
    return trace->lost_count() > 0;
  }));
  trace->update();
  const std::int64_t lost = trace->lost_count();
  leave_often();
  EXPECT_EQ(trace->lost_count(), lost) << "there is room again";
  trace->forget(::getpid());
}

TEST_F(RunQueueTraceTest, TwoAgentsOnOneKernelDoNotMeet) {
  auto other = RunQueueTrace::create();
  ASSERT_TRUE(other);
  const BusyProcess process, rival;
  const std::uint32_t slot = watched(process);
  ASSERT_TRUE(eventually([&] { return sum(waits(slot)) > 0; }));
  RunQueueTrace::Histogram theirs{};
  RunQueueTrace::Histogram slices{};
  other.value()->update();
  other.value()->read_histograms(slot, theirs, slices);
  EXPECT_EQ(sum(theirs), 0);
  other.value().reset();  // their exit takes nothing of ours
  const auto seen = sum(waits(slot));
  EXPECT_TRUE(eventually([&] { return sum(waits(slot)) > seen; }));
}

}  // namespace
}  // namespace proteus::collect
