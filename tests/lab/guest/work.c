// CPU work: demand falls due in items, one dispatcher hands them to one worker per online CPU.
//
// An item is a fixed number of loop iterations, not a stretch of time: a vCPU that is kept waiting does fewer of them,
// and a slower host needs longer for each. Items wait in order; one that nobody began within `kPatienceNs` is lost, as
// a request would be whose client has gone away, so that a guest does not chase its past for minutes.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>

#include "load.h"

enum { kQueueItems = 4096, kWorkersMax = 64 };
static const int64_t kTickNs = 10 * 1000000LL;
static const int64_t kItemNs = 2 * 1000000LL;
static const int64_t kPatienceNs = 1000 * 1000000LL;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work_due = PTHREAD_COND_INITIALIZER;
static int64_t due_ns[kQueueItems];  // ring, oldest at `head`
static uint64_t head, tail;
static uint64_t demanded, done, lost;
static struct latency latency;
static uint64_t iterations_per_item;
static int workers;

static uint64_t spin(uint64_t iterations) {
  uint64_t x = 88172645463325252ULL;
  for (uint64_t i = 0; i < iterations; i++) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    __asm__ volatile("" : "+r"(x));
  }
  return x;
}

static void lose_head(void) {
  lost++;
  latency_add(&latency, kPatienceNs);  // at least this late
  head++;
}

static void *work(void *argument) {
  int number = (int)(intptr_t)argument;
  pthread_mutex_lock(&lock);
  for (;;) {
    while (head == tail || number >= workers) pthread_cond_wait(&work_due, &lock);
    int64_t due = due_ns[head % kQueueItems];
    if (now_ns() - due > kPatienceNs) {
      lose_head();
      continue;
    }
    head++;
    pthread_mutex_unlock(&lock);
    spin(iterations_per_item);
    int64_t late_ns = now_ns() - due;
    pthread_mutex_lock(&lock);
    done++;
    latency_add(&latency, late_ns);
  }
  return NULL;
}

// Starts the workers of CPUs that came online; the surplus ones of CPUs that left sleep.
static void match_workers(int *started) {
  int online = cpus_online();
  if (online > kWorkersMax) online = kWorkersMax;
  pthread_mutex_lock(&lock);
  workers = online;
  pthread_mutex_unlock(&lock);
  while (*started < online) thread_start(work, (void *)(intptr_t)(*started)++, 5);
}

static void *dispatch(void *unused) {
  (void)unused;
  int started = 0;
  double owed_items = 0;
  int64_t last = now_ns(), next_look = 0;
  for (;;) {
    double items_per_ns = demand_get().cpu_percent / 100 / (double)kItemNs;
    int64_t now = now_ns();
    if (now >= next_look) {
      match_workers(&started);
      next_look = now + 500 * 1000000LL;
    }
    // After a stall every item still gets the time at which it should have been begun.
    double begun_at = owed_items;
    owed_items += items_per_ns * (double)(now - last);
    pthread_mutex_lock(&lock);
    int fresh = 0;
    for (double item = 1; owed_items >= 1; owed_items -= 1, item += 1) {
      demanded++;
      if (tail - head == kQueueItems) lose_head();
      due_ns[tail++ % kQueueItems] = last + (int64_t)((item - begun_at) / items_per_ns);
      fresh++;
    }
    while (head < tail && now - due_ns[head % kQueueItems] > kPatienceNs) lose_head();
    if (fresh > 1) pthread_cond_broadcast(&work_due);
    if (fresh == 1) pthread_cond_signal(&work_due);
    pthread_mutex_unlock(&lock);
    last = now;
    sleep_until_ns(now + (items_per_ns > 0 ? kTickNs : 5 * kTickNs));
  }
  return NULL;
}

void work_start(double iterations_per_s) {
  iterations_per_item = (uint64_t)(iterations_per_s * (double)kItemNs / 1e9);
  thread_start(dispatch, NULL, -5);
}

void work_reset(void) {
  pthread_mutex_lock(&lock);
  demanded = tail - head;
  done = lost = 0;
  latency = (struct latency){0};
  pthread_mutex_unlock(&lock);
}

void work_print(FILE *out) {
  pthread_mutex_lock(&lock);
  struct latency seen = latency;
  uint64_t seen_demanded = demanded, seen_done = done, seen_lost = lost, queued = tail - head;
  int running = workers;
  pthread_mutex_unlock(&lock);
  fprintf(out, "{\"item_cpu_us\":%ld,\"workers\":%d,\"demanded\":%lu,\"done\":%lu,\"lost\":%lu,\"queued\":%lu,", kItemNs / 1000,
          running, seen_demanded, seen_done, seen_lost, queued);
  fputs("\"latency_us\":", out);
  latency_print(&seen, out);
  fputs("}", out);
}

// Runs the loop in rounds between two marks on the console; who reads the marks knows the CPU time between them.
void work_calibrate(void) {
  uint64_t iterations = 1000000;
  for (;;) {
    int64_t begin = now_ns();
    spin(iterations);
    if (now_ns() - begin > 200 * 1000000LL) break;
    iterations *= 2;
  }
  for (int round = 0; round < 7; round++) {
    printf("calibrate begin %lu\n", iterations);
    spin(iterations);
    printf("calibrate end %lu\n", iterations);
  }
}
