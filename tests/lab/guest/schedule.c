// A schedule runs inside the guest: the host's congestion delays a guest's work but not what is asked of it.
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static const int64_t kTickNs = 100 * 1000000LL;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct schedule_row* rows;
static pthread_cond_t given = PTHREAD_COND_INITIALIZER;
static int count;
static bool linear, repeat;
static double speed = 1;
static int64_t begun_ns;

static double between(double a, double b, double share) {
  return a + (b - a) * share;
}

// The demand at `t_s` of the schedule; before its first row, the first row's.
static struct demand at(double t_s) {
  int next = 0;
  while (next < count && rows[next].t_s <= t_s) next++;
  if (next == 0) return rows[0].demand;
  struct demand demand = rows[next - 1].demand;
  if (!linear || next == count) return demand;
  const struct demand* b = &rows[next].demand;
  double share = (t_s - rows[next - 1].t_s) / (rows[next].t_s - rows[next - 1].t_s);
  return (struct demand){between(demand.cpu_percent, b->cpu_percent, share),
                         between(demand.memory_mib, b->memory_mib, share),
                         between(demand.dirty_mibs, b->dirty_mibs, share),
                         between(demand.disk_mibs, b->disk_mibs, share),
                         between(demand.disk_read_mibs, b->disk_read_mibs, share),
                         between(demand.net_mibs, b->net_mibs, share),
                         0};
}

static double position_s(void) {
  return (double)(now_ns() - begun_ns) / 1e9 * speed;
}

static void* follow(void* unused) {
  (void)unused;
  for (;;) {
    pthread_mutex_lock(&lock);
    while (count == 0) pthread_cond_wait(&given, &lock);
    double t_s = position_s();
    if (t_s >= 0) {
      double end_s = rows[count - 1].t_s;
      if (repeat && end_s > 0) t_s = fmod(t_s, end_s);
      struct demand demand = at(t_s);
      demand_set(&demand);
      if (!repeat && t_s >= end_s) count = 0;  // the last row stays in force, and `load` may change it
    }
    pthread_mutex_unlock(&lock);
    sleep_until_ns(now_ns() + kTickNs);
  }
  return NULL;
}

void schedule_start(void) {
  thread_start(follow, NULL, -5);
}

void schedule_set(const struct schedule_row* from, int from_count, bool is_linear, bool is_repeat, double at_speed,
                  double delay_s) {
  struct schedule_row* copy = NULL;
  if (from_count > 0) {
    copy = malloc((size_t)from_count * sizeof *copy);
    if (!copy) return;
    memcpy(copy, from, (size_t)from_count * sizeof *copy);
  }
  pthread_mutex_lock(&lock);
  free(rows);
  rows = copy;
  count = from_count;
  linear = is_linear;
  repeat = is_repeat;
  speed = at_speed;
  begun_ns = now_ns() + (int64_t)(delay_s * 1e9);
  pthread_cond_signal(&given);
  pthread_mutex_unlock(&lock);
}

void schedule_print(FILE* out) {
  pthread_mutex_lock(&lock);
  if (count > 0) {
    fprintf(out, "{\"rows\":%d,\"t_s\":%.3f,\"end_s\":%.3f,\"linear\":%s,\"repeat\":%s,\"speed\":%g}", count,
            position_s(), rows[count - 1].t_s, linear ? "true" : "false", repeat ? "true" : "false", speed);
  } else {
    fputs("null", out);
  }
  pthread_mutex_unlock(&lock);
}
