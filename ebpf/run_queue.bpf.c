/* How long do a VM's threads wait for a CPU, how long do they keep it, and who took it from them?
 *
 * One hook, at every change of the thread on a CPU, that takes down what has left: the kernel itself has added the waits to
 * sched_info.run_delay and the stay to se.sum_exec_runtime before, and has kept what that was when the thread came
 * (se.prev_sum_exec_runtime, set by set_next_entity() in kernel/sched/fair.c), so that the step from departure to departure is that
 * wait and the difference is that slice. No clock, and no look-up either: on a host with hundreds of threads,
 * hardly anything that belongs to one of them is in the cache when it is needed, and each such place costs 200 to 400 ns, while
 * the kernel has just used all that is read here, and the log is written line by line. Once a tick user space finds out which
 * VM each departure was of, many at a time, for a tenth of that. Where a thread comes to an idle CPU, half of all runs as long as
 * nobody waits, there is nothing to do. */
#include "kernel_types.bpf.h"
#include "vm_processes.bpf.h"

#include "run_queue.h"

/* By CPU, resized by the loader. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, u32);
  __type(value, struct run_queue_cpu);
} cpus SEC(".maps");

static __always_inline u64 state_of(struct task_struct *task) {
  if (bpf_core_field_exists(task->__state)) return task->__state;
  struct task_struct___before_5_14 *old = (void *)task;
  return BPF_CORE_READ(old, state);
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

#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

#define UNITS_MAX(bits) ((1ull << (bits)) - 1)

static __always_inline bool is_real_time(struct task_struct *task) {
  return task->prio < MAX_RT_PRIO;
}

/* CPU time as the thread came. The kernel keeps it for those of the fair class only; a real-time thread that came before the
 * hook did counts from now. */
static __always_inline u64 run_time_before(struct run_queue_cpu *here, struct task_struct *task) {
  if (likely(!is_real_time(task))) return task->se.prev_sum_exec_runtime;
  u64 kept_ns = *(volatile u64 *)&here->run_time_ns; /* read on its own: the verifier wants one kind of pointer for an access */
  return here->real_time_thread == (u64)task ? kept_ns : task->se.sum_exec_runtime;
}

static __always_inline u64 time_of(struct run_queue_cpu *here, struct task_struct *task) {
  u64 delay = task->sched_info.run_delay >> RUN_QUEUE_UNIT_SHIFT & UNITS_MAX(RUN_QUEUE_DELAY_BITS);
  u64 slice = (task->se.sum_exec_runtime - run_time_before(here, task)) >> RUN_QUEUE_UNIT_SHIFT;
  if (unlikely(slice > UNITS_MAX(RUN_QUEUE_SLICE_BITS))) slice = UNITS_MAX(RUN_QUEUE_SLICE_BITS);
  return delay << RUN_QUEUE_SLICE_BITS | slice;
}

static __always_inline u64 who_is(struct task_struct *task) {
  return (u64)(u32)task->tgid << 32 | (u64)(u32)task->pid << 8;
}

/* User space is to see the departure before its number. x86 keeps stores in order; elsewhere an atomic addition whose result is
 * wanted does, though nobody else adds. */
static __always_inline void publish(u64 *head, u64 number) {
#ifdef __TARGET_ARCH_x86
  barrier();
  *(volatile u64 *)head = number + 1;
#else
  if (__sync_fetch_and_add(head, 1) != number) *head = number + 1;
#endif
}

/* Whether there is room for one more at place `at` of a log that is crowded. */
static __always_inline bool has_room(struct run_queue_cpu *here, u64 at, u64 held, struct task_struct *prev) {
  bool is_full = at >= RUN_QUEUE_LOG_DEPARTURES;
  if (!is_full && held < RUN_QUEUE_LOG_CROWDED) return true;
  bool is_of_vm = vm_process_of(prev->tgid);
  if (is_of_vm && !is_full) return true;
  here->has_gap |= RUN_QUEUE_AFTER_GAP;
  if (is_of_vm) {
    here->has_gap |= RUN_QUEUE_AFTER_LOSS;
    here->lost_count++;
  }
  return false;
}

/* Who took the CPU from a thread that would have gone on. */
static __always_inline u64 preemption_of(struct task_struct *prev, struct task_struct *next) {
  if (throttled(prev)) return throttled_by_own_quota(prev) ? RUN_QUEUE_BY_OWN_QUOTA : 0;
  if (next->flags & PF_IDLE) return 0;
  return RUN_QUEUE_PREEMPTED | (next->flags & PF_KTHREAD ? RUN_QUEUE_BY_KERNEL_THREAD : 0);
}

/* Threads of the user's only. */
static __always_inline void leave(struct run_queue_cpu *here, bool preempt, struct task_struct *prev,
                                  struct task_struct *next) {
  u64 head = here->head;
  u64 first = here->first;
  u64 held = head - here->tail;
  if (!held) here->first = first = head;
  u64 at = head - first;
  if (unlikely(at >= RUN_QUEUE_LOG_CROWDED) && !has_room(here, at, held, prev)) return;
  struct run_queue_departure *departure = &here->departures[at & (RUN_QUEUE_LOG_DEPARTURES - 1)];

  u64 flags = here->has_gap;
  if (unlikely(prev->sched_info.pcount == 1)) flags |= RUN_QUEUE_FIRST_STAY;
  u64 state = state_of(prev);
  if (unlikely(preempt || !state)) flags |= preemption_of(prev, next);
  if (unlikely(state & TASK_DEAD)) flags |= RUN_QUEUE_LAST_STAY;
  departure->who = who_is(prev) | flags;
  departure->time = time_of(here, prev);
  departure->came_ns = prev->sched_info.last_arrival;
  here->has_gap = 0;
  publish(&here->head, head);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_sched_switch, bool preempt, struct task_struct *prev, struct task_struct *next) {
  bool leaves = !(prev->flags & (PF_IDLE | PF_KTHREAD));
  bool comes_in_real_time = is_real_time(next) && !(next->flags & (PF_IDLE | PF_KTHREAD));
  if (!leaves && !comes_in_real_time) return 0;
  u32 cpu = bpf_get_smp_processor_id();
  struct run_queue_cpu *here = bpf_map_lookup_elem(&cpus, &cpu);
  if (!here) return 0;
  if (likely(leaves)) leave(here, preempt, prev, next);
  if (unlikely(comes_in_real_time)) {
    here->real_time_thread = (u64)next;
    here->run_time_ns = next->se.sum_exec_runtime;
  }
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
