/* What does KVM itself count of each vCPU?
 *
 * KVM keeps statistics in every struct kvm_vcpu. find_vcpus, a walk over file descriptors that runs when a VM appears or
 * changes, recognises a vCPU by its descriptor ("kvm-vcpu:N") and tells where it lies and which thread runs it. Once a tick
 * poll_vcpus copies the statistics of all of them. An address is only a hint: it is read without trust, and the answer
 * counts only if the same vCPU of the same VM is still found there. */
#include "kernel_types.bpf.h"

#include "kvm_counters.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct upid {
  int nr;
};
struct pid {
  struct upid numbers[1];
};

typedef struct {
  s64 counter;
} atomic64_t;
typedef struct {
  int counter;
} atomic_t;
struct refcount_struct {
  atomic_t refs;
};

/* Since 5.14 (0193cc908b5a "KVM: stats: Separate generic stats from architecture specific ones"). */
struct kvm_vcpu_stat_generic {
  u64 halt_wakeup;
  u64 halt_poll_success_ns;
  u64 halt_poll_fail_ns;
  u64 halt_wait_hist[KVM_COUNTERS_HALT_BUCKETS]; /* since 5.15 */
};
struct kvm_vcpu_stat {
  struct kvm_vcpu_stat_generic generic;
  u64 exits;
  u64 io_exits;
  u64 mmio_exits;
  u64 halt_exits;
  u64 irq_injections;
  u64 hypercalls;
  u64 pf_taken; /* since 5.19 (1075d41efd19 "KVM: x86/mmu: Expand and clean up page fault stats") */
  u64 tlb_flush;
  u64 directed_yield_attempted; /* since 5.13 */
  u64 preemption_reported;      /* since 5.19 */
};
/* Before 5.14. */
struct kvm_vcpu_stat___flat {
  u64 halt_wakeup;
  u64 halt_poll_success_ns; /* since 5.9 */
  u64 halt_poll_fail_ns;
};

struct kvm_vm_stat {
  atomic64_t pages_4k; /* since 5.15 (71f51d2c3253 "KVM: x86/mmu: Add detailed page size stats") */
  atomic64_t pages_2m;
};
struct kvm {
  int userspace_pid;
  struct refcount_struct users_count; /* 0 once it is being destroyed; freed memory keeps it so for a while */
  struct kvm_vm_stat stat;
};
struct kvm_vcpu {
  struct kvm *kvm;
  int vcpu_id;
  struct pid *pid;
  struct kvm_vcpu_stat stat;
};

#pragma clang attribute pop

/* Both are resized by the loader. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, KVM_COUNTERS_SLOTS_MIN);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, u32);
  __type(value, struct kvm_vcpu_place);
} requests SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, KVM_COUNTERS_SLOTS_MIN);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, u32);
  __type(value, struct kvm_counters);
} answers SEC(".maps");

/* The statistics of the vCPU in hand, copied in one go; runs do not overlap, as one loader makes them. */
char stat_bytes[KVM_COUNTERS_STAT_BYTES_MAX];

/* Reads what a place must hold. */
static __always_inline void identify(struct kvm_vcpu *vcpu, struct kvm_vcpu_place *out) {
  struct kvm *kvm = BPF_CORE_READ(vcpu, kvm);
  out->vcpu = (u64)vcpu;
  out->kvm = (u64)kvm;
  out->vcpu_id = BPF_CORE_READ(vcpu, vcpu_id);
  out->owner = BPF_CORE_READ(kvm, userspace_pid);
}

SEC("iter/task_file")
int find_vcpus(struct bpf_iter__task_file *context) {
  struct file *file = context->file;
  struct task_struct *task = context->task;
  if (!file || !task) return 0;
  const char expected[] = "kvm-vcpu:";
  char name[sizeof(expected) - 1] = {};
  bpf_probe_read_kernel(name, sizeof(name), BPF_CORE_READ(file, f_path.dentry, d_name.name));
  for (u32 i = 0; i < sizeof(name); i++) {
    if (name[i] != expected[i]) return 0;
  }
  struct kvm_vcpu *vcpu = file->private_data;
  struct kvm_vcpu_place place = {.pid = task->tgid};
  identify(vcpu, &place);
  struct pid *pid = BPF_CORE_READ(vcpu, pid);
  place.tid = pid ? BPF_CORE_READ(pid, numbers[0].nr) : 0;
  bpf_seq_write(context->meta->seq, &place, sizeof(place));
  return 0;
}

#define TAKE(index, type, field)                                                      \
  if (bpf_core_field_exists(((type *)0)->field)) {                                    \
    out->counters[index] = *(u64 *)(stat_bytes + bpf_core_field_offset(type, field)); \
    known |= 1u << (index);                                                           \
  }

