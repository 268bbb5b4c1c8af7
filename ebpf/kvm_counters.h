#pragma once

/* Shared by kvm_counters.bpf.c and its loader. */

#include <linux/types.h>

#ifndef __cplusplus
#define static_assert _Static_assert
#endif

/* The loader asks for 8 VMs × 4 vCPUs per CPU within these bounds. A host with more has no KVM figures for the rest. */
#define KVM_COUNTERS_SLOTS_MIN 512
#define KVM_COUNTERS_SLOTS_MAX 16384
#define KVM_COUNTERS_SLOTS_PER_CPU 32

#define KVM_COUNTERS_HALT_BUCKETS 32 /* HALT_POLL_HIST_COUNT */

/* Bytes that a vCPU's statistics may have: 1,120 in 6.18. */
#define KVM_COUNTERS_STAT_BYTES_MAX 2048

/* One vCPU as its file descriptor shows it; written by find_vcpus into the iterator's output. What is read later through
 * `vcpu` is believed only while all of it still holds. */
struct kvm_vcpu_place {
  __u64 vcpu; /* address of struct kvm_vcpu */
  __u64 kvm;  /* address of struct kvm */
  __u32 owner; /* kvm.userspace_pid */
  __u32 vcpu_id;
  __u32 pid; /* of the process that holds the descriptor */
  __u32 tid; /* that ran the vCPU last; 0 before its first run */
};

enum kvm_counter {
  KVM_COUNTER_EXITS,
  KVM_COUNTER_HALT_POLL_SUCCESS_NS,
  KVM_COUNTER_HALT_POLL_FAIL_NS,
  KVM_COUNTER_HALT_EXITS,
  KVM_COUNTER_HALT_WAKEUPS,
  KVM_COUNTER_IO_EXITS,
  KVM_COUNTER_MMIO_EXITS,
  KVM_COUNTER_IRQ_INJECTIONS,
  KVM_COUNTER_HYPERCALLS,
  KVM_COUNTER_SECOND_LEVEL_FAULTS,
  KVM_COUNTER_TLB_FLUSHES,
  KVM_COUNTER_DIRECTED_YIELDS,
  KVM_COUNTER_PREEMPTION_REPORTED,
  KVM_COUNTER_PAGES_4K, /* of the whole VM */
  KVM_COUNTER_PAGES_2M,
  KVM_COUNTERS
};

struct kvm_counters {
  __u32 valid; /* 0: the vCPU is gone */
  __u32 known; /* bit i: this kernel has counter i; bit KVM_COUNTERS: it has the halt histogram */
  __u64 counters[KVM_COUNTERS];
  __u64 halt_waits[KVM_COUNTERS_HALT_BUCKETS]; /* the kernel's own: bucket b counts ns in [2^(b-1), 2^b), 0 counts 0 */
};

#define KVM_COUNTERS_AT_ONCE 128 /* requests that one run answers: the verifier follows each */

static_assert(sizeof(struct kvm_vcpu_place) == 32, "mapped by user space");
static_assert(sizeof(struct kvm_counters) == 384, "mapped by user space");
