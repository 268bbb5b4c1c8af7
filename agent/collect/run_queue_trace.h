#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/collect/thread_reader.h"
#include "common/kpi.h"
#include "common/result.h"

namespace proteus::collect {

/// A thread that belongs to the VM in `slot`, or to none any more.
struct ThreadMark {
  ThreadKey thread;
  std::optional<std::uint32_t> slot;
  bool done = false;  ///< answer: false if the thread is gone or the kernel has no memory
};

/// The always-on sched_switch hook: run-queue waits of VM threads and who took the CPU from whom, counted per VM slot.
/// Its maps and its hook belong to this object alone; destroying it leaves nothing in the kernel, and other loaders of
/// the same program are not disturbed. Thread: owned by one.
class RunQueueTrace {
 public:
  using Histogram = std::array<std::int64_t, kHistogramBucketCount>;

  /// Errors: kUnsupported, kPermissionDenied with the kernel's reason.
  static Result<std::unique_ptr<RunQueueTrace>> create();
  virtual ~RunQueueTrace() = default;

  /// How many VMs at once.
  virtual std::uint32_t slot_count() const = 0;
  /// A slot with zero counters; nullopt when all are taken.
  virtual std::optional<std::uint32_t> acquire_slot() = 0;
  /// To be called when the VM's last thread is gone or unmarked. The slot is not given out again at once.
  virtual void release_slot(std::uint32_t slot) = 0;
  /// Makes threads known to the hook, or forgotten, and answers in each mark.
  virtual void mark(std::span<ThreadMark> marks) = 0;

  /// Waits for a CPU and stays on one since the slot was acquired, by bucket (see KpiKind::kHistogram); both count when
  /// the thread next leaves the CPU.
  virtual void read_histograms(std::uint32_t slot, Histogram& waits, Histogram& slices) const = 0;
  /// How often `winner` (nullopt: a thread of no VM) took the CPU from a runnable, unthrottled thread of `slot`.
  virtual std::int64_t preemptions(std::uint32_t slot, std::optional<std::uint32_t> winner) const = 0;

  /// That part of the waits which began because the VM's own CPU quota was used up.
  virtual std::int64_t own_quota_wait_ns(std::uint32_t slot) const = 0;

  /// The hook's program, for its statistics.
  virtual int program_fd() const = 0;
  /// The map of marked threads, which other programs share.
  virtual int threads_fd() const = 0;
};

}  // namespace proteus::collect
