// The load agent: the only program of a lab guest. It is process 1, and the load that the guest puts on its host.
//
// Every load is a demand: so much per second, whatever the guest is given. What is demanded, done and lost is counted,
// so that a host's congestion shows as work lost and work late. Each part below owns its threads and its counters.
// Times are nanoseconds of CLOCK_MONOTONIC.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

// What the guest is asked to do. Set whole by `demand_set`, read whole by `demand_get`, from any thread.
struct demand {
  double cpu_percent;     // 100 = what one calibrated CPU does; more needs more vCPUs
  double memory_mib;      // kept resident
  double dirty_mibs;      // of it, rewritten per second
  double disk_mibs;       // written per second, direct
  double disk_read_mibs;  // read per second, direct
  double net_mibs;        // sent per second to the sink
  uint64_t number;        // counts the changes; `demand_set` writes it
};
struct demand demand_get(void);
void demand_set(const struct demand* demand);
// Sleeps until `deadline_ns`, or, if `idle`, until the demand is no longer the one `seen`: an idle guest must cost its
// host next to nothing.
void demand_sleep(const struct demand* seen, bool idle, int64_t deadline_ns);
// Sets one field by its name ("cpu", "memory", "dirty", "disk", "disk_read", "net"). False if there is no such field.
bool demand_field_set(struct demand* demand, const char* name, double value);

// clock.c
int64_t now_ns(void);
void sleep_until_ns(int64_t deadline_ns);
void thread_start(void* (*body)(void*), void* argument, int nice_level);

// latency.c: a histogram of eight buckets to the octave, in microseconds.
enum { kLatencyBuckets = 256 };
struct latency {
  uint64_t count, sum_us, max_us;
  uint64_t bucket[kLatencyBuckets];
};
void latency_add(struct latency* latency, int64_t latency_ns);
void latency_print(const struct latency* latency, FILE* out);

// boot.c: mounts, modules, address; what the kernel command line says.
struct settings {
  char name[64];
  char address[32];
  char sink[32];
  int sink_port;
  double iterations_per_s;  // calibrated speed of the work loop on one CPU
  bool calibrate;           // measure that speed instead of serving
};
void boot(struct settings* settings);
int cpus_online(void);
void* cpus_bring_online(void* unused);

// work.c: CPU work in items of `kItemNs` at the calibrated speed.
void work_start(double iterations_per_s);
void work_reset(void);
void work_print(FILE* out);
void work_calibrate(void);

// memory.c: a child process, so that the kernel's out-of-memory killer takes it and not the agent.
void memory_start(void);
void memory_demand(double memory_mib, double dirty_mibs);
void memory_print(FILE* out);

// disk.c, stream.c
void disk_start(void);
void disk_reset(void);
void disk_print(FILE* out);
void stream_start(const char* sink, int port);
void stream_reset(void);
void stream_print(FILE* out);

// schedule.c: a demand that changes with time. Rows are copied; `count` 0 stops the schedule.
enum { kScheduleRows = 100000 };
struct schedule_row {
  double t_s;
  struct demand demand;
};
void schedule_start(void);
void schedule_set(const struct schedule_row* rows, int count, bool linear, bool repeat, double speed, double delay_s);
void schedule_print(FILE* out);

// server.c: the line protocol, on every address.
void serve(const struct settings* settings, int port);
