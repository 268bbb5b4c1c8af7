#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "agent/collect/run_queue_ledger.h"
#include "common/result.h"

namespace proteus::collect {

/// departures: of the busiest CPU in some time. lost: some of that time's found no room, so there were more, and it is
/// to be looked at twice as often as it was. At least 1, at most kUpdatesMost.
int updates_for(std::uint64_t departures, bool lost, int before);
inline constexpr int kUpdatesMost = 32;

/// The always-on sched_switch hook: run-queue waits of VM threads and who took the CPU from whom, counted per VM slot.
/// The hook takes down departures from CPUs, which update() adds up.
/// Its maps and its hook belong to this object alone; destroying it leaves nothing in the kernel, and other loaders of
/// the same program are not disturbed. Thread: owned by one.
class RunQueueTrace {
 public:
  using Histogram = RunQueueLedger::Histogram;

  /// Errors: kUnsupported, kPermissionDenied with the kernel's reason.
  static Result<std::unique_ptr<RunQueueTrace>> create();
  virtual ~RunQueueTrace() = default;

  /// How many VMs at once.
  virtual std::uint32_t slot_count() const = 0;
  /// A slot with zero counters; nullopt when all are taken.
  virtual std::optional<std::uint32_t> acquire_slot() = 0;
  /// To be called when the VM's process is gone or forgotten. The slot is not given out again at once.
  virtual void release_slot(std::uint32_t slot) = 0;
  /// Counts for the VM in `slot` what the threads of this process do, whether they are there now or come later. False
  /// if the table has no room. A process that ends is to be forgotten before its id can be given to another.
  virtual bool watch(pid_t process, std::uint32_t slot) = 0;
  virtual void forget(pid_t process) = 0;
  /// Which threads of a watched process run vCPUs, all of them: own_quota_wait_ns() is theirs.
  virtual void set_vcpus(pid_t process, std::span<const pid_t> threads) = 0;

  /// Takes in what the hook has seen; all figures below are as of then. The hook holds 16,384 departures of each CPU.
  virtual void update() = 0;
  /// How often to update() in as much time as has passed since the last call of this, so that no CPU's log is ever more
  /// than half full: updates_for() of what came meanwhile.
  virtual int updates_due() = 0;
  /// Departures of VMs' threads for which the hook had no room, so far.
  virtual std::int64_t lost_count() const = 0;

  /// Waits for a CPU and stays on one since the slot was acquired, by bucket (see KpiKind::kHistogram); both count when
  /// the thread next leaves the CPU.
  virtual void read_histograms(std::uint32_t slot, Histogram& waits, Histogram& slices) const = 0;
  /// How often `winner` (nullopt: a thread of no VM) took the CPU from a runnable, unthrottled thread of `slot`; counts
  /// when the winner leaves the CPU.
  virtual std::int64_t preemptions(std::uint32_t slot, std::optional<std::uint32_t> winner) const = 0;

  /// Grows whenever preemptions() of two that had been 0 becomes more.
  virtual std::uint64_t pairs_count() const = 0;

  /// That part of the vCPUs' waits which began because the VM's own CPU quota was used up.
  virtual std::int64_t own_quota_wait_ns(std::uint32_t slot) const = 0;

  /// The hook's program, for its statistics.
  virtual int program_fd() const = 0;
  /// The table of watched processes (ebpf/vm_processes.h), which other programs share.
  virtual int processes_fd() const = 0;
};

}  // namespace proteus::collect
