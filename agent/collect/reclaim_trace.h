#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "agent/collect/bpf_support.h"
#include "agent/collect/run_queue_trace.h"
#include "common/kpi.h"
#include "common/result.h"

namespace proteus::collect {

/// The always-on hooks around memory reclaim: how long threads of VMs stood still for it, counted per VM slot.
/// Knows threads and slots from a RunQueueTrace, which must outlive it. Thread: owned by one.
class ReclaimTrace {
 public:
  /// Errors: kUnsupported, kPermissionDenied with the kernel's reason.
  static Result<std::unique_ptr<ReclaimTrace>> create(const RunQueueTrace& run_queue);
  virtual ~ReclaimTrace() = default;

  /// Begins a slot's counts anew.
  virtual void clear(std::uint32_t slot) = 0;
  /// Reclaims since clear(), by bucket of their ns.
  virtual void read(std::uint32_t slot, RunQueueTrace::Histogram& histogram) const = 0;
  virtual std::vector<NamedProgram> programs() const = 0;
};

}  // namespace proteus::collect
