#pragma once

/* Shared by pressure.bpf.c and its loader. */

#include <linux/types.h>

#ifndef __cplusplus
#define static_assert _Static_assert
#endif

/* One group per VM; the loader asks for 32 per CPU within these bounds. A host with more has the files of the rest read. */
#define PRESSURE_GROUPS_MIN 256
#define PRESSURE_GROUPS_MAX 4096
#define PRESSURE_GROUPS_PER_CPU 32

/* For how long threads of a group have stood still so far, in ns: some of them, or all that had work. */
struct group_pressure {
  __u64 cpu_some_ns;
  __u64 io_some_ns;
  __u64 memory_some_ns;
  __u64 memory_full_ns;
  __u64 valid; /* 0: there is no such group, or the kernel does not count for it */
};

struct pressure_args {
  __u32 count; /* groups to answer for */
};

static_assert(sizeof(struct group_pressure) == 40, "mapped by user space");
