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

/* The thread of a VM that is on a CPU, as it came there. */
struct run_queue_arrival {
  __u32 tid; /* 0: a thread of no VM */
  __u32 slot;
  __u64 run_delay_ns;
  __u64 run_time_ns;
  __u64 unused[5];
};

/* Per slot: what is remembered of each thread between two stays on a CPU, by its id. Threads of a process have ids that follow
 * each other, so that few of them meet in an entry; who is not found there any more has its wait counted from its last change
 * of the CPU on, as if it had not been moved to another while it waited, and not as its quota's doing. 16 KiB for 128 slots: up
 * to 32 KiB the kernel has in its large pages. */
#define RUN_QUEUE_DEPARTURES 16

/* An entry, from the lowest bit: thread id (the kernel's ids have at most 22 bits); whether it left because its VM's own quota
 * was used up; run_delay in units of 16 ns, modulo 2^41 of them (9.7 hours). One word, as threads on several CPUs may meet. */
#define RUN_QUEUE_DEPARTURE_TID_BITS 22
#define RUN_QUEUE_DEPARTURE_UNIT_SHIFT 4

/* Side by side, as waits and slices are mostly of like length: so both often lie in one cache line. */
struct run_queue_bucket {
  __u64 waits;
  __u64 slices; /* CPU time between two departures from a CPU */
};

/* One per CPU and slot: index cpu * slots + slot. */
struct run_queue_stripe {
  struct run_queue_bucket buckets[RUN_QUEUE_BUCKETS];
  __u64 own_quota_wait_ns; /* waits that began because the VM's own quota was used up; part of the above */
  __u64 unused[7];
};

static_assert(sizeof(struct run_queue_arrival) == 64, "a cache line: CPUs do not share one");
static_assert(sizeof(struct run_queue_stripe) == 576, "whole cache lines: CPUs do not share one");
