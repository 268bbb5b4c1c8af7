#include "agent/collect/kvm_exit_trace.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>

#include <algorithm>
#include <cerrno>

#include "agent/collect/bpf_support.h"
#include "agent/collect/mapped_array.h"
#include "ebpf/kvm_exits.h"
#include "ebpf/kvm_exits.skel.h"

namespace proteus::collect {
namespace {

static_assert(KVM_EXITS_BUCKETS == kHistogramBucketCount);

class Trace final : public KvmExitTrace {
 public:
  ~Trace() override { kvm_exits_bpf__destroy(skeleton_); }

  Status load(const RunQueueTrace& run_queue, KvmExitLayout layout, bool attach, const std::string& kernel_types) {
    if (libbpf_probe_bpf_map_type(BPF_MAP_TYPE_TASK_STORAGE, nullptr) == 0) {
      return Error{ErrorCode::kUnsupported, "the kernel has no storage for tasks (since 5.11)"};
    }
    const bool is_amd = has_kernel_type("vcpu_svm") || kernel_has_module("kvm_amd");
    const BpfLog log;
    LIBBPF_OPTS(bpf_object_open_opts, options);
    if (!kernel_types.empty()) options.btf_custom_path = kernel_types.c_str();
    skeleton_ = kvm_exits_bpf__open_opts(&options);
    if (skeleton_ == nullptr) return bpf_error("open kvm_exits", errno);
    if (const int code = bpf_map__reuse_fd(skeleton_->maps.vm_processes, run_queue.processes_fd()); code != 0) {
      return bpf_error("share the table of VM processes", -code);
    }
    skeleton_->rodata->vm_process_entries = bpf_map__max_entries(skeleton_->maps.vm_processes);
    const auto& programs = skeleton_->progs;
    exit_ = layout == KvmExitLayout::kReasonFirst ? programs.on_kvm_exit_reason
            : layout == KvmExitLayout::kVcpuFirst ? programs.on_kvm_exit_vcpu
                                                  : programs.on_kvm_exit_record;
    for (bpf_program* program : {programs.on_kvm_exit_reason, programs.on_kvm_exit_vcpu, programs.on_kvm_exit_record}) {
      bpf_program__set_autoload(program, program == exit_);
    }
    skeleton_->rodata->isa_of_host = is_amd ? KVM_EXITS_SVM : KVM_EXITS_VMX;
    if (const int code = kvm_exits_bpf__load(skeleton_); code != 0) {
      return with_context(bpf_error(log.reason(), -code), "load kvm_exits");
    }
    if (!attach) return {};
    if (const int code = kvm_exits_bpf__attach(skeleton_); code != 0) {
      return with_context(bpf_error(log.reason(), -code),
                          layout == KvmExitLayout::kRecord
                              ? "the exit's reason is only in the tracepoint's record, which needs tracefs at "
                                "/sys/kernel/tracing"
                              : "attach to kvm_exit and kvm_entry");
    }
    return {};
  }

  const std::map<std::uint32_t, ExitFigures>& read() override {
    figures_.clear();
    kvm_exits_cell cell{};
    for (const kvm_exits_key& key : keys()) {
      if (bpf_map_lookup_elem(cells(), &key, &cell) != 0) continue;
      ExitFigures& figures = figures_[key.slot];
      RunQueueTrace::Histogram* into = &figures.userspace;
      if (key.isa != KVM_EXITS_USERSPACE) {
        figures.reasons.push_back({exit_reason_name(key.isa, key.reason), {}});
        into = &figures.reasons.back().latencies;
      }
      std::copy(std::begin(cell.latencies), std::end(cell.latencies), into->begin());
    }
    for (auto& [slot, figures] : figures_) {
      std::sort(figures.reasons.begin(), figures.reasons.end(),
                [](const ExitFigures::Reason& a, const ExitFigures::Reason& b) { return a.name < b.name; });
    }
    return figures_;
  }

  void forget(std::uint32_t slot) override {
    for (const kvm_exits_key& key : keys()) {
      if (key.slot == slot) bpf_map_delete_elem(cells(), &key);
    }
  }

  std::int64_t refused_count() const override { return counted(skeleton_->bss->refused_count); }
  int exit_program_fd() const override { return bpf_program__fd(exit_); }
  int userspace_program_fd() const override { return bpf_program__fd(skeleton_->progs.on_kvm_userspace_exit); }
  int entry_program_fd() const override { return bpf_program__fd(skeleton_->progs.on_kvm_entry); }

 private:
  int cells() const { return bpf_map__fd(skeleton_->maps.cells); }

  std::vector<kvm_exits_key> keys() const {
    std::vector<kvm_exits_key> all;
    kvm_exits_key key{};
    while (bpf_map_get_next_key(cells(), all.empty() ? nullptr : &key, &key) == 0) all.push_back(key);
    return all;
  }

