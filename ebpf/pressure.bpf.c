/* For how long have threads of a VM's control group stood still for want of a CPU, of memory, of I/O?
 *
 * The totals behind the group's *.pressure files, without the files: opening one costs nothing, but reading it makes the
 * kernel gather from all CPUs and print, 3 to 8 microseconds. It gathers by itself every two seconds while the group's threads do
 * anything, and that is what is read here: half a microsecond a group, up to two seconds old.
 * Of the CPU, whose total moves whenever a thread wakes, what the CPUs have counted since is added if the caller asks
 * for it, as the kernel would (collect_percpu_times() in kernel/sched/psi.c): each CPU's time weighs as much as its threads
 * had to do there. It ends where the scheduler's clock of this CPU stands, a tick ago at most; a figure that the kernel
 * brings up to date meanwhile may seem to step back until it is read again.
 * Needs kernel 6.2, and control groups v2 to be mounted. */
#include "kernel_types.bpf.h"

#include "pressure.h"

/* Both are resized by the loader. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, PRESSURE_GROUPS_MIN);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, u32);
  __type(value, struct pressure_request);
} groups SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, PRESSURE_GROUPS_MIN);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, u32);
  __type(value, struct group_pressure);
} answers SEC(".maps");

/* Nothing is kept in it: it tells how far each CPU's own variables are from where their pointers point. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, u64);
} landmark SEC(".maps");

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* The first five as since 4.20; the last has moved (52b1364ba0b1 "sched/psi: Add PSI_IRQ to track IRQ/SOFTIRQ pressure"). */
enum psi_states { PSI_IO_SOME, PSI_IO_FULL, PSI_MEM_SOME, PSI_MEM_FULL, PSI_CPU_SOME, PSI_NONIDLE };

struct psi_group_cpu {
  u32 state_mask;
  u32 times[8];
  u64 state_start;
  u32 times_prev[16]; /* rows of two readers, of which the first is the files' */
};

struct psi_group {
  bool enabled;    /* since 6.1 (34f26a15611a "sched/psi: Per-cgroup PSI accounting disable/re-enable interface") */
  struct psi_group_cpu *pcpu;
  u64 total[12]; /* two rows, of which the first is the files' */
};

struct cgroup {
  struct psi_group *psi;
};

struct bpf_array {
  void *pptrs[1];
};

#pragma clang attribute pop

/* Since 6.2 (332ea1f697be "bpf: Add bpf_cgroup_from_id() kfunc"). */
extern struct cgroup *bpf_cgroup_from_id(u64 id) __ksym;
extern void bpf_cgroup_release(struct cgroup *group) __ksym;

/* What the CPUs have counted since the kernel last looked. */
struct gathering {
  u64 pcpu;     /* psi_group.pcpu: the same for all CPUs, to be moved by each one's offset */
  u64 landmark; /* likewise */
  u64 now;
  u64 weighted;
  u64 weight;
  u32 jiffy_ns;
};

struct cpu_bytes {
  char bytes[PRESSURE_CPU_BYTES_MAX] __attribute__((aligned(8)));
};

#define PSI_FIELD(cpu, type, field) ((type *)((cpu)->bytes + bpf_core_field_offset(struct psi_group_cpu, field)))

/* The time in a state since the kernel last looked, which was two seconds ago at most; its counts are 32 bits of
 * nanoseconds, which wrap. It may have looked with a clock that was ahead of ours: then there is nothing new. */
static __always_inline u32 newly(struct cpu_bytes *cpu, u32 state, u64 now) {
  u32 time = PSI_FIELD(cpu, u32, times)[state] - PSI_FIELD(cpu, u32, times_prev)[state];
  u64 since = *PSI_FIELD(cpu, u64, state_start);
  if (*PSI_FIELD(cpu, u32, state_mask) & (1u << state) && now > since) time += now - since;
  return (s32)time < 0 ? 0 : time;
}

