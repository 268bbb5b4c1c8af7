/* What do the scheduler and the memory manager say of each VM thread?
 *
 * Poll, don't trace: once a tick user space fills `requests` (mapped), runs poll_held once, and reads `answers`
 * (mapped). No event is hooked, so the guests pay nothing. poll_held looks a task up by its id once and holds it from then on;
 * with hundreds of threads, of which nothing is in the cache, the look-up takes as long as all the rest. A task that is held is
 * freed when its thread has ended and the next run comes. poll_threads looks up each time, for kernels that do not let a
 * program hold tasks, and for threads beyond the slots. Kernels before 6.2 cannot look a task up by its id in a
 * syscall program; there scan_threads, a task iterator, walks all tasks and answers for those it finds in `wanted`. */
#include "kernel_types.bpf.h"

#include "thread_counters.h"

/* These and the other maps are resized by the loader. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, THREAD_COUNTERS_SLOTS_MIN);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, u32);
  __type(value, struct thread_request);
} requests SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, THREAD_COUNTERS_SLOTS_MIN);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, u32);
  __type(value, struct thread_counters);
} answers SEC(".maps");

/* poll_held only: the task of the request of the same index, if it was found. Resized likewise. */
struct held_task {
  struct task_struct __kptr *task;
};
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, THREAD_COUNTERS_SLOTS_MIN);
  __type(key, u32);
  __type(value, struct held_task);
} held SEC(".maps");

/* scan_threads only: thread id -> index in requests. Written by user space when the set of threads changes. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, THREAD_COUNTERS_SLOTS_MIN);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, u32);
  __type(value, u32);
} wanted SEC(".maps");

/* Pages of hugetlbfs, on which a guest's memory may lie, are in none of the kernel's other counts; this one is of base pages.
 * Read with a helper: the verifier takes no access to a type that it knows as a typedef (atomic_long_t). */
static __always_inline s64 hugetlb_pages(struct mm_struct *mm) {
  return bpf_core_field_exists(mm->hugetlb_usage) ? BPF_CORE_READ(mm, hugetlb_usage.counter) : 0;
}

/* All threads of a process share their memory, so only its first thread answers for it. */
static __always_inline s64 resident_pages(struct task_struct *task) {
  if (task->pid != task->tgid) return -1;
  struct mm_struct *mm = task->mm;
  if (!mm) return -1;
  /* file, anonymous and shared pages: MM_FILEPAGES 0, MM_ANONPAGES 1, MM_SHMEMPAGES 3. A percpu_counter's count lags its
   * CPUs by up to batch × CPUs pages, as /proc/PID/statm does. */
  s64 pages;
  if (bpf_core_type_exists(struct mm_rss_stat___before_6_2)) {
    struct mm_struct___before_6_2 *old = (void *)mm;
    pages = BPF_CORE_READ(old, rss_stat.count[0].counter) + BPF_CORE_READ(old, rss_stat.count[1].counter) +
            BPF_CORE_READ(old, rss_stat.count[3].counter);
  } else if (bpf_core_field_exists(mm->rss_stat[0].count)) {
    pages = mm->rss_stat[0].count + mm->rss_stat[1].count + mm->rss_stat[3].count;
  } else {
    return -1;
  }
  return (pages < 0 ? 0 : pages) + hugetlb_pages(mm);
}

static __always_inline s64 ksm_merged_pages(struct task_struct *task) {
  if (task->pid != task->tgid) return -1;
  struct mm_struct *mm = task->mm;
  if (!mm || !bpf_core_field_exists(mm->ksm_merging_pages)) return -1;
  return mm->ksm_merging_pages;
}

static __always_inline s64 thread_count(struct task_struct *task) {
  if (task->pid != task->tgid || !task->signal) return -1;
  return task->signal->nr_threads;
}

static __always_inline void answer(struct task_struct *task, struct thread_counters *out) {
  out->start_boottime_ns = task->start_boottime;
  out->run_time_ns = task->se.sum_exec_runtime;
  out->run_queue_wait_ns = task->sched_info.run_delay;
  out->dispatches_count = task->sched_info.pcount;
  out->switches_voluntary_count = task->nvcsw;
  out->switches_forced_count = task->nivcsw;
  out->cpu_migrations_count = task->se.nr_migrations;
  out->faults_major_count = task->maj_flt;
  out->faults_minor_count = task->min_flt;
  out->guest_time_ns = task->gtime;
  out->resident_pages = resident_pages(task);
  out->ksm_merged_pages = ksm_merged_pages(task);
  out->thread_count = thread_count(task);
}

static __always_inline bool is_of(struct task_struct *task, const struct thread_request *request) {
  return task->pid == request->tid && task->tgid == request->tgid && !(task->exit_state & EXIT_DEAD);
}

/* Puts the task in the place of the one that is held there, if any. */
static __always_inline void hold(struct held_task *place, struct task_struct *task) {
  struct task_struct *old = bpf_kptr_xchg(&place->task, task);
  if (old) bpf_task_release(old);
}

static __always_inline bool answer_from_held(struct held_task *place, const struct thread_request *request,
                                             struct thread_counters *out) {
  bool known = false;
  bpf_rcu_read_lock();
  struct task_struct *task = place->task;
  if (task && is_of(task, request)) {
    answer(task, out);
    known = true;
  }
  bpf_rcu_read_unlock();
  return known;
}

static long poll_held_one(u32 index, const struct thread_counters_args *args) {
  struct held_task *place = bpf_map_lookup_elem(&held, &index);
  if (!place) return 1;
  if (index >= args->count) {
    hold(place, 0);
    return 0;
  }
  struct thread_request *request = bpf_map_lookup_elem(&requests, &index);
  struct thread_counters *out = bpf_map_lookup_elem(&answers, &index);
  if (!request || !out) return 1;
  if (answer_from_held(place, request, out)) return 0;
  out->start_boottime_ns = 0;
  struct task_struct *task = bpf_task_from_pid(request->tid);
  if (task && is_of(task, request)) {
    answer(task, out);
    hold(place, task);
    return 0;
  }
  if (task) bpf_task_release(task);
  hold(place, 0);
  return 0;
}

static long poll_one(u32 index, void *unused) {
  struct thread_request *request = bpf_map_lookup_elem(&requests, &index);
  struct thread_counters *out = bpf_map_lookup_elem(&answers, &index);
  if (!request || !out) return 1;
  struct task_struct *task = bpf_task_from_pid(request->tid);
  if (!task) {
    out->start_boottime_ns = 0;
    return 0;
  }
  if (task->tgid == request->tgid) {
    answer(task, out);
  } else {
    out->start_boottime_ns = 0;
  }
  bpf_task_release(task);
  return 0;
}

SEC("syscall")
int poll_held(struct thread_counters_args *args) {
  struct thread_counters_args copy = *args;
  bpf_loop(copy.held > copy.count ? copy.held : copy.count, poll_held_one, &copy, 0);
  return 0;
}

SEC("syscall")
int poll_threads(struct thread_counters_args *args) {
  bpf_loop(args->count, poll_one, 0, 0);
  return 0;
}

SEC("iter/task")
int scan_threads(struct bpf_iter__task *context) {
  struct task_struct *task = context->task;
  if (!task) return 0;
  u32 tid = task->pid;
  u32 *index = bpf_map_lookup_elem(&wanted, &tid);
  if (!index) return 0;
  struct thread_request *request = bpf_map_lookup_elem(&requests, index);
  struct thread_counters *out = bpf_map_lookup_elem(&answers, index);
  if (request && out && task->tgid == request->tgid) answer(task, out);
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
