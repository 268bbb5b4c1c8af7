#pragma once

/* Shared by run_queue.bpf.c and its loader. */

#include <linux/types.h>

#ifndef __cplusplus
#define static_assert _Static_assert
#endif

/* A VM slot costs 576 bytes per CPU (its stripe) and a row of the preemption matrix. The loader asks for
 * 8 slots per CPU within these bounds: nobody runs more than eight busy VMs on a CPU and hopes for good latency, and at 64
 * CPUs the stripes are 18 MiB and the matrix 2 MiB. VMs beyond have no trace figures, and that is said. */
#define RUN_QUEUE_SLOTS_MIN 128
#define RUN_QUEUE_SLOTS_MAX 512
#define RUN_QUEUE_SLOTS_PER_CPU 8

#define RUN_QUEUE_BUCKETS 32

#define RUN_QUEUE_SLOT_NONE 0xffffffffu

/* Requests that one run of mark_threads takes. */
#define RUN_QUEUE_MARK_BATCH 1024

struct run_queue_mark {
  __u32 tid;
  __u32 tgid;
  __u32 slot;   /* RUN_QUEUE_SLOT_NONE: forget the thread */
  __u32 marked; /* answer: 1 if done */
};

/* One per CPU and slot: index cpu * slots + slot. */
struct run_queue_stripe {
  __u64 waits[RUN_QUEUE_BUCKETS];
  __u64 slices[RUN_QUEUE_BUCKETS]; /* CPU time between two departures from a CPU */
  __u64 own_quota_wait_ns; /* waits that began because the VM's own quota was used up; part of the above */
  __u64 unused[7];
};

struct run_queue_args {
  __u32 count; /* marks to carry out */
};

static_assert(sizeof(struct run_queue_mark) == 16, "mapped by user space");
static_assert(sizeof(struct run_queue_stripe) == 576, "whole cache lines: CPUs do not share one");
