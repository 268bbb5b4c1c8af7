#pragma once

/* Shared by block_latency.bpf.c and its loader. */

#include <linux/types.h>

#ifndef __cplusplus
#define static_assert _Static_assert
#endif

/* Control groups of VMs: 512 VMs × 8 (the VM's own, libvirt's, its emulator and its vCPU and I/O-thread groups). */
#define BLOCK_LATENCY_GROUPS 4096
/* VM × host disk: 512 VMs × 4. */
#define BLOCK_LATENCY_CELLS 2048
#define BLOCK_LATENCY_BUCKETS 32

struct block_latency_key {
  __u32 vm;     /* number that user space gave the VM */
  __u32 device; /* major << 20 | minor, as the kernel's dev_t */
};

struct block_latency_cell {
  __u64 latencies[BLOCK_LATENCY_BUCKETS]; /* ns from the start of the request to its end */
  __u64 read_bytes;
  __u64 write_bytes;
  __u64 ops_count;
};

static_assert(sizeof(struct block_latency_key) == 8, "a map's key");
static_assert(sizeof(struct block_latency_cell) == 280, "a map's value");
