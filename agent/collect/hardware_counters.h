#pragma once

#include <linux/perf_event.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "agent/collect/run_queue_trace.h"
#include "common/result.h"
#include "ebpf/hardware_counters.h"

namespace proteus::collect {

/// What one counter of each CPU counts: type and config of perf_event_open(2).
struct PerfEvent {
  std::uint32_t type = 0;
  std::uint64_t config = 0;
};
/// Cycles, instructions, last-level cache misses.
constexpr std::array<PerfEvent, HARDWARE_COUNTERS_EVENTS> kHardwareEvents{
    {{PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
     {PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
     {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES}}};

/// What a counter that ran for running_ns of the enabled_ns in which it should have would have counted; `count` where
/// it ran all the time, or not at all. As perf(1) reckons it.
std::int64_t scaled_count(std::int64_t count, std::int64_t enabled_ns, std::int64_t running_ns);

/// Counters of the processor, attributed to VMs at each switch from or to one of their threads. Knows threads and slots
/// from a RunQueueTrace, which must outlive it. Where others count too, so that the kernel lets events take turns, what
/// was not counted is estimated, from one read() to the next. Thread: owned by one.
class HardwareCounters {
 public:
  using Counts = std::array<std::int64_t, HARDWARE_COUNTERS_EVENTS>;

  /// Errors: kUnsupported if the processor has no such counters (most virtual machines), kPermissionDenied.
  static Result<std::unique_ptr<HardwareCounters>> create(
      const RunQueueTrace& run_queue, std::span<const PerfEvent, HARDWARE_COUNTERS_EVENTS> events = kHardwareEvents);
  virtual ~HardwareCounters() = default;

  /// Begins a slot's counts anew.
  virtual void clear(std::uint32_t slot) = 0;
  /// Since clear(); a stay on a CPU counts when it ends.
  virtual Counts read(std::uint32_t slot) = 0;
  /// Counts anew on all CPUs that are online now. A CPU that comes online has no counter until then.
  virtual void follow_cpus() = 0;
  /// False from when that failed until it succeeds: what read() tells then stands still.
  virtual bool counts_all_cpus() const = 0;
  virtual int program_fd() const = 0;
};

}  // namespace proteus::collect
