#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/collect/block_trace.h"
#include "agent/collect/eagerness.h"
#include "agent/collect/hardware_counters.h"
#include "agent/collect/inventory.h"
#include "agent/collect/kvm_reader.h"
#include "agent/collect/resctrl.h"
#include "agent/collect/run_queue_trace.h"
#include "agent/collect/thread_reader.h"
#include "agent/collect/vm_cgroup.h"
#include "agent/collect/vm_cgroup_files.h"
#include "agent/collect/vm_process.h"

namespace proteus::collect {

struct TrackedThread {
  VmThread thread;
  std::optional<ThreadFigures> figures;       ///< of this tick; nullopt if it is gone
  std::optional<kvm_vcpu_place> kvm = {};     ///< the vCPU of KVM that it runs
  const kvm_counters* kvm_figures = nullptr;  ///< of this tick, in the table; null: none
  std::uint64_t came_at_tick = 0;
  std::shared_ptr<const ThreadFigures> last = {};  ///< before the tick in which it could not be read; null: it could
};

/// A VM that took the CPU from another, with its slot in the trace; nullopt stands for any thread of no VM.
struct Winner {
  std::optional<VmId> vm;
  std::optional<std::uint32_t> slot;
  bool operator==(const Winner& other) const { return vm == other.vm; }
};

/// The hook tells at once when a quota binds: reading the groups besides only makes good what it cannot see.
inline constexpr std::uint64_t kCalmThrottlingEveryTicks = 30;

/// What is kept of one VM from tick to tick.
struct TrackedVm {
  const VmFacts* facts = nullptr;  ///< in the inventory of this tick
  std::optional<pid_t> pid;
  std::vector<TrackedThread> threads;         ///< vCPUs first, by number
  std::optional<std::int64_t> thread_count;   ///< as the kernel program told at the last tick; nullopt: it did not
  std::vector<TrackedThread> vhost_kthreads;  ///< processes of their own
  std::vector<Tap> taps;                      ///< for which these have been looked for
  std::uint64_t vhost_at_tick = 0;            ///< when they are looked for next; 0: not
  VmGroups groups;
  std::optional<VmThrottling> throttling;
  std::optional<VmCgroupFiles> files;
  VmCgroupFigures cgroup_figures;
  std::optional<std::uint64_t> pressure_group;    ///< its group of v2, as PressureReader takes it
  std::optional<std::int64_t> working_set_bytes;  ///< by DAMON, else the active pages of its group
  std::uint32_t number = 0;                       ///< in the block trace; never given to another VM
  std::vector<std::uint64_t> group_ids;           ///< known to the block trace, sorted
  std::vector<DeviceFigures> devices;
  std::vector<std::string> disks;                       ///< that it had at the last tick, by target
  std::chrono::steady_clock::time_point disks_told_at;  ///< what libvirt last told of them, and was passed on
  bool disks_are_new = false;                           ///< it told that since the tick before
  std::optional<std::uint32_t> slot;                    ///< in the run-queue and reclaim traces
  RunQueueTrace::Histogram waits{};
  RunQueueTrace::Histogram slices{};
  RunQueueTrace::Histogram reclaims{};
  std::optional<HardwareCounters::Counts> hardware;  ///< nullopt: not all CPUs count
  ResctrlFigures resctrl;  ///< of the last reading; the counter of this tick's, if there was one
  std::chrono::steady_clock::time_point resctrl_read_at;
  std::vector<Winner> winners;  ///< those that have their series
  // Sums over threads that come and go, since the process has been watched: they never step back while it is. They
  // begin at zero, also behind an agent before this one, which told of threads that have ended since.
  std::int64_t emulator_time_ns = 0;
  std::int64_t vhost_time_ns = 0;
  std::int64_t run_queue_wait_ns = 0;
  std::int64_t faults_major_count = 0;
  std::int64_t faults_minor_count = 0;
  std::optional<std::int64_t> resident_bytes;
  std::optional<std::int64_t> ksm_merged_pages;
  std::optional<std::int64_t> throttled_time_ns;  ///< see VmTable::read_throttled()
  std::int64_t cgroup_throttled_ns = 0;           ///< its two sources at the last tick
  std::int64_t own_quota_wait_ns = 0;
  Eagerness throttling_eagerness{kCalmThrottlingEveryTicks};
  bool counted = false;    ///< at least one thread was read in this tick
  bool watched = false;    ///< its threads have been read since its process was found
  bool has_vhost = false;  ///< a thread works for vhost
  bool replaced = false;   ///< its process has ended, and the id is another's

  // when to look for its process again, in ticks
  std::uint64_t look_at_tick = 0;
  std::uint64_t look_wait_ticks = 1;
  std::uint64_t young_until_tick = 0;  ///< threads get their names a moment after they start
  std::uint64_t regroup_at_tick = 0;   ///< and vCPUs their groups, once the thread is there; 0: not waited for
  std::uint64_t kvm_at_tick = 0;       ///< when threads are looked for of KVM's vCPUs that had none; 0: all have
  std::uint64_t kvm_wait_ticks = 1;
};

}  // namespace proteus::collect
