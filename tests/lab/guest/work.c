// CPU work: demand falls due in items, which wait in one queue for the workers, one per online CPU.
//
// An item is a fixed number of loop iterations, not a stretch of time: a vCPU that is kept waiting does fewer of them,
// and a slower host needs longer for each. Items wait in order; one that nobody began within `kPatienceNs` is lost, as
// a request would be whose client has gone away, so that a guest does not chase its past for minutes.
//
// Any worker that looks at the queue first adds what has fallen due. When the queue is empty one of them, the waker,
// sleeps until the next tick: a thread of its own for that would cost an emulated CPU two more switches a tick.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>

#include "load.h"

enum { kQueueItems = 4096, kWorkersMax = 64 };
static const int64_t kTickNs = 20 * 1000000LL;
static const int64_t kItemNs = 2 * 1000000LL;
static const int64_t kPatienceNs = 1000 * 1000000LL;
static const int64_t kLookForCpusNs = 500 * 1000000LL;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;  // guards all below
static pthread_cond_t work_due = PTHREAD_COND_INITIALIZER;
static int64_t due_ns[kQueueItems];  // ring, oldest at `head`
static uint64_t head, tail;
static uint64_t demanded, done, lost;
static struct latency latency;
static struct demand in_force;  // since `accounted_ns`
static int64_t accounted_ns;
static double owed_items;
static bool waker_asleep;
static int workers, workers_started;
static int64_t cpus_seen_ns;
static uint64_t iterations_per_item;

// Long straight runs of register arithmetic: under emulation a short loop's speed hangs on how a register passes
// through memory at the loop's end, which varies by half from run to run.
static void spin(uint64_t iterations) {
  uint64_t x = 88172645463325252ULL;
#define STEP                               \
  x ^= x << 13, x ^= x >> 7, x ^= x << 17; \
  __asm__ volatile("" : "+r"(x))
#define STEPS \
  STEP;       \
  STEP;       \
  STEP;       \
  STEP;       \
  STEP;       \
  STEP;       \
  STEP;       \
  STEP
  for (uint64_t i = 0; i < iterations; i++) {
    STEPS;
    STEPS;
    __asm__ volatile("" : "+r"(x));  // or the compiler drops the work
  }
#undef STEPS
#undef STEP
}

static void lose_head(void) {
  lost++;
  latency_add(&latency, kPatienceNs);  // at least this late
  head++;
}

static void* work(void* argument);

// Starts the workers of CPUs that came online; the surplus ones of CPUs that left stop taking items.
static void match_workers(int64_t now) {
  if (now - cpus_seen_ns < kLookForCpusNs && workers > 0) return;
  cpus_seen_ns = now;
  workers = cpus_online() < kWorkersMax ? cpus_online() : kWorkersMax;
  while (workers_started < workers) thread_start(work, (void*)(intptr_t)workers_started++, 5);
}

// Adds what fell due since the last time. After a stall every item still gets the time at which it should have begun.
static void account(int64_t now) {
  double items_per_ns = in_force.cpu_percent / 100 / (double)kItemNs, owed_before = owed_items;
  owed_items += items_per_ns * (double)(now - accounted_ns);
  int fresh = 0;
  for (; owed_items >= 1; owed_items -= 1) {
    demanded++;
    if (tail - head == kQueueItems) lose_head();
    due_ns[tail++ % kQueueItems] = accounted_ns + (int64_t)((++fresh - owed_before) / items_per_ns);
  }
  while (head < tail && now - due_ns[head % kQueueItems] > kPatienceNs) lose_head();
  accounted_ns = now;
  in_force = demand_get();
  match_workers(now);
  if (fresh > 1) pthread_cond_broadcast(&work_due);
}

static void sleep_as_waker(void) {
  waker_asleep = true;
  struct demand seen = in_force;
  int64_t deadline = accounted_ns + kTickNs;
  pthread_mutex_unlock(&lock);
  demand_sleep(&seen, seen.cpu_percent == 0, deadline);
  pthread_mutex_lock(&lock);
  waker_asleep = false;
}

static void* work(void* argument) {
  int number = (int)(intptr_t)argument;
  pthread_mutex_lock(&lock);
  for (;;) {
    int64_t now = now_ns();
    bool mine = number < workers;
    if (mine && (now - accounted_ns >= kTickNs || in_force.cpu_percent == 0)) account(now);
    if (!mine || (head == tail && waker_asleep)) {
      pthread_cond_wait(&work_due, &lock);
      continue;
    }
    if (head == tail) {
      sleep_as_waker();
      continue;
    }
    int64_t due = due_ns[head++ % kQueueItems];
    if (!waker_asleep) pthread_cond_signal(&work_due);
    pthread_mutex_unlock(&lock);
    spin(iterations_per_item);
    int64_t late_ns = now_ns() - due;
    pthread_mutex_lock(&lock);
    done++;
    latency_add(&latency, late_ns);
  }
  return NULL;
}

void work_start(double iterations_per_s) {
  iterations_per_item = (uint64_t)(iterations_per_s * (double)kItemNs / 1e9);
  pthread_mutex_lock(&lock);
  accounted_ns = now_ns();
  match_workers(accounted_ns);
  pthread_mutex_unlock(&lock);
}

void work_reset(void) {
  pthread_mutex_lock(&lock);
  demanded = tail - head;
  done = lost = 0;
  latency = (struct latency){0};
  pthread_mutex_unlock(&lock);
}

void work_print(FILE* out) {
  pthread_mutex_lock(&lock);
  struct latency seen = latency;
  uint64_t seen_demanded = demanded, seen_done = done, seen_lost = lost, queued = tail - head;
  int running = workers;
  pthread_mutex_unlock(&lock);
  fprintf(out, "{\"item_cpu_us\":%ld,\"workers\":%d,\"demanded\":%lu,\"done\":%lu,\"lost\":%lu,\"queued\":%lu,",
          kItemNs / 1000, running, seen_demanded, seen_done, seen_lost, queued);
  fputs("\"latency_us\":", out);
  latency_print(&seen, out);
  fputs("}", out);
}

// Finds the loop's speed by the guest's own clock, then works at half of it in rounds between two marks on the console:
// who reads the marks knows the CPU time that the whole guest took between them, its own overhead included.
void work_calibrate(void) {
  uint64_t iterations = 100000;
  int64_t took_ns = 0;
  while (took_ns < 100 * 1000000LL) {
    iterations *= 2;
    int64_t begin = now_ns();
    spin(iterations);
    took_ns = now_ns() - begin;
  }
  work_start((double)iterations * 1e9 / (double)took_ns);
  demand_set(&(struct demand){.cpu_percent = 50});
  for (int round = 0; round < 8; round++) {
    printf("calibrate begin\n");
    work_reset();
    sleep_until_ns(now_ns() + 1000 * 1000000LL);
    pthread_mutex_lock(&lock);
    uint64_t finished = done;
    pthread_mutex_unlock(&lock);
    printf("calibrate end %lu\n", finished * iterations_per_item);
  }
}
