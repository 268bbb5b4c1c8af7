#pragma once

/* Which threads belong to VMs. User space marks them through run_queue's mark_threads; the other objects share the same map
 * (the loader hands its descriptor on), and only look up. */
#include "kernel_types.bpf.h"

struct thread_mark {
  u32 slot;              /* of the VM */
  u32 left_by_own_quota; /* run_queue: its last departure was its own quota's doing */
  u64 run_delay_ns;      /* run_queue: at the last departure */
  u64 run_time_ns;       /* run_queue: at the last departure */
  u64 reclaim_began_ns;  /* reclaim: 0 if it reclaims nothing now */
  u64 exit_began_ns;     /* kvm_exits: 0 if it runs the guest */
  u64 exit_reason;       /* kvm_exits */
  u64 user_began_ns;     /* kvm_exits: 0 if it is not in user space */
  u32 exit_isa;          /* kvm_exits */
};

/* A task's entry dies with the task. */
struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct thread_mark);
} threads SEC(".maps");
