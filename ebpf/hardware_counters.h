#pragma once

/* Shared by hardware_counters.bpf.c and its loader. */

#include <linux/types.h>

#define HARDWARE_COUNTERS_EVENTS 3 /* cycles, instructions, last-level cache misses */

/* Index cpu * slots + slot. */
struct hardware_counters_stripe {
  __u64 counts[HARDWARE_COUNTERS_EVENTS];
  __u64 unused[5];
};
