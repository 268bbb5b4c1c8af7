#include <pthread.h>
#include <string.h>

#include "load.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct demand current;

struct demand demand_get(void) {
  pthread_mutex_lock(&lock);
  struct demand demand = current;
  pthread_mutex_unlock(&lock);
  return demand;
}

void demand_set(const struct demand* demand) {
  pthread_mutex_lock(&lock);
  struct demand before = current;
  current = *demand;
  current.number = before.number;
  if (memcmp(&current, &before, sizeof current)) {
    current.number++;
    pthread_cond_broadcast(&changed);
  }
  pthread_mutex_unlock(&lock);
  memory_demand(demand->memory_mib, demand->dirty_mibs);
}

void demand_sleep(const struct demand* seen, bool idle, int64_t deadline_ns) {
  if (!idle) {
    sleep_until_ns(deadline_ns);
    return;
  }
  pthread_mutex_lock(&lock);
  while (current.number == seen->number) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
}

bool demand_field_set(struct demand* demand, const char* name, double value) {
  struct {
    const char* name;
    double* field;
  } fields[] = {{"cpu", &demand->cpu_percent}, {"memory", &demand->memory_mib},        {"dirty", &demand->dirty_mibs},
                {"disk", &demand->disk_mibs},  {"disk_read", &demand->disk_read_mibs}, {"net", &demand->net_mibs}};
  for (unsigned i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    if (strcmp(fields[i].name, name)) continue;
    *fields[i].field = value > 0 ? value : 0;
    return true;
  }
  return false;
}
