#pragma once

/* Shared by block_latency.bpf.c and its loader. */

#include <linux/types.h>

#ifndef __cplusplus
#define static_assert _Static_assert
#endif

/* The loader asks for 8 VMs × 16 control groups (the VM's own, libvirt's, its emulator and its vCPU and I/O-thread groups) per CPU
 * within these bounds. */
#define BLOCK_LATENCY_GROUPS_MIN 4096
#define BLOCK_LATENCY_GROUPS_MAX 16384
#define BLOCK_LATENCY_GROUPS_PER_CPU 128
/* And for 8 VMs × 8 host disks. What has no room is counted, and that is said. */
#define BLOCK_LATENCY_CELLS_MIN 2048
#define BLOCK_LATENCY_CELLS_MAX 16384
#define BLOCK_LATENCY_CELLS_PER_CPU 64
#define BLOCK_LATENCY_BUCKETS 32
#define BLOCK_LATENCY_DISK_BYTES 32 /* DISK_NAME_LEN */

struct block_latency_key {
  __u32 vm;     /* number that user space gave the VM */
  __u32 device; /* major << 20 | minor, as the kernel's dev_t */
};

struct block_latency_cell {
  __u64 latencies[BLOCK_LATENCY_BUCKETS]; /* ns from the start of the request to its end */
  __u64 read_bytes;
  __u64 write_bytes;
  __u64 ops_count;
  char disk[BLOCK_LATENCY_DISK_BYTES]; /* its name: NVMe's paths to a disk of several are not in /sys/dev/block */
};

static_assert(sizeof(struct block_latency_key) == 8, "a map's key");
static_assert(sizeof(struct block_latency_cell) == 312, "a map's value");
