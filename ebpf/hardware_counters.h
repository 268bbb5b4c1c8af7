#pragma once

/* Shared by hardware_counters.bpf.c and its loader. */

#include <linux/types.h>

#define HARDWARE_COUNTERS_EVENTS 3 /* cycles, instructions, last-level cache misses */

/* Index cpu * slots + slot. Where others use the processor's counters too, the kernel lets each event have one in turns: it
 * counted for running_ns of the enabled_ns in which it should have. */
struct hardware_counters_stripe {
  __u64 counts[HARDWARE_COUNTERS_EVENTS];
  __u64 running_ns[HARDWARE_COUNTERS_EVENTS];
  __u64 enabled_ns; /* of all three, which were begun together */
  __u64 unused;
};
