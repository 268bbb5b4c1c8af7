#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

void sleep_until_ns(int64_t deadline_ns) {
  struct timespec deadline = {deadline_ns / 1000000000LL, deadline_ns % 1000000000LL};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) == EINTR) {
  }
}

struct start {
  void* (*body)(void*);
  void* argument;
  int nice_level;
};

static void* run(void* argument) {
  struct start start = *(struct start*)argument;
  free(argument);
  setpriority(PRIO_PROCESS, gettid(), start.nice_level);  // Linux: of the thread alone
  return start.body(start.argument);
}

void thread_start(void* (*body)(void*), void* argument, int nice_level) {
  struct start* start = malloc(sizeof *start);
  *start = (struct start){body, argument, nice_level};
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 128 * 1024);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  if (pthread_create(&thread, &attributes, run, start) != 0) {
    perror("thread");
    free(start);
  }
  pthread_attr_destroy(&attributes);
}