static __always_inline bool still_there(const struct kvm_vcpu_place *place) {
  struct kvm_vcpu *vcpu = (void *)place->vcpu;
  struct kvm_vcpu_place now = {};
  identify(vcpu, &now);
  struct kvm *kvm = (void *)place->kvm;
  return BPF_CORE_READ(kvm, users_count.refs.counter) > 0 && now.kvm == place->kvm && now.vcpu_id == place->vcpu_id && now.owner == place->owner;
}

/* Not inlined: clang would move offsets of fields that a kernel lacks out of the loop, and so before the question whether it has them. */
static __noinline void poll_one(u32 index) {
  const struct kvm_vcpu_place *place = bpf_map_lookup_elem(&requests, &index);
  struct kvm_counters *out = bpf_map_lookup_elem(&answers, &index);
  if (!place || !out) return;
  out->valid = 0;
  if (!still_there(place)) return;
  struct kvm_vcpu *vcpu = (void *)place->vcpu;
  if (bpf_core_type_size(struct kvm_vcpu_stat) > sizeof(stat_bytes)) return;
  if (bpf_probe_read_kernel(stat_bytes, bpf_core_type_size(struct kvm_vcpu_stat), &vcpu->stat)) return;

  u32 known = 0;
  TAKE(KVM_COUNTER_EXITS, struct kvm_vcpu_stat, exits);
  TAKE(KVM_COUNTER_IO_EXITS, struct kvm_vcpu_stat, io_exits);
  TAKE(KVM_COUNTER_MMIO_EXITS, struct kvm_vcpu_stat, mmio_exits);
  TAKE(KVM_COUNTER_HALT_EXITS, struct kvm_vcpu_stat, halt_exits);
  TAKE(KVM_COUNTER_IRQ_INJECTIONS, struct kvm_vcpu_stat, irq_injections);
  TAKE(KVM_COUNTER_HYPERCALLS, struct kvm_vcpu_stat, hypercalls);
  TAKE(KVM_COUNTER_SECOND_LEVEL_FAULTS, struct kvm_vcpu_stat, pf_taken);
  TAKE(KVM_COUNTER_TLB_FLUSHES, struct kvm_vcpu_stat, tlb_flush);
  TAKE(KVM_COUNTER_DIRECTED_YIELDS, struct kvm_vcpu_stat, directed_yield_attempted);
  TAKE(KVM_COUNTER_PREEMPTION_REPORTED, struct kvm_vcpu_stat, preemption_reported);
  if (bpf_core_field_exists(((struct kvm_vcpu_stat *)0)->generic)) {
    TAKE(KVM_COUNTER_HALT_POLL_SUCCESS_NS, struct kvm_vcpu_stat, generic.halt_poll_success_ns);
    TAKE(KVM_COUNTER_HALT_POLL_FAIL_NS, struct kvm_vcpu_stat, generic.halt_poll_fail_ns);
    TAKE(KVM_COUNTER_HALT_WAKEUPS, struct kvm_vcpu_stat, generic.halt_wakeup);
    if (bpf_core_field_exists(((struct kvm_vcpu_stat *)0)->generic.halt_wait_hist)) {
      __builtin_memcpy(out->halt_waits, stat_bytes + bpf_core_field_offset(struct kvm_vcpu_stat, generic.halt_wait_hist),
                       sizeof(out->halt_waits));
      known |= 1u << KVM_COUNTERS;
    }
  } else {
    TAKE(KVM_COUNTER_HALT_POLL_SUCCESS_NS, struct kvm_vcpu_stat___flat, halt_poll_success_ns);
    TAKE(KVM_COUNTER_HALT_POLL_FAIL_NS, struct kvm_vcpu_stat___flat, halt_poll_fail_ns);
    TAKE(KVM_COUNTER_HALT_WAKEUPS, struct kvm_vcpu_stat___flat, halt_wakeup);
  }
  if (bpf_core_field_exists(((struct kvm_vm_stat *)0)->pages_4k)) {
    struct kvm *kvm = (void *)place->kvm;
    out->counters[KVM_COUNTER_PAGES_4K] = BPF_CORE_READ(kvm, stat.pages_4k.counter);
    out->counters[KVM_COUNTER_PAGES_2M] = BPF_CORE_READ(kvm, stat.pages_2m.counter);
    known |= 1u << KVM_COUNTER_PAGES_4K | 1u << KVM_COUNTER_PAGES_2M;
  }
  out->known = known;
  out->valid = still_there(place); /* and it did not end meanwhile */
}

/* Answers the requests in [args[0], args[1]), at most KVM_COUNTERS_AT_ONCE. Never attached, only run by user space, as a
 * syscall program would be; those, and bpf_loop(), came with 5.14 and 5.17, this runs since 5.10. */
SEC("raw_tp/sys_enter")
int poll_vcpus(struct bpf_raw_tracepoint_args *args) {
  u32 from = args->args[0];
  u32 to = args->args[1];
#pragma clang loop unroll(disable)
  for (u32 i = 0; i < KVM_COUNTERS_AT_ONCE; i++) {
    if (from + i >= to) break;
    poll_one(from + i);
  }
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
