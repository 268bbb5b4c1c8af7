#pragma once

/* Shared by reclaim.bpf.c and its loader. */

#define RECLAIM_BUCKETS 32
#define RECLAIM_THREADS 1024 /* each holds a CPU or waits for the disk meanwhile */
