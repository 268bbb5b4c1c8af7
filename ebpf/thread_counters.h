#pragma once

/* Shared by thread_counters.bpf.c and its loader. */

#include <linux/types.h>

#ifndef __cplusplus
#define static_assert _Static_assert
#endif

/* The loader asks for 8 VMs × 16 threads (vCPUs, main, workers) per CPU within these bounds. A host with more, as when a storage that
 * does not answer makes each QEMU start its 64 workers, has the program run again for the rest; what is held is of the first run. */
#define THREAD_COUNTERS_SLOTS_MIN 2048
#define THREAD_COUNTERS_SLOTS_MAX 8192
#define THREAD_COUNTERS_SLOTS_PER_CPU 128

struct thread_request {
  __u32 tid;
  __u32 tgid; /* must still be the thread's process, or the answer is absent */
};

/* The kernel's own counters of one thread. All zero (start_boottime_ns == 0): the thread is gone. */
struct thread_counters {
  __u64 start_boottime_ns; /* tells a reused thread id from the old thread */
  __u64 run_time_ns;
  __u64 run_queue_wait_ns;
  __u64 dispatches_count;
  __u64 switches_voluntary_count;
  __u64 switches_forced_count;
  __u64 cpu_migrations_count;
  __u64 faults_major_count;
  __u64 faults_minor_count;
  __u64 guest_time_ns;
  /* of the whole process, told by its first thread; -1: not told */
  __s64 resident_pages;
  __s64 ksm_merged_pages;
  __s64 thread_count; /* those that have ended and are not reaped included, as the links of /proc/PID/task */
};

struct thread_counters_args {
  __u32 count; /* requests to answer */
  __u32 held;  /* count of the run before: what lies behind count is let go of */
};

static_assert(sizeof(struct thread_request) == 8, "mapped by user space");
static_assert(sizeof(struct thread_counters) == 104, "mapped by user space");
