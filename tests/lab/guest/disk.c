// Disk: one thread, direct reads and writes of `kBlock` bytes, each wrapping round the whole device.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "load.h"

enum { kBlock = 64 * 1024 };
static const int64_t kTickNs = 20 * 1000000LL;

struct direction {
  bool write;
  uint64_t demanded, done, errors;  // bytes, bytes, operations
  uint64_t cursor;
  double owed_bytes;
  struct latency latency;
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct direction writes = {.write = true}, reads = {.write = false};

static void transfer(struct direction* direction, int device, uint64_t device_bytes, uint8_t* block) {
  int64_t begin = now_ns();
  ssize_t moved = direction->write ? pwrite(device, block, kBlock, (off_t)direction->cursor)
                                   : pread(device, block, kBlock, (off_t)direction->cursor);
  int64_t took_ns = now_ns() - begin;
  direction->cursor = direction->cursor + 2 * kBlock <= device_bytes ? direction->cursor + kBlock : 0;
  pthread_mutex_lock(&lock);
  if (moved == kBlock) {
    direction->done += kBlock;
    latency_add(&direction->latency, took_ns);
  } else {
    direction->errors++;
  }
  pthread_mutex_unlock(&lock);
}

static void owe(struct direction* direction, double mibs, int64_t elapsed_ns) {
  double bytes = mibs * 1048576 * (double)elapsed_ns / 1e9;
  direction->owed_bytes += bytes;
  pthread_mutex_lock(&lock);
  direction->demanded += (uint64_t)bytes;
  pthread_mutex_unlock(&lock);
  // What is more than a second late is not made up for.
  if (direction->owed_bytes > mibs * 1048576 + kBlock) direction->owed_bytes = mibs * 1048576 + kBlock;
}

static void* load(void* unused) {
  (void)unused;
  int device = open("/dev/vda", O_RDWR | O_DIRECT);
  uint64_t device_bytes = 0;
  uint8_t* block = aligned_alloc(4096, kBlock);
  if (device < 0 || !block || ioctl(device, BLKGETSIZE64, &device_bytes) < 0) return NULL;
  for (int i = 0; i < kBlock; i++) block[i] = (uint8_t)(i * 131);
  int64_t last = now_ns();
  for (;;) {
    struct demand demand = demand_get();
    demand_sleep(&demand, demand.disk_mibs + demand.disk_read_mibs == 0, last + kTickNs);
    int64_t now = now_ns();
    owe(&writes, demand.disk_mibs, now - last);
    owe(&reads, demand.disk_read_mibs, now - last);
    last = now;
    while (writes.owed_bytes >= kBlock || reads.owed_bytes >= kBlock) {
      if (writes.owed_bytes >= kBlock) transfer(&writes, device, device_bytes, block), writes.owed_bytes -= kBlock;
      if (reads.owed_bytes >= kBlock) transfer(&reads, device, device_bytes, block), reads.owed_bytes -= kBlock;
      if (now_ns() - now > 500 * 1000000LL) break;
    }
  }
}

void disk_start(void) {
  thread_start(load, NULL, 0);
}

static void reset(struct direction* direction) {
  direction->demanded = direction->done = direction->errors = 0;
  direction->latency = (struct latency){0};
}

void disk_reset(void) {
  pthread_mutex_lock(&lock);
  reset(&writes);
  reset(&reads);
  pthread_mutex_unlock(&lock);
}

static void print(const struct direction* direction, FILE* out) {
  fprintf(out, "{\"demanded_mib\":%.3f,\"done_mib\":%.3f,\"errors\":%lu,\"latency_us\":",
          (double)direction->demanded / 1048576, (double)direction->done / 1048576, direction->errors);
  latency_print(&direction->latency, out);
  fputs("}", out);
}

void disk_print(FILE* out) {
  pthread_mutex_lock(&lock);
  fputs("{\"write\":", out);
  print(&writes, out);
  fputs(",\"read\":", out);
  print(&reads, out);
  fputs("}", out);
  pthread_mutex_unlock(&lock);
}
