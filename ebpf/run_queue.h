#pragma once

/* Shared by run_queue.bpf.c and its loader. */

#include <linux/types.h>

#ifndef __cplusplus
#define static_assert _Static_assert
#endif

/* A VM slot is a row of counters in user space. The loader offers 8 slots per CPU within these bounds: nobody runs more than
 * eight busy VMs on a CPU and hopes for good latency, and with 512 the matrix of who preempted whom is 2 MiB. VMs beyond have no
 * trace figures, and that is said. */
#define RUN_QUEUE_SLOTS_MIN 128
#define RUN_QUEUE_SLOTS_MAX 512
#define RUN_QUEUE_SLOTS_PER_CPU 8

#define RUN_QUEUE_BUCKETS 32

/* A thread of the user's has left a CPU. Times in units of 16 ns.
 * who:  flags (8 bits), thread id (24), process id (32), from the lowest bit on
 * time: the stay on the CPU (28 bits), at most 2^28 - 1 (4 s); run_delay modulo 2^36 (18 minutes)
 * came_ns: when it had come, by the scheduler's clock, which all CPUs share: thus the departures of one thread from several CPUs
 * are put in order, and those of one CPU are in order */
struct run_queue_departure {
  __u64 who;
  __u64 time;
  __u64 came_ns;
};
#define RUN_QUEUE_UNIT_SHIFT 4
#define RUN_QUEUE_SLICE_BITS 28
#define RUN_QUEUE_DELAY_BITS 36

enum {
  RUN_QUEUE_FIRST_STAY = 1,       /* it had waited but once so far */
  RUN_QUEUE_BY_OWN_QUOTA = 2,     /* it left because its VM's own quota was used up */
  RUN_QUEUE_PREEMPTED = 4,        /* runnable and not throttled, somebody took the CPU */
  RUN_QUEUE_BY_KERNEL_THREAD = 8, /* and that was a thread of the kernel; else it is who leaves this CPU next */
  RUN_QUEUE_LAST_STAY = 16,       /* it has ended */
  RUN_QUEUE_AFTER_GAP = 32,       /* departures before this one are missing */
  RUN_QUEUE_AFTER_LOSS = 64,      /* of VMs' threads among them */
};

/* Departures that a CPU holds between two looks of user space, 384 KiB of them; what has no room is counted. */
#define RUN_QUEUE_LOG_DEPARTURES 16384
/* From here on only VMs' threads are taken down. */
#define RUN_QUEUE_LOG_CROWDED 8192

/* One per CPU, its log behind the line that the hook writes. A departure's place in the log is its number, less first. */
struct run_queue_cpu {
  __u64 real_time_thread; /* the one that came last, by its address */
  __u64 run_time_ns;      /* its CPU time as it came */
  __u64 head;             /* departures so far */
  __u64 tail;             /* those that user space has taken; it alone writes this */
  __u64 first;            /* the log begins anew when it is empty, and so touches no more of its memory than it needs */
  __u64 lost_count;
  __u64 has_gap;
  __u64 unused;
  struct run_queue_departure departures[RUN_QUEUE_LOG_DEPARTURES];
};

static_assert(sizeof(struct run_queue_departure) == 24, "mapped by user space");
static_assert(sizeof(struct run_queue_cpu) % 64 == 0, "CPUs share no cache line");