  kvm_exits_bpf* skeleton_ = nullptr;
  bpf_program* exit_ = nullptr;
  std::map<std::uint32_t, ExitFigures> figures_;
};

struct NamedReason {
  std::uint32_t isa;
  std::uint64_t reason;
  const char* name;
};

/// The common ones of arch/x86/include/uapi/asm/vmx.h and svm.h.
constexpr NamedReason kNames[] = {
    {KVM_EXITS_VMX, 0, "exception_nmi"},
    {KVM_EXITS_VMX, 1, "external_interrupt"},
    {KVM_EXITS_VMX, 7, "interrupt_window"},
    {KVM_EXITS_VMX, 8, "nmi_window"},
    {KVM_EXITS_VMX, 10, "cpuid"},
    {KVM_EXITS_VMX, 12, "hlt"},
    {KVM_EXITS_VMX, 14, "invlpg"},
    {KVM_EXITS_VMX, 15, "rdpmc"},
    {KVM_EXITS_VMX, 16, "rdtsc"},
    {KVM_EXITS_VMX, 18, "hypercall"},
    {KVM_EXITS_VMX, 28, "cr_access"},
    {KVM_EXITS_VMX, 29, "dr_access"},
    {KVM_EXITS_VMX, 30, "io"},
    {KVM_EXITS_VMX, 31, "msr_read"},
    {KVM_EXITS_VMX, 32, "msr_write"},
    {KVM_EXITS_VMX, 36, "mwait"},
    {KVM_EXITS_VMX, 40, "pause"},
    {KVM_EXITS_VMX, 44, "apic_access"},
    {KVM_EXITS_VMX, 45, "eoi_induced"},
    {KVM_EXITS_VMX, 48, "ept_violation"},
    {KVM_EXITS_VMX, 49, "ept_misconfig"},
    {KVM_EXITS_VMX, 52, "preemption_timer"},
    {KVM_EXITS_VMX, 54, "wbinvd"},
    {KVM_EXITS_VMX, 55, "xsetbv"},
    {KVM_EXITS_VMX, 56, "apic_write"},
    {KVM_EXITS_VMX, 62, "pml_full"},
    {KVM_EXITS_VMX, 74, "bus_lock"},
    {KVM_EXITS_VMX, 75, "notify"},
    {KVM_EXITS_SVM, 0x060, "interrupt"},
    {KVM_EXITS_SVM, 0x061, "nmi"},
    {KVM_EXITS_SVM, 0x064, "interrupt_window"},
    {KVM_EXITS_SVM, 0x06e, "rdtsc"},
    {KVM_EXITS_SVM, 0x072, "cpuid"},
    {KVM_EXITS_SVM, 0x077, "pause"},
    {KVM_EXITS_SVM, 0x078, "hlt"},
    {KVM_EXITS_SVM, 0x079, "invlpg"},
    {KVM_EXITS_SVM, 0x07b, "io"},
    {KVM_EXITS_SVM, 0x07c, "msr"},
    {KVM_EXITS_SVM, 0x081, "hypercall"},
    {KVM_EXITS_SVM, 0x089, "wbinvd"},
    {KVM_EXITS_SVM, 0x08d, "xsetbv"},
    {KVM_EXITS_SVM, 0x400, "npf"},
    {KVM_EXITS_SVM, 0x401, "avic_incomplete_ipi"},
    {KVM_EXITS_SVM, 0x402, "avic_unaccelerated"},
    {KVM_EXITS_SVM, 0x403, "vmgexit"},
};

}  // namespace

std::string exit_reason_name(std::uint32_t isa, std::uint64_t reason) {
  const auto named = std::find_if(std::begin(kNames), std::end(kNames),
                                  [&](const NamedReason& n) { return n.isa == isa && n.reason == reason; });
  if (named != std::end(kNames)) return named->name;
  if (isa != KVM_EXITS_VMX && isa != KVM_EXITS_SVM) return "unknown";
  return fmt::format("{}-{:#x}", isa == KVM_EXITS_VMX ? "vmx" : "svm", reason);
}

Result<KvmExitLayout> probe_kvm_exit_layout() {
#if !defined(__x86_64__)
  return Error{ErrorCode::kUnsupported, "only x86's exits are known"};
#endif
  const auto arguments = tracepoint_argument_count("kvm_exit", "kvm");
  if (!arguments) {
    return Error{ErrorCode::kUnsupported, "the kernel has no kvm_exit tracepoint (KVM is not built in or not loaded)"};
  }
  if (*arguments == 3) return KvmExitLayout::kReasonFirst;
  for (const char* module : {"kvm_intel", "kvm_amd"}) {
    if (kernel_has_module(module)) return KvmExitLayout::kVcpuFirst;
  }
  if (has_kernel_type("vcpu_vmx") || has_kernel_type("vcpu_svm")) return KvmExitLayout::kVcpuFirst;
  return KvmExitLayout::kRecord;
}

Result<std::unique_ptr<KvmExitTrace>> KvmExitTrace::create(const RunQueueTrace& run_queue, KvmExitLayout layout,
                                                           bool attach, const std::string& kernel_types) {
  auto trace = std::make_unique<Trace>();
  if (const Status loaded = trace->load(run_queue, layout, attach, kernel_types); !loaded) return loaded.error();
  return std::unique_ptr<KvmExitTrace>(std::move(trace));
}

}  // namespace proteus::collect
