// What the kernel programs cost, on this machine. Prints one JSON object per line: {"name", "value", "unit"}.
//
// body:  the kernel's own run statistics of a program over many runs, less those of an empty program on the same hook
// (what
//        reading the clock twice costs). "hit" is a switch away from a thread of a VM, "miss" from any other.
// taken: CPU time that user space needs to add up one departure from a CPU that the hook has taken down.
// whole: what one more attachment of the hook adds to the CPU time per switch of two threads that pass a byte through
//        pipes on one CPU (run statistics off): with five more of them and without, in alternating runs; a fifth of the
//        median of the paired differences. A switch takes some fifty times as long as the hook, so that a single one
//        drowns in what switches differ by. CPU time, as on a machine that has other work too the wall clock mostly
//        tells of that. Runs are short enough for the hook's log.
// poll:  time of one tick's read of N threads, by lane.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/collect/bpf_support.h"
#include "agent/collect/run_queue_trace.h"
#include "agent/collect/thread_reader.h"
#include "tests/bench/empty_hook.h"

namespace proteus::collect {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int kRoundTripsPerRun = 3'000;
constexpr int kPairs = 121;
constexpr int kAttachments = 5;
constexpr int kWholePairs = 301;
constexpr int kWholeRoundTrips = 700;
constexpr std::size_t kPolledThreads = 256;
constexpr int kPollTicks = 200;

void print(const std::string& name, double value, const char* unit) {
  fmt::print("{{\"name\":\"{}\",\"value\":{:.1f},\"unit\":\"{}\"}}\n", name, value, unit);
  std::fflush(stdout);
}

/// share: 0.5 is the median.
double quantile(std::vector<double> values, double share) {
  const auto at = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<std::size_t>(at)];
}

double median(const std::vector<double>& values) {
  return quantile(values, 0.5);
}

void pin_to_cpu_0() {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(0, &set);
  ::sched_setaffinity(0, sizeof set, &set);
}

/// Two threads on one CPU that wake each other: every round trip is two switches.
class PingPong {
 public:
  PingPong() {
    if (::pipe(forth_.data()) != 0 || ::pipe(back_.data()) != 0) std::abort();
    echo_ = std::thread([this] {
      pin_to_cpu_0();
      echo_tid_ = static_cast<pid_t>(::syscall(SYS_gettid));
      char byte = 0;
      while (::read(forth_[0], &byte, 1) == 1 && byte == 'g') {
        if (::write(back_[1], &byte, 1) != 1) return;
      }
    });
    driver_ = std::thread([this] {
      pin_to_cpu_0();
      driver_tid_ = static_cast<pid_t>(::syscall(SYS_gettid));
      for (;;) {
        int trips = 0;
        while ((trips = wanted_.exchange(0)) == 0) wanted_.wait(0);
        if (trips < 0) return;
        for (int i = 0; i < trips; ++i) {
          char byte = 'g';
          if (::write(forth_[1], &byte, 1) != 1 || ::read(back_[0], &byte, 1) != 1) std::abort();
        }
        finished_ = true;
        finished_.notify_one();
      }
    });
    while (echo_tid_ == 0 || driver_tid_ == 0) std::this_thread::yield();
  }

  ~PingPong() {
    wanted_ = -1;
    wanted_.notify_one();
    driver_.join();
    const char stop = 's';
    if (::write(forth_[1], &stop, 1) != 1) std::abort();
    echo_.join();
    for (const int fd : {forth_[0], forth_[1], back_[0], back_[1]}) ::close(fd);
  }

  /// CPU time of both threads per switch, in ns.
  double run(int trips) {
    const double before = cpu_time_ns();
    finished_ = false;
    wanted_ = trips;
    wanted_.notify_one();
    finished_.wait(false);
    return (cpu_time_ns() - before) / (2.0 * trips);
  }

  double cpu_time_ns() {
    double sum = 0;
    for (std::thread* thread : {&echo_, &driver_}) {
      clockid_t clock{};
      timespec time{};
      if (::pthread_getcpuclockid(thread->native_handle(), &clock) != 0 || ::clock_gettime(clock, &time) != 0)
        std::abort();
      sum += static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
    }
    return sum;
  }

 private:
  std::array<int, 2> forth_{};
  std::array<int, 2> back_{};
  std::atomic<pid_t> echo_tid_{0};
  std::atomic<pid_t> driver_tid_{0};
  std::atomic<int> wanted_{0};
  std::atomic<bool> finished_{false};
  std::thread echo_;
  std::thread driver_;
};

/// Mean ns per run over `work`, by the kernel's statistics.
double body_ns(int program_fd, const std::function<void()>& work) {
  const auto before = program_statistics(program_fd);
  work();
  const auto after = program_statistics(program_fd);
  if (!before || !after || after->run_count == before->run_count) return 0;
  return static_cast<double>(after->run_time_ns - before->run_time_ns) /
         static_cast<double>(after->run_count - before->run_count);
}

