// Memory: a child process keeps `memory_mib` resident and rewrites `dirty_mibs` of it per second. What a page should
// hold is also kept elsewhere and compared at each turn: a migration that loses a write shows as `corrupt`.
//
// The child asks to be the first that the out-of-memory killer takes. Its parent, a supervisor forked before any
// thread exists, counts that and begins again.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"

enum { kPage = 4096, kPagesPerMib = 256 };
static const int64_t kTickNs = 50 * 1000000LL;
static const uint64_t kPagesMax = 65536ULL * kPagesPerMib;

struct shared {
  volatile double memory_mib, dirty_mibs;
  volatile uint64_t resident_pages, dirtied_pages, corrupt_pages, killed;
};
static struct shared* shared;

static void* reserve(size_t bytes) {
  void* at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) _exit(1);
  madvise(at, bytes, MADV_NOHUGEPAGE);
  return at;
}

static void keep(void) {
  int file = open("/proc/self/oom_score_adj", O_WRONLY);
  if (file >= 0) {
    if (write(file, "1000", 4) != 4) perror("oom_score_adj");
    close(file);
  }
  uint64_t(*pages)[kPage / 8] = reserve(kPagesMax * kPage);
  uint64_t* expected = reserve(kPagesMax * sizeof *expected);
  uint64_t resident = 0, cursor = 0, value = (uint64_t)getpid() << 32;
  double owed_pages = 0;
  int64_t last = now_ns();
  for (;;) {
    uint64_t wanted = (uint64_t)(shared->memory_mib * kPagesPerMib);
    if (wanted > kPagesMax) wanted = kPagesMax;
    if (wanted < resident) {
      madvise(pages + wanted, (resident - wanted) * kPage, MADV_DONTNEED);
      resident = wanted;
    }
    // At most 8 MiB a tick, so that growth is a slope and leaves the CPU to others.
    for (int i = 0; i < 8 * kPagesPerMib && resident < wanted; i++, resident++)
      pages[resident][0] = expected[resident] = ++value;
    shared->resident_pages = resident;
    int64_t now = now_ns();
    owed_pages += shared->dirty_mibs * kPagesPerMib * (double)(now - last) / 1e9;
    last = now;
    if (owed_pages > (double)resident) owed_pages = (double)resident;
    for (; owed_pages >= 1; owed_pages -= 1) {
      if (cursor >= resident) cursor = 0;
      if (pages[cursor][0] != expected[cursor]) shared->corrupt_pages++;
      pages[cursor][0] = expected[cursor] = ++value;
      cursor++;
      shared->dirtied_pages++;
    }
    sleep_until_ns(now + (wanted > resident || shared->dirty_mibs > 0 ? kTickNs : 10 * kTickNs));
  }
}

void memory_start(void) {
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) abort();
  if (fork() != 0) return;
  for (;;) {
    pid_t child = fork();
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      keep();
    }
    waitpid(child, NULL, 0);
    shared->killed++;
    shared->resident_pages = 0;
    sleep_until_ns(now_ns() + 1000 * 1000000LL);
  }
}

static uint64_t meminfo_kib(const char* field) {
  FILE* file = fopen("/proc/meminfo", "r");
  if (!file) return 0;
  char line[128];
  uint64_t kib = 0;
  while (fgets(line, sizeof line, file)) {
    if (!strncmp(line, field, strlen(field))) sscanf(line + strlen(field), ": %lu", &kib);
  }
  fclose(file);
  return kib;
}

void memory_print(FILE* out) {
  struct demand demand = demand_get();
  fprintf(out,
          "{\"demanded_mib\":%g,\"resident_mib\":%g,\"dirtied_mib\":%g,\"corrupt_pages\":%lu,\"killed\":%lu,\"guest_"
          "total_mib\":%lu,"
          "\"guest_available_mib\":%lu}",
          demand.memory_mib, (double)shared->resident_pages / kPagesPerMib,
          (double)shared->dirtied_pages / kPagesPerMib, shared->corrupt_pages, shared->killed,
          meminfo_kib("MemTotal") / 1024, meminfo_kib("MemAvailable") / 1024);
}

// Called by demand_set only.
void memory_demand(double memory_mib, double dirty_mibs) {
  shared->memory_mib = memory_mib;
  shared->dirty_mibs = dirty_mibs;
}
