// The line protocol. One request a line; one answer, a line that begins with "ok", "error" or "{".
//
//   ping                               ok
//   load cpu=70 memory=64 …            ok       sets the named fields, ends a schedule
//   schedule COUNT linear|steps once|repeat SPEED DELAY_S    then COUNT lines "t_s cpu memory disk net dirty disk_read"
//   schedule 0 steps once 1 0          ok       ends a schedule
//   reset                              ok       counters and histograms to zero
//   stat                               {…}      one JSON object
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

static struct settings settings;

static void print_stat(FILE* out) {
  struct demand d = demand_get();
  fprintf(out, "{\"name\":\"%s\",\"uptime_s\":%.3f,\"cpus_online\":%d,", settings.name, (double)now_ns() / 1e9,
          cpus_online());
  fprintf(out,
          "\"load\":{\"cpu_percent\":%g,\"memory_mib\":%g,\"dirty_mibs\":%g,\"disk_mibs\":%g,\"disk_read_mibs\":%g,"
          "\"net_mibs\":%g},\"schedule\":",
          d.cpu_percent, d.memory_mib, d.dirty_mibs, d.disk_mibs, d.disk_read_mibs, d.net_mibs);
  schedule_print(out);
  fputs(",\"work\":", out);
  work_print(out);
  fputs(",\"memory\":", out);
  memory_print(out);
  fputs(",\"disk\":", out);
  disk_print(out);
  fputs(",\"net\":", out);
  stream_print(out);
  fputs("}\n", out);
}

static void set_load(char* arguments, FILE* out) {
  struct demand demand = demand_get();
  char* rest = NULL;
  for (char* word = strtok_r(arguments, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
    char* equals = strchr(word, '=');
    char* end = NULL;
    if (equals) *equals++ = 0;
    double value = equals ? strtod(equals, &end) : 0;
    if (!equals || end == equals || *end || !demand_field_set(&demand, word, value)) {
      fprintf(out, "error no such load: %s\n", word);
      return;
    }
  }
  schedule_set(NULL, 0, false, false, 1, 0);
  demand_set(&demand);
  fputs("ok\n", out);
}

static void read_schedule(const char* arguments, FILE* in, FILE* out) {
  int count;
  char shape[16], again[16], line[256];
  double speed, delay_s;
  if (sscanf(arguments, "%d %15s %15s %lf %lf", &count, shape, again, &speed, &delay_s) != 5 || count < 0 ||
      count > kScheduleRows || speed <= 0) {
    fputs("error schedule COUNT linear|steps once|repeat SPEED DELAY_S\n", out);
    return;
  }
  struct schedule_row* rows = calloc((size_t)count + 1, sizeof *rows);
  for (int i = 0; rows && i < count; i++) {
    struct demand* d = &rows[i].demand;
    if (!fgets(line, sizeof line, in) ||
        sscanf(line, "%lf %lf %lf %lf %lf %lf %lf", &rows[i].t_s, &d->cpu_percent, &d->memory_mib, &d->disk_mibs,
               &d->net_mibs, &d->dirty_mibs, &d->disk_read_mibs) != 7 ||
        (i > 0 && rows[i].t_s <= rows[i - 1].t_s)) {
      fprintf(out, "error in row %d of the schedule\n", i + 1);
      free(rows);
      return;
    }
  }
  schedule_set(rows, count, !strcmp(shape, "linear"), !strcmp(again, "repeat"), speed, delay_s);
  free(rows);
  fputs("ok\n", out);
}

static void* converse(void* argument) {
  int link = (int)(intptr_t)argument;
  FILE *in = fdopen(link, "r"), *out = fdopen(dup(link), "w");
  char line[512];
  while (in && out && fgets(line, sizeof line, in)) {
    line[strcspn(line, "\r\n")] = 0;
    if (!strcmp(line, "ping")) {
      fputs("ok\n", out);
    } else if (!strncmp(line, "load ", 5)) {
      set_load(line + 5, out);
    } else if (!strncmp(line, "schedule ", 9)) {
      read_schedule(line + 9, in, out);
    } else if (!strcmp(line, "reset")) {
      work_reset();
      disk_reset();
      stream_reset();
      fputs("ok\n", out);
    } else if (!strcmp(line, "stat")) {
      print_stat(out);
    } else {
      fprintf(out, "error unknown request: %s\n", line);
    }
    if (fflush(out)) break;
  }
  if (in) fclose(in);
  if (out) fclose(out);
  return NULL;
}

void serve(const struct settings* with, int port) {
  settings = *with;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (bind(listener, (struct sockaddr*)&any, sizeof any) || listen(listener, 16)) perror("listen");
  for (;;) {
    int link = accept(listener, NULL, NULL);
    if (link < 0) continue;
    setsockopt(link, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(link, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    thread_start(converse, (void*)(intptr_t)link, -5);
  }
}
