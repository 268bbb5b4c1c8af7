#pragma once

/* The table of the VMs' processes, shared by the kernel programs that ask whose thread this is and the loader that fills
 * it. Threads are told by their process, so that the table is a page or two, which stays in the cache of a busy CPU; a
 * record of each thread would not, and reading it would cost more than all else that a hook does. */

#include <linux/types.h>

/* Per VM slot: at most a quarter of the table is full. A power of two, as the number of all entries must be. */
#define VM_PROCESSES_PER_SLOT 4
/* A process that finds its entry taken goes to one of the next, this many in all. */
#define VM_PROCESSES_PROBES 16

/* An entry: process id in the upper half, the VM's slot in the lower. Or one of the two that are free. */
#define VM_PROCESSES_FREE 0ull          /* the search ends here */
#define VM_PROCESSES_LEFT 0xffffffffull /* free as well, but the search goes on */

static inline __attribute__((always_inline)) __u64 vm_process_entry(__u32 tgid, __u32 slot) {
  return (__u64)tgid << 32 | slot;
}

/* Where the search for a process begins. entries: a power of two, at most 65,536. */
static inline __attribute__((always_inline)) __u32 vm_process_home(__u32 tgid, __u32 entries) {
  return (tgid * 0x9e3779b1u) >> 16 & (entries - 1);
}
