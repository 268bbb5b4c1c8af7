#pragma once

#include "kernel_types.bpf.h"

/* floor(log2(value)), at most 31; 0 for 0. */
static __always_inline u32 bucket_of(u64 value) {
  if (value >> 31) return 31;
  u32 v = value;
  u32 bucket = 0;
  if (v >> 16) {
    v >>= 16;
    bucket += 16;
  }
  if (v >> 8) {
    v >>= 8;
    bucket += 8;
  }
  if (v >> 4) {
    v >>= 4;
    bucket += 4;
  }
  if (v >> 2) {
    v >>= 2;
    bucket += 2;
  }
  return bucket + (v >> 1);
}
