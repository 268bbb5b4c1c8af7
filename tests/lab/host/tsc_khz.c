// Prints the rate of this machine's time stamp counter in kHz: guests are told it, for a guest that measures it while
// its host is congested may get it wrong and then lives in a time of its own.
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(void) {
  int64_t begin_ns = now_ns(), end_ns;
  uint64_t begin = __rdtsc(), end;
  do {
    end_ns = now_ns();
    end = __rdtsc();
  } while (end_ns - begin_ns < 100 * 1000000LL);
  printf("%lu\n", (end - begin) * 1000000 / (uint64_t)(end_ns - begin_ns));
}
