#pragma once

/* Shared by kvm_exits.bpf.c and its loader. */

#include <linux/types.h>

#ifndef __cplusplus
#define static_assert _Static_assert
#endif

/* VM × reason: 512 VMs × 8, or fewer VMs with more; asked for on demand, for a while. */
#define KVM_EXITS_CELLS 4096
#define KVM_EXITS_BUCKETS 32

#define KVM_EXITS_USERSPACE 0 /* isa of a stay in user space, for whatever reason */
#define KVM_EXITS_VMX 1       /* KVM_ISA_VMX */
#define KVM_EXITS_SVM 2       /* KVM_ISA_SVM */

struct kvm_exits_key {
  __u32 slot; /* of the VM in run_queue */
  __u32 isa;
  __u64 reason;
};

struct kvm_exits_cell {
  __u64 latencies[KVM_EXITS_BUCKETS]; /* ns until the guest runs again */
};

static_assert(sizeof(struct kvm_exits_key) == 16, "a map's key");
