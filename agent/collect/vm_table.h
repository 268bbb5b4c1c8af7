#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/collect/inventory.h"
#include "agent/collect/run_queue_trace.h"
#include "agent/collect/thread_reader.h"
#include "agent/collect/vm_cgroup.h"
#include "agent/collect/vm_process.h"

namespace proteus::collect {

struct TrackedThread {
  VmThread thread;
  std::optional<ThreadFigures> figures;  ///< of this tick; nullopt if it is gone
  bool marked = false;                   ///< the hook knows it
  bool refused = false;                  ///< it lives, and could not be marked; tried again at every tick
};

/// A VM that took the CPU from another; nullopt stands for any thread of no VM.
using Winner = std::optional<VmId>;

/// What is kept of one VM from tick to tick.
struct TrackedVm {
  const VmFacts* facts = nullptr;  ///< in the inventory of this tick
  std::optional<pid_t> pid;
  std::vector<TrackedThread> threads;  ///< vCPUs first, by number
  std::optional<VmCgroup> cgroup;
  std::optional<std::uint32_t> slot;  ///< in the run-queue trace
  RunQueueTrace::Histogram histogram{};
  std::vector<Winner> winners;  ///< those that have their series
  // Sums over threads that come and go: they never step back while the process lives.
  std::int64_t emulator_time_ns = 0;
  std::int64_t faults_major_count = 0;
  std::int64_t faults_minor_count = 0;
  std::optional<std::int64_t> resident_bytes;
  std::optional<std::int64_t> throttled_time_ns;  ///< see VmTable::read_throttled()
  std::int64_t cgroup_throttled_ns = 0;           ///< its two sources at the last tick
  std::int64_t own_quota_wait_ns = 0;
  bool counted = false;  ///< at least one thread was read in this tick

  // when to look for its process again, in ticks
  std::uint64_t look_at_tick = 0;
  std::uint64_t look_wait_ticks = 1;
  std::uint64_t young_until_tick = 0;  ///< threads get their names a moment after they start
};

/// Follows the VMs' processes and threads, and gives the kernel lanes what they need to know of them.
/// Cost per tick: one stat() per VM, one program run; directories are listed only when a thread came or went.
/// Thread: owned by one.
class VmTable {
 public:
  /// trace may be null. Both outlive the table.
  VmTable(std::string root, ThreadReader& reader, RunQueueTrace* trace);
  ~VmTable();

  /// Called with each VM whose number of vCPU threads changed: its static figures have changed with it.
  void on_vcpus_changed(std::function<void(const VmId&)> callback) { vcpus_changed_ = std::move(callback); }

  /// One tick: VMs of the inventory appear, others vanish (and give their slots back), counters are read.
  /// Returns true if entities or threads changed since the last tick.
  bool update(const Inventory& inventory);

  const std::map<VmId, TrackedVm>& vms() const { return vms_; }
  std::int64_t preemptions(const TrackedVm& vm, const Winner& winner) const;
  /// VMs and threads for which the kernel programs had no room, so far.
  std::int64_t refused_count() const { return refused_count_; }

 private:
  bool follow(const Inventory& inventory);
  void drop(TrackedVm& vm);
  bool find_process(TrackedVm& vm);
  bool scan_threads(TrackedVm& vm);
  bool read_threads();
  void account(TrackedVm& vm, TrackedThread& thread, const std::optional<ThreadFigures>& now);
  void mark_threads();
  void read_throttled(TrackedVm& vm);
  bool find_winners();

  const std::string root_;
  ThreadReader& reader_;
  RunQueueTrace* const trace_;
  std::function<void(const VmId&)> vcpus_changed_;
  std::map<VmId, TrackedVm> vms_;
  std::uint64_t tick_ = 0;
  std::int64_t refused_count_ = 0;
  bool said_full_ = false;
  // reused from tick to tick
  std::vector<ThreadKey> keys_;
  std::vector<std::optional<ThreadFigures>> figures_;
  std::vector<ThreadMark> marks_;
};

}  // namespace proteus::collect
