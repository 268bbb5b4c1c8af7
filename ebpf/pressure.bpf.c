/* For how long have threads of a VM's control group stood still for want of a CPU, of memory, of I/O?
 *
 * The totals behind the group's *.pressure files, without the files: opening one costs nothing, but reading it makes the
 * kernel gather from all CPUs and print, 3 to 8 microseconds. It gathers by itself every two seconds while the group's threads do
 * anything, and that is what is read here: half a microsecond a group, up to two seconds old. Who needs it to the moment reads the file.
 * Needs kernel 6.2, and control groups v2 to be mounted. */
#include "kernel_types.bpf.h"

#include "pressure.h"

/* Both are resized by the loader. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, PRESSURE_GROUPS_MIN);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, u32);
  __type(value, u64);
} groups SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, PRESSURE_GROUPS_MIN);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, u32);
  __type(value, struct group_pressure);
} answers SEC(".maps");

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

enum psi_states { PSI_IO_SOME, PSI_IO_FULL, PSI_MEM_SOME, PSI_MEM_FULL, PSI_CPU_SOME }; /* as since 4.20 */

struct psi_group {
  bool enabled;    /* since 6.1 (34f26a15611a "sched/psi: Per-cgroup PSI accounting disable/re-enable interface") */
  u64 total[12]; /* two rows, of which the first is the files' */
};

struct cgroup {
  struct psi_group *psi;
};

#pragma clang attribute pop

/* Since 6.2 (332ea1f697be "bpf: Add bpf_cgroup_from_id() kfunc"). */
extern struct cgroup *bpf_cgroup_from_id(u64 id) __ksym;
extern void bpf_cgroup_release(struct cgroup *group) __ksym;

static __always_inline bool answer(struct cgroup *group, struct group_pressure *out) {
  struct psi_group *psi = group->psi;
  if (!psi || !psi->enabled) return false;
  out->cpu_some_ns = psi->total[PSI_CPU_SOME];
  out->io_some_ns = psi->total[PSI_IO_SOME];
  out->memory_some_ns = psi->total[PSI_MEM_SOME];
  out->memory_full_ns = psi->total[PSI_MEM_FULL];
  return true;
}

static long poll_one(u32 index, void *unused) {
  u64 *id = bpf_map_lookup_elem(&groups, &index);
  struct group_pressure *out = bpf_map_lookup_elem(&answers, &index);
  if (!id || !out) return 1;
  out->valid = 0;
  struct cgroup *group = bpf_cgroup_from_id(*id);
  if (!group) return 0;
  out->valid = answer(group, out);
  bpf_cgroup_release(group);
  return 0;
}

SEC("syscall")
int poll_pressure(struct pressure_args *args) {
  bpf_loop(args->count, poll_one, 0, 0);
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
