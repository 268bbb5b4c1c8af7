#pragma once

/* Which VM a thread belongs to: the look-up. run_queue's loader owns the map and enters processes; the other objects share
 * it (the loader hands its descriptor on). */
#include "kernel_types.bpf.h"

#include "vm_processes.h"

const volatile __u32 vm_process_entries = 1; /* set by the loader */

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, u64);
} vm_processes SEC(".maps");

/* The entry of a process; null if it is no VM's. Calls no helper. */
static __always_inline u64 *vm_process_of(u32 tgid) {
  if (!tgid) return 0; /* an idle CPU's */
  u32 entries = vm_process_entries;
  u32 index = vm_process_home(tgid, entries);
#pragma clang loop unroll(disable)
  for (u32 probe = 0; probe < VM_PROCESSES_PROBES; probe++) {
    u64 *entry = bpf_map_lookup_elem(&vm_processes, &index);
    if (!entry || *entry == VM_PROCESSES_FREE) return 0;
    if (*entry >> 32 == tgid) return entry;
    index = (index + 1) & (entries - 1);
  }
  return 0;
}

static __always_inline u32 vm_slot_in(const u64 *entry) {
  return (u32)*entry;
}
