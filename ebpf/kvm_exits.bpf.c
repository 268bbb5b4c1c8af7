/* What do a VM's vCPUs leave the guest for, and how long does it take until the guest runs again?
 *
 * On demand only: a busy guest exits 100,000 times a second. The exit's reason is told in three ways, of which the loader
 * attaches the one that fits the kernel:
 *   on_kvm_exit_reason  kvm_exit(exit_reason, vcpu, isa), before 5.16
 *   on_kvm_exit_vcpu    kvm_exit(vcpu, isa), since 5.16 (0a62a0319abb "KVM: x86: Get exit_reason as part of
 *                       kvm_x86_ops.get_exit_info"); the reason is read from the vCPU
 *   on_kvm_exit_record  the tracepoint's record, which names the reason on every kernel, at 15 ns more an event
 * Raw tracepoints take their arguments without the kernel's types, so each loads on every kernel and can be fed by a test. */
#include "histogram.bpf.h"
#include "vm_processes.bpf.h"

#include "kvm_exits.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

union vmx_exit_reason {
  u32 full; /* its first bits are the basic reason */
};
struct vcpu_vmx {
  union vmx_exit_reason exit_reason;
};
/* Since 6.15 (7172c753c26a "KVM: VMX: Move common fields of struct vcpu_{vmx,tdx} to a struct"). */
struct vcpu_vt {
  union vmx_exit_reason exit_reason;
};
struct vcpu_vmx___vt {
  struct vcpu_vt vt;
};
struct vmcb_control_area {
  u32 exit_code;
};
struct vmcb {
  struct vmcb_control_area control;
};
struct vcpu_svm {
  struct vmcb *vmcb;
};

#pragma clang attribute pop

/* Of the record of the classic tracepoint, which is the same since 2.6.3x: common fields, then the reason. */
struct kvm_exit_record {
  u64 common;
  u32 exit_reason;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, KVM_EXITS_CELLS);
  __type(key, struct kvm_exits_key);
  __type(value, struct kvm_exits_cell);
} cells SEC(".maps");

__u64 refused_count; /* exits for which there was no room for a cell */

#define VMX_BASIC_REASON_MASK 0xffff

struct stay {
  u64 exit_began_ns; /* 0 if it runs the guest */
  u64 exit_reason;
  u64 user_began_ns; /* 0 if it is not in user space */
  u32 exit_isa;
};

/* A vCPU thread's present stay outside the guest; made at its first exit, dies with it. */
struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct stay);
} stays SEC(".maps");

/* The running thread's; null if it belongs to no VM. Sets *slot. */
static __always_inline struct stay *stay_of_current(u32 *slot) {
  struct task_struct *task = bpf_get_current_task_btf();
  u64 *entry = vm_process_of(task->tgid);
  if (!entry) return 0;
  *slot = vm_slot_in(entry);
  return bpf_task_storage_get(&stays, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

static __always_inline int begin(u32 isa, u64 reason) {
  u32 slot = 0;
  struct stay *stay = stay_of_current(&slot);
  if (!stay) return 0;
  stay->exit_isa = isa;
  stay->exit_reason = reason;
  stay->exit_began_ns = bpf_ktime_get_ns();
  return 0;
}

static __always_inline void count(u32 slot, u32 isa, u64 reason, u64 ns) {
  struct kvm_exits_key key = {.slot = slot, .isa = isa, .reason = reason};
  struct kvm_exits_cell *cell = bpf_map_lookup_elem(&cells, &key);
  if (!cell) {
    static const struct kvm_exits_cell empty;
    bpf_map_update_elem(&cells, &key, &empty, BPF_NOEXIST);
    cell = bpf_map_lookup_elem(&cells, &key);
    if (!cell) {
      __sync_fetch_and_add(&refused_count, 1);
      return;
    }
  }
  __sync_fetch_and_add(&cell->latencies[bucket_of(ns) & (KVM_EXITS_BUCKETS - 1)], 1);
}

static __always_inline u64 reason_of(void *vcpu, u32 isa) {
  if (isa == KVM_EXITS_VMX) {
    struct vcpu_vmx *vmx = vcpu;
    if (bpf_core_field_exists(vmx->exit_reason.full)) {
      return BPF_CORE_READ(vmx, exit_reason.full) & VMX_BASIC_REASON_MASK;
    }
    struct vcpu_vmx___vt *newer = vcpu;
    if (bpf_core_field_exists(newer->vt.exit_reason.full)) {
      return BPF_CORE_READ(newer, vt.exit_reason.full) & VMX_BASIC_REASON_MASK;
    }
  }
  struct vcpu_svm *svm = vcpu;
  if (isa == KVM_EXITS_SVM && bpf_core_field_exists(svm->vmcb)) return BPF_CORE_READ(svm, vmcb, control.exit_code);
  return ~0ull;
}

SEC("raw_tp/kvm_exit")
int on_kvm_exit_reason(struct bpf_raw_tracepoint_args *args) {
  return begin(args->args[2], (u32)args->args[0]);
}

SEC("raw_tp/kvm_exit")
int on_kvm_exit_vcpu(struct bpf_raw_tracepoint_args *args) {
  u32 isa = args->args[1];
  return begin(isa, reason_of((void *)args->args[0], isa));
}

const volatile __u32 isa_of_host = KVM_EXITS_VMX; /* the record's place of it moved; a host has one */

SEC("tp/kvm/kvm_exit")
int on_kvm_exit_record(struct kvm_exit_record *record) {
  return begin(isa_of_host, record->exit_reason);
}

SEC("raw_tp/kvm_userspace_exit")
int on_kvm_userspace_exit(struct bpf_raw_tracepoint_args *args) {
  u32 slot = 0;
  struct stay *stay = stay_of_current(&slot);
  if (stay) stay->user_began_ns = bpf_ktime_get_ns();
  return 0;
}

SEC("raw_tp/kvm_entry")
int on_kvm_entry(struct bpf_raw_tracepoint_args *args) {
  u32 slot = 0;
  struct stay *stay = stay_of_current(&slot);
  if (!stay) return 0;
  u64 now_ns = bpf_ktime_get_ns();
  if (stay->exit_began_ns) count(slot, stay->exit_isa, stay->exit_reason, now_ns - stay->exit_began_ns);
  if (stay->user_began_ns) count(slot, KVM_EXITS_USERSPACE, 0, now_ns - stay->user_began_ns);
  stay->exit_began_ns = stay->user_began_ns = 0;
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
