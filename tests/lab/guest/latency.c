#include "load.h"

// Bucket b < 8 holds b µs; above, eight buckets share each octave.
static int bucket_of(uint64_t us) {
  if (us < 8) return (int)us;
  int octave = 63 - __builtin_clzll(us);
  int bucket = (octave - 2) * 8 + (int)((us >> (octave - 3)) & 7);
  return bucket < kLatencyBuckets ? bucket : kLatencyBuckets - 1;
}

static uint64_t upper_us(int bucket) {
  if (bucket < 8) return (uint64_t)bucket + 1;
  int octave = bucket / 8 + 2;
  return (uint64_t)(8 + bucket % 8 + 1) << (octave - 3);
}

void latency_add(struct latency* latency, int64_t latency_ns) {
  uint64_t us = latency_ns > 0 ? (uint64_t)latency_ns / 1000 : 0;
  latency->count++;
  latency->sum_us += us;
  if (us > latency->max_us) latency->max_us = us;
  latency->bucket[bucket_of(us)]++;
}

static uint64_t percentile_us(const struct latency* latency, double share) {
  uint64_t wanted = (uint64_t)(share * (double)latency->count), seen = 0;
  for (int b = 0; b < kLatencyBuckets; b++) {
    seen += latency->bucket[b];
    if (seen > wanted) return upper_us(b) < latency->max_us ? upper_us(b) : latency->max_us;
  }
  return latency->max_us;
}

void latency_print(const struct latency* latency, FILE* out) {
  fprintf(out, "{\"count\":%lu,\"mean\":%lu,\"p50\":%lu,\"p90\":%lu,\"p99\":%lu,\"max\":%lu,\"histogram\":[",
          latency->count, latency->count ? latency->sum_us / latency->count : 0, percentile_us(latency, 0.5),
          percentile_us(latency, 0.9), percentile_us(latency, 0.99), latency->max_us);
  const char* comma = "";
  for (int b = 0; b < kLatencyBuckets; b++) {
    if (!latency->bucket[b]) continue;
    fprintf(out, "%s[%lu,%lu]", comma, upper_us(b), latency->bucket[b]);
    comma = ",";
  }
  fputs("]}", out);
}
