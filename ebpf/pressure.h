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

/* The widest struct psi_group_cpu that is read. */
#define PRESSURE_CPU_BYTES_MAX 192

struct pressure_request {
  __u64 group; /* inode number of the group's directory */
  __u64 exact; /* not 0: the CPU's total is wanted to the moment */
};

/* For how long threads of a group have stood still so far, in ns: some of them, or all that had work. */
struct group_pressure {
  __u64 cpu_some_ns;
  __u64 io_some_ns;
  __u64 memory_some_ns;
  __u64 memory_full_ns;
  __u64 valid; /* 0: there is no such group, or the kernel does not count for it */
  __u64 exact; /* not 0: cpu_some_ns is right to the moment, short of a tick of the kernel */
};

struct pressure_args {
  __u32 count;    /* groups to answer for */
  __u32 cpus;     /* possible ones */
  __u32 jiffy_ns; /* the kernel's tick */
};

static_assert(sizeof(struct pressure_request) == 16, "mapped by user space");
static_assert(sizeof(struct group_pressure) == 48, "mapped by user space");