/// CPU time of taking in what the hook has seen.
double update_ns(RunQueueTrace& trace) {
  timespec before{}, after{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
  trace.update();
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
  return static_cast<double>(after.tv_sec - before.tv_sec) * 1e9 + static_cast<double>(after.tv_nsec - before.tv_nsec);
}

void measure_bodies(PingPong& pair) {
  auto statistics = RunStatistics::enable();
  auto trace = RunQueueTrace::create();
  const bench::EmptyHook empty;
  if (!statistics || !trace || !empty.attached()) {
    fmt::print(stderr, "hook bodies cannot be measured here: {}\n",
               trace ? "the kernel counts no runs" : trace.error().message);
    std::exit(1);
  }
  const auto slot = trace.value()->acquire_slot();
  std::vector<double> nothing, hits, misses, taken;
  for (int i = 0; i < kPairs; ++i) {
    double clock_ns = 0;
    const auto run = [&] { clock_ns = body_ns(empty.program_fd(), [&] { pair.run(kRoundTripsPerRun); }); };
    if (!trace.value()->watch(::getpid(), slot.value())) std::abort();
    const double hit = body_ns(trace.value()->program_fd(), run);
    hits.push_back(hit - clock_ns);
    nothing.push_back(clock_ns);
    taken.push_back(update_ns(*trace.value()) / (2.0 * kRoundTripsPerRun));
    trace.value()->forget(::getpid());
    const double miss = body_ns(trace.value()->program_fd(), run);
    misses.push_back(miss - clock_ns);
    trace.value()->update();
  }
  for (const auto& [name, values] : {std::pair<std::string, const std::vector<double>&>{"clock_overhead", nothing},
                                     {"body_hit", hits},
                                     {"body_miss", misses},
                                     {"taken", taken}}) {
    print("hook_ns_sched_switch_" + name, median(values), "ns");
    print("hook_ns_sched_switch_" + name + "_lower_decile", quantile(values, 0.1), "ns");
  }
}

/// Further attachments of a program to its event.
class Attachments {
 public:
  Attachments(int program_fd, int count) {
    for (int i = 0; i < count; ++i) {
      links_.push_back(::bpf_raw_tracepoint_open(nullptr, program_fd));
      if (links_.back() >= 0) continue;
      fmt::print(stderr, "the kernel attaches a program only once\n");
      std::exit(1);
    }
  }
  ~Attachments() {
    for (const int link : links_) ::close(link);
  }
  Attachments(const Attachments&) = delete;
  Attachments& operator=(const Attachments&) = delete;

 private:
  std::vector<int> links_;
};

/// Median difference per switch and attachment between runs with `kAttachments` more of what is attached already, and
/// without them. drain: empties the hook's log.
void measure_whole(const std::string& name, PingPong& pair, int program_fd, const std::function<void()>& drain) {
  std::vector<double> differences, plain;
  for (int i = 0; i < kWholePairs; ++i) {
    // the order alternates, so that a drift of the machine falls on both sides
    double with = 0;
    double without = 0;
    for (const bool attached : i % 2 == 0 ? std::array{true, false} : std::array{false, true}) {
      std::optional<Attachments> more;
      if (attached) more.emplace(program_fd, kAttachments);
      pair.run(kWholeRoundTrips / 10);
      drain();
      (attached ? with : without) = pair.run(kWholeRoundTrips);
      drain();
    }
    differences.push_back((with - without) / kAttachments);
    plain.push_back(without);
  }
  print(name, median(differences), "ns");
  print(name + "_lower_quartile", quantile(differences, 0.25), "ns");
  print(name + "_upper_quartile", quantile(differences, 0.75), "ns");
  print(name + "_switch_without", median(plain), "ns");
}

void measure_poll() {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  std::vector<ThreadKey> keys;
  for (std::size_t i = 0; i < kPolledThreads; ++i) {
    std::atomic<pid_t> tid{0};
    threads.emplace_back([&] {
      tid = static_cast<pid_t>(::syscall(SYS_gettid));
      tid.notify_one();
      stop.wait(false);
    });
    tid.wait(0);
    keys.push_back({::getpid(), tid});
  }
  std::vector<std::optional<ThreadFigures>> figures(keys.size());
  for (const ThreadLane lane :
       {ThreadLane::kHeldTasks, ThreadLane::kSyscallProgram, ThreadLane::kTaskIterator, ThreadLane::kProcfs}) {
    const auto reader = ThreadReader::create("/", lane);
    if (reader->lane() != lane) continue;
    std::vector<double> ns;
    const int ticks = lane == ThreadLane::kProcfs ? kPollTicks / 10 : kPollTicks;
    for (int i = 0; i < ticks; ++i) {
      const auto start = SteadyClock::now();
      reader->read(keys, figures);
      ns.push_back(static_cast<double>((SteadyClock::now() - start).count()) / static_cast<double>(keys.size()));
    }
    std::string name = to_string(lane);
    std::erase(name, ',');
    std::replace(name.begin(), name.end(), ' ', '_');
    print("poll_per_thread_" + name, median(ns), "ns");
  }
  stop = true;
  stop.notify_all();
  for (std::thread& thread : threads) thread.join();
}

int main_of_bench() {
  PingPong pair;
  pair.run(kRoundTripsPerRun);
  measure_bodies(pair);
  {
    const bench::EmptyHook empty;
    measure_whole("hook_ns_sched_switch_whole_empty", pair, empty.program_fd(), [] {});
  }
  if (const auto trace = RunQueueTrace::create(); !trace) {
    fmt::print(stderr, "no hook here: {}\n", trace.error().message);
  } else {
    RunQueueTrace& hook = **trace;
    measure_whole("hook_ns_sched_switch_whole_miss", pair, hook.program_fd(), [&] { hook.update(); });
    if (!hook.watch(::getpid(), hook.acquire_slot().value())) std::abort();
    measure_whole("hook_ns_sched_switch_whole_hit", pair, hook.program_fd(), [&] { hook.update(); });
  }
  measure_poll();
  return 0;
}

}  // namespace
}  // namespace proteus::collect

int main() {
  return proteus::collect::main_of_bench();
}
