#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/collect/run_queue_trace.h"
#include "common/kpi.h"
#include "common/result.h"

namespace proteus::collect {

/// How a kernel's kvm_exit tells the reason; see ebpf/kvm_exits.bpf.c.
enum class KvmExitLayout {
  kReasonFirst,  ///< kvm_exit(exit_reason, vcpu, isa)
  kVcpuFirst,    ///< kvm_exit(vcpu, isa), and the reason can be read from the vCPU
  kRecord,       ///< the classic tracepoint's record
};

/// The layout that fits the running kernel. Errors: kUnsupported if it has no kvm_exit.
Result<KvmExitLayout> probe_kvm_exit_layout();

/// "hlt", "ept_violation", …; "vmx-77" for one without a name here. isa: KVM_EXITS_VMX or KVM_EXITS_SVM.
std::string exit_reason_name(std::uint32_t isa, std::uint64_t reason);

/// What a VM's vCPUs left the guest for, since the hooks were attached.
struct ExitFigures {
  struct Reason {
    std::string name;
    RunQueueTrace::Histogram latencies{};  ///< ns until the guest ran again
  };
  std::vector<Reason> reasons;           ///< by name
  RunQueueTrace::Histogram userspace{};  ///< stays in user space
};

/// Hooks on kvm_exit, kvm_userspace_exit and kvm_entry, attached for as long as this lives: on demand, as they cost
/// every exit of every guest some 130 ns. Knows threads and slots from a RunQueueTrace, which must outlive it. Thread:
/// owned by one.
class KvmExitTrace {
 public:
  /// attach: false only loads the programs, which a test then feeds with the events of another kernel. kernel_types: a
  /// file of BTF that says how that one's structures look; empty: the running kernel's.
  /// Errors: kUnsupported, kPermissionDenied with the kernel's reason.
  static Result<std::unique_ptr<KvmExitTrace>> create(const RunQueueTrace& run_queue, KvmExitLayout layout,
                                                      bool attach = true, const std::string& kernel_types = {});
  virtual ~KvmExitTrace() = default;

  /// By slot; of those that have exited.
  virtual const std::map<std::uint32_t, ExitFigures>& read() = 0;
  /// Drops what was counted for a slot, when its VM ends.
  virtual void forget(std::uint32_t slot) = 0;
  /// Exits for which there was no room.
  virtual std::int64_t refused_count() const = 0;
  /// The program that sees exits, and those that see returns to user space and to the guest; for tests.
  virtual int exit_program_fd() const = 0;
  virtual int userspace_program_fd() const = 0;
  virtual int entry_program_fd() const = 0;
};

}  // namespace proteus::collect
