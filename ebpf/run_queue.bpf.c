/* How long do a VM's threads wait for a CPU, how long do they keep it, and who took it from them?
 *
 * One hook, at every change of the thread on a CPU. The kernel itself adds the wait for the CPU to sched_info.run_delay, right
 * after the hook has seen the thread come, and the stay on it to se.sum_exec_runtime before the hook sees it leave: their
 * steps are that wait and that slice. No clock, and few places in memory, close together: on a host with hundreds of threads
 * most of them are not in the cache when they are needed, and reading them is nearly all that the hook costs. */
#include "histogram.bpf.h"
#include "vm_processes.bpf.h"

#include "run_queue.h"

const volatile __u32 slots = RUN_QUEUE_SLOTS_MIN;

/* By CPU, resized by the loader: the thread that is on it now. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, struct run_queue_arrival);
} arrivals SEC(".maps");

/* slots × RUN_QUEUE_DEPARTURES, resized by the loader. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, RUN_QUEUE_DEPARTURES);
  __type(key, u32);
  __type(value, u64);
} departures SEC(".maps");

/* cpus × slots, resized by the loader. sched_switch runs with interrupts off, so a plain increment of a CPU's own stripe
 * loses nothing. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, RUN_QUEUE_SLOTS_MIN);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, u32);
  __type(value, struct run_queue_stripe);
} stripes SEC(".maps");

/* slots × (slots + 1), resized by the loader; row: who was preempted, column: who took the CPU, the last one being any
 * thread that belongs to no VM. Shared by all CPUs, as a stripe each would be megabytes: added to atomically. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, RUN_QUEUE_SLOTS_MIN *(RUN_QUEUE_SLOTS_MIN + 1));
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, u32);
  __type(value, u64);
} preemptions SEC(".maps");

static __always_inline bool still_runnable(struct task_struct *task, bool preempt) {
  if (preempt) return true;
  if (bpf_core_field_exists(task->__state)) return task->__state == 0;
  struct task_struct___before_5_14 *old = (void *)task;
  return BPF_CORE_READ(old, state) == 0;
}

/* A thread whose group has used up its quota, or stands below one that has, also leaves runnable, but nobody took its CPU. */
static __always_inline bool throttled(struct task_struct *task) {
  struct cfs_rq *queue = task->se.cfs_rq;
  return bpf_core_field_exists(queue->throttle_count) && queue && queue->throttle_count > 0;
}

/* Whether that quota is the VM's own: libvirt sets it on the thread's group or on the one above it, the VM's. Further up
 * are quotas of slices and of the host as a whole. Kernels from 6.18 let a group's threads run on until they return to user
 * mode and count only a part of the throttled time in cpu.stat; the waits that follow are therefore summed up here. */
static __always_inline bool throttled_by_own_quota(struct task_struct *task) {
  struct cfs_rq *queue = task->se.cfs_rq;
  if (!bpf_core_field_exists(queue->throttled) || !queue) return false;
  if (BPF_CORE_READ_BITFIELD_PROBED(queue, throttled)) return true;
  struct sched_entity *above = task->se.parent;
  if (!above) return false;
  queue = BPF_CORE_READ(above, cfs_rq);
  return queue && BPF_CORE_READ_BITFIELD_PROBED(queue, throttled);
}

#define UNIT_BITS (64 - RUN_QUEUE_DEPARTURE_TID_BITS - 1)
#define UNIT_MASK ((1ull << UNIT_BITS) - 1)
#define BY_OWN_QUOTA (1ull << RUN_QUEUE_DEPARTURE_TID_BITS)

static __always_inline u64 units_of(u64 ns) {
  return ns >> RUN_QUEUE_DEPARTURE_UNIT_SHIFT;
}

static __always_inline u64 units_in(u64 departure) {
  return departure >> (RUN_QUEUE_DEPARTURE_TID_BITS + 1);
}

/* The thread of a VM leaves the CPU. winner: the next thread's VM, or null. */
static __always_inline void leave(struct run_queue_arrival *arrival, u32 cpu, bool preempt, struct task_struct *prev,
                                  struct task_struct *next, u64 *winner) {
  u32 slot = arrival->slot;
  u32 index = cpu * slots + slot;
  struct run_queue_stripe *stripe = bpf_map_lookup_elem(&stripes, &index);
  if (!stripe) return;
  u32 tid = arrival->tid;
  u32 at = slot * RUN_QUEUE_DEPARTURES + tid % RUN_QUEUE_DEPARTURES;
  u64 *departure = bpf_map_lookup_elem(&departures, &at);
  if (!departure) return;

  u64 run_delay_ns = prev->sched_info.run_delay;
  u64 wait_ns = run_delay_ns - arrival->run_delay_ns;
  u64 last = *departure;
  if ((last & (BY_OWN_QUOTA - 1)) == tid) {
    /* and what it had waited elsewhere, before it was moved here; of an older thread with its id that would be below zero */
    u64 units = units_of(arrival->run_delay_ns) - units_in(last) & UNIT_MASK;
    if (units <= UNIT_MASK / 2) wait_ns += units << RUN_QUEUE_DEPARTURE_UNIT_SHIFT;
    if (last & BY_OWN_QUOTA) stripe->own_quota_wait_ns += wait_ns;
  }
  u64 slice_ns = prev->se.sum_exec_runtime - arrival->run_time_ns;
  stripe->buckets[bucket_of(wait_ns)].waits++;
  stripe->buckets[bucket_of(slice_ns)].slices++;

  bool is_runnable = still_runnable(prev, preempt);
  bool is_throttled = is_runnable && throttled(prev);
  u64 quota = is_throttled && throttled_by_own_quota(prev) ? BY_OWN_QUOTA : 0;
  *departure = units_of(run_delay_ns) << (RUN_QUEUE_DEPARTURE_TID_BITS + 1) | quota | tid;
  if (!is_runnable || is_throttled) return;
  if (next->pid == 0) return;
  u32 cell = slot * (slots + 1) + (winner ? vm_slot_in(winner) : slots);
  u64 *count = bpf_map_lookup_elem(&preemptions, &cell);
  if (count) __sync_fetch_and_add(count, 1);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_sched_switch, bool preempt, struct task_struct *prev, struct task_struct *next) {
  u32 cpu = bpf_get_smp_processor_id();
  struct run_queue_arrival *arrival = bpf_map_lookup_elem(&arrivals, &cpu);
  if (!arrival) return 0;
  u64 *entry = vm_process_of(next);
  if (arrival->tid) {
    if (arrival->tid == prev->pid) leave(arrival, cpu, preempt, prev, next, entry);
    arrival->tid = 0;
  }
  if (!entry) return 0;
  arrival->tid = next->pid;
  arrival->slot = vm_slot_in(entry);
  arrival->run_delay_ns = next->sched_info.run_delay;
  arrival->run_time_ns = next->se.sum_exec_runtime;
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
