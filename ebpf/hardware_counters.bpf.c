/* How many cycles, instructions and cache misses do each VM's threads take?
 *
 * Every CPU has its counters running all the time; when a VM's thread comes onto a CPU they are read, when it leaves they
 * are read again, and the step is the VM's. Switches between threads of no VM read nothing. Attached only where the
 * processor lets us have its counters. */
#include "vm_processes.bpf.h"

#include "hardware_counters.h"

const volatile __u32 slots = 1;
const volatile __u32 cpus = 1;

/* Event × CPU: index event * cpus + cpu; resized and filled by the loader. */
struct {
  __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
  __uint(max_entries, HARDWARE_COUNTERS_EVENTS);
  __uint(key_size, sizeof(u32));
  __uint(value_size, sizeof(u32));
} events SEC(".maps");

struct reading {
  u64 values[HARDWARE_COUNTERS_EVENTS];
  u64 running_ns[HARDWARE_COUNTERS_EVENTS];
  u64 enabled_ns; /* 0: there is no VM's thread */
};

/* By CPU: the counters when the VM's thread that is on it came. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, struct reading);
} arrivals SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, u32);
  __type(value, struct hardware_counters_stripe);
} stripes SEC(".maps");

#define SLOT_NONE 0xffffffffu

/* As a number: clang would join the null checks of two pointers into one of both, which the verifier refuses. */
static __always_inline u32 slot_of(struct task_struct *task) {
  const u64 *entry = vm_process_of(task->tgid);
  return entry ? vm_slot_in(entry) : SLOT_NONE;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_sched_switch_counters, bool preempt, struct task_struct *prev, struct task_struct *next) {
  u32 leaves = slot_of(prev);
  u32 comes = slot_of(next);
  if (leaves == SLOT_NONE && comes == SLOT_NONE) return 0;

  u32 zero = 0;
  struct reading *arrival = bpf_map_lookup_elem(&arrivals, &zero);
  if (!arrival) return 0;
  u32 cpu = bpf_get_smp_processor_id();
  struct hardware_counters_stripe *stripe = 0;
  if (leaves != SLOT_NONE) {
    u32 index = cpu * slots + leaves;
    stripe = bpf_map_lookup_elem(&stripes, &index);
  }
  if (!arrival->enabled_ns) stripe = 0;
  u64 enabled_ns = 0;
  for (u32 event = 0; event < HARDWARE_COUNTERS_EVENTS; event++) {
    struct bpf_perf_event_value now = {};
    bpf_perf_event_read_value(&events, event * cpus + cpu, &now, sizeof(now)); /* leaves zeroes where it fails */
    /* An event that was begun anew is behind. */
    if (stripe && now.counter >= arrival->values[event] && now.running >= arrival->running_ns[event]) {
      stripe->counts[event] += now.counter - arrival->values[event];
      stripe->running_ns[event] += now.running - arrival->running_ns[event];
    }
    arrival->values[event] = now.counter;
    arrival->running_ns[event] = now.running;
    if (event == 0) enabled_ns = now.enabled;
  }
  if (stripe && enabled_ns > arrival->enabled_ns) stripe->enabled_ns += enabled_ns - arrival->enabled_ns;
  arrival->enabled_ns = comes != SLOT_NONE ? enabled_ns : 0;
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
