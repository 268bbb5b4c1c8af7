#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace proteus::collect {

/// A thread and the process that it must still belong to.
struct ThreadKey {
  pid_t pid = 0;
  pid_t tid = 0;
  bool operator==(const ThreadKey&) const = default;
};

/// The kernel's counters of one thread since it started.
struct ThreadFigures {
  std::uint64_t start_ns = 0;  ///< since boot; with the id it names a thread for ever (procfs: rounded to 10 ms)
  std::int64_t run_time_ns = 0;
  std::optional<std::int64_t> run_queue_wait_ns;  ///< waits that have ended; includes throttled time
  std::optional<std::int64_t> dispatches_count;   ///< not all kernels keep these two: see probe_waits()
  std::int64_t switches_voluntary_count = 0;
  std::int64_t switches_forced_count = 0;
  std::optional<std::int64_t> cpu_migrations_count;  ///< procfs does not tell
  std::int64_t faults_major_count = 0;
  std::int64_t faults_minor_count = 0;
  std::int64_t guest_time_ns = 0;
  std::optional<std::int64_t> resident_bytes;    ///< of the whole process; told by its first thread at least
  std::optional<std::int64_t> ksm_merged_pages;  ///< of the whole process; told by its first thread
  std::optional<std::int64_t> thread_count;      ///< of the whole process; told by its first thread, not by procfs
};

/// Of one thread, whichever lanes they come from: procfs tells its start in hundredths of a second.
inline bool is_same_thread(const ThreadFigures& a, const ThreadFigures& b) {
  constexpr std::uint64_t kUserTickNs = 10'000'000;
  return a.start_ns == b.start_ns || a.start_ns / kUserTickNs == b.start_ns / kUserTickNs;
}

/// From the best to the last resort.
enum class ThreadLane {
  kHeldTasks,       ///< one kernel program run per tick, which holds the threads that it has looked up (kernel 6.4)
  kSyscallProgram,  ///< the same, and looks each thread up each time (kernel 6.2)
  kTaskIterator,    ///< one kernel program run per tick walks all tasks (kernel 5.10)
  kProcfs,          ///< three files per thread
};
const char* to_string(ThreadLane lane);

/// Reads the counters of many threads at once.
/// Thread: owned by one.
class ThreadReader {
 public:
  /// The best lane that this host allows, `best` being the best that the caller allows. Always succeeds: procfs is
  /// last.
  static std::unique_ptr<ThreadReader> create(const std::string& root, ThreadLane best = ThreadLane::kHeldTasks);
  virtual ~ThreadReader() = default;

  virtual ThreadLane lane() const = 0;
  /// Why no better lane is used; empty for the best.
  virtual const std::string& reason() const = 0;
  /// The kernel program, or -1.
  virtual int program_fd() const { return -1; }

  /// figures[i] answers threads[i]; nullopt if that thread is gone. figures.size() == threads.size().
  /// Cost: 30 to 60 ns a thread by program (a walk pays for every task of the host), some 50 µs a thread through
  /// procfs.
  virtual void read(std::span<const ThreadKey> threads, std::span<std::optional<ThreadFigures>> figures) = 0;
};

/// The procfs lane for one thread; also where a run of the program fails.
std::optional<ThreadFigures> read_thread_from_procfs(const std::string& root, ThreadKey key);

}  // namespace proteus::collect
