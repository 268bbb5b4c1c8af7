#pragma once

#include "kernel_types.bpf.h"

/* floor(log2(value)), at most 31; 0 for 0. Without branches but one: half of them would be guessed wrong. The barriers keep
 * clang from seeing the comparisons behind the subtractions, and turning them into branches again. The last one keeps it
 * from leaving out a mask that the verifier needs: before 6.2 it does not know that a right shift makes a number smaller. */
static __always_inline u32 bucket_of(u64 value) {
  if (value >> 31) return 31;
  u64 bucket = 0;
#pragma clang loop unroll(full)
  for (u32 bit = 5; bit-- > 0;) {
    u64 is_above = ((1ull << (1u << bit)) - 1) - value; /* its top bit, as it wraps */
    barrier_var(is_above);
    is_above = is_above >> 63 << bit;
    value >>= is_above;
    bucket += is_above;
  }
  barrier_var(bucket);
  return bucket & 31;
}
