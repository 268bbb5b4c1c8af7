#pragma once

/* Shared by reclaim.bpf.c and its loader. */

#define RECLAIM_BUCKETS 32