/* A pointer as the number that it is, which may be reckoned with and read from by bpf_probe_read_kernel(). */
static __always_inline void *address_of(void *pointer) {
  void *address = 0;
  bpf_probe_read_kernel(&address, sizeof address, &pointer);
  return address;
}

static long gather(u32 index, struct gathering *all) {
  u32 first = 0;
  void *there = bpf_map_lookup_percpu_elem(&landmark, &first, index);
  if (!there || !all->jiffy_ns) return 1;
  u64 offset = (u64)address_of(there) - all->landmark;
  struct cpu_bytes cpu;
  if (bpf_probe_read_kernel(&cpu, bpf_core_type_size(struct psi_group_cpu), (void *)(all->pcpu + offset))) return 0;
  u64 busy = newly(&cpu, bpf_core_enum_value(enum psi_states, PSI_NONIDLE), all->now) / all->jiffy_ns;
  all->weight += busy;
  all->weighted += busy * newly(&cpu, PSI_CPU_SOME, all->now);
  return 0;
}

static __always_inline bool can_gather(void) {
  return bpf_core_field_exists(struct rq, clock) && bpf_core_field_exists(struct cfs_rq, rq) &&
         bpf_core_field_exists(struct bpf_array, pptrs) && bpf_core_field_exists(struct psi_group, pcpu) &&
         bpf_core_field_exists(struct psi_group_cpu, state_mask) &&
         bpf_core_field_exists(struct psi_group_cpu, state_start) && bpf_core_field_exists(struct psi_group_cpu, times) &&
         bpf_core_field_exists(struct psi_group_cpu, times_prev) &&
         bpf_core_enum_value_exists(enum psi_states, PSI_NONIDLE) &&
         bpf_core_type_size(struct psi_group_cpu) <= PRESSURE_CPU_BYTES_MAX;
}

static __always_inline bool answer(struct cgroup *group, struct group_pressure *out) {
  struct psi_group *psi = group->psi;
  if (!psi || !psi->enabled) return false;
  out->cpu_some_ns = psi->total[PSI_CPU_SOME];
  out->io_some_ns = psi->total[PSI_IO_SOME];
  out->memory_some_ns = psi->total[PSI_MEM_SOME];
  out->memory_full_ns = psi->total[PSI_MEM_FULL];
  return true;
}

/* To what answer() has told, which was read before: what is in both is missed, not told twice. */
static __always_inline void add_newest(struct cgroup *group, const struct pressure_args *args,
                                       struct group_pressure *out) {
  if (!can_gather()) return;
  struct task_struct *here = bpf_get_current_task_btf();
  struct gathering all = {.jiffy_ns = args->jiffy_ns};
  if (bpf_core_read(&all.pcpu, sizeof all.pcpu, &group->psi->pcpu)) return;
  struct bpf_array *map = address_of(&landmark);
  if (bpf_core_read(&all.landmark, sizeof all.landmark, &map->pptrs)) return;
  all.now = here->se.cfs_rq->rq->clock;
  bpf_loop(args->cpus, gather, &all, 0);
  if (all.weight) out->cpu_some_ns += all.weighted / all.weight;
  out->exact = 1;
}

static long poll_one(u32 index, const struct pressure_args *args) {
  struct pressure_request *request = bpf_map_lookup_elem(&groups, &index);
  struct group_pressure *out = bpf_map_lookup_elem(&answers, &index);
  if (!request || !out) return 1;
  out->valid = out->exact = 0;
  struct cgroup *group = bpf_cgroup_from_id(request->group);
  if (!group) return 0;
  bool valid = answer(group, out);
  if (valid && request->exact) add_newest(group, args, out);
  out->valid = valid;
  bpf_cgroup_release(group);
  return 0;
}

SEC("syscall")
int poll_pressure(struct pressure_args *args) {
  struct pressure_args copy = *args;
  bpf_loop(copy.count, poll_one, &copy, 0);
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
