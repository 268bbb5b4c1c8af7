/* How long do a VM's threads wait for a CPU, how long do they keep it, and who took it from them?
 *
 * One hook, for the thread that leaves the CPU: the kernel has itself added the wait before this stay on the CPU to
 * sched_info.run_delay, and the stay to se.sum_exec_runtime, so the steps since the last departure are that wait and that
 * slice. No clock, no map of time stamps. VM threads
 * carry their VM's slot in task storage; every other thread costs one failed look-up. */
#include "histogram.bpf.h"
#include "vm_threads.bpf.h"

#include "run_queue.h"

const volatile __u32 slots = RUN_QUEUE_SLOTS_MIN;

struct run_queue_mark marks[RUN_QUEUE_MARK_BATCH];

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

SEC("tp_btf/sched_switch")
int BPF_PROG(on_sched_switch, bool preempt, struct task_struct *prev, struct task_struct *next) {
  /* No storage at all, the case of almost every thread of no VM, is seen without calling the helper. */
  if (!prev->bpf_storage) return 0;
  struct thread_mark *mark = bpf_task_storage_get(&threads, prev, 0, 0);
  if (!mark) return 0;

  u64 run_delay_ns = prev->sched_info.run_delay;
  u64 wait_ns = run_delay_ns - mark->run_delay_ns;
  mark->run_delay_ns = run_delay_ns;
  u64 run_time_ns = prev->se.sum_exec_runtime;
  u64 slice_ns = run_time_ns - mark->run_time_ns;
  mark->run_time_ns = run_time_ns;

  u32 slot = mark->slot;
  u32 index = bpf_get_smp_processor_id() * slots + slot;
  struct run_queue_stripe *stripe = bpf_map_lookup_elem(&stripes, &index);
  if (stripe) {
    stripe->waits[bucket_of(wait_ns)]++;
    stripe->slices[bucket_of(slice_ns)]++;
    if (mark->left_by_own_quota) stripe->own_quota_wait_ns += wait_ns;
  }

  mark->left_by_own_quota = 0;
  if (!still_runnable(prev, preempt)) return 0;
  if (throttled(prev)) {
    mark->left_by_own_quota = throttled_by_own_quota(prev);
    return 0;
  }
  if (next->pid == 0) return 0;
  struct thread_mark *winner = bpf_task_storage_get(&threads, next, 0, 0);
  u32 column = winner ? winner->slot : slots;
  u32 cell = slot * (slots + 1) + column;
  u64 *count = bpf_map_lookup_elem(&preemptions, &cell);
  if (count) __sync_fetch_and_add(count, 1);
  return 0;
}

/* A mark for a live thread of the right process. Sets out->marked. */
static __always_inline void mark_task(struct task_struct *task, struct run_queue_mark *request) {
  if (task->tgid != request->tgid) return;
  if (request->slot == RUN_QUEUE_SLOT_NONE) {
    bpf_task_storage_delete(&threads, task);
    request->marked = 1;
    return;
  }
  struct thread_mark fresh = {.slot = request->slot, .run_delay_ns = task->sched_info.run_delay, .run_time_ns = task->se.sum_exec_runtime};
  struct thread_mark *mark = bpf_task_storage_get(&threads, task, &fresh, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!mark) return;
  mark->slot = request->slot; /* an older mark keeps its times */
  request->marked = 1;
}

static long mark_one(u32 index, void *unused) {
  if (index >= RUN_QUEUE_MARK_BATCH) return 1;
  struct task_struct *task = bpf_task_from_pid(marks[index].tid);
  if (!task) return 0;
  mark_task(task, &marks[index]);
  bpf_task_release(task);
  return 0;
}

/* Since 6.2: carries out the first args->count marks. */
SEC("syscall")
int mark_threads(struct run_queue_args *args) {
  bpf_loop(args->count, mark_one, 0, 0);
  return 0;
}

/* Before it: a walk over all tasks; thread id -> index in marks. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, RUN_QUEUE_MARK_BATCH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, u32);
  __type(value, u32);
} wanted SEC(".maps");

SEC("iter/task")
int scan_marks(struct bpf_iter__task *context) {
  struct task_struct *task = context->task;
  if (!task) return 0;
  u32 tid = task->pid;
  u32 *index = bpf_map_lookup_elem(&wanted, &tid);
  if (!index || *index >= RUN_QUEUE_MARK_BATCH) return 0;
  mark_task(task, &marks[*index]);
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
