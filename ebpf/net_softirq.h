#pragma once

/* Shared by net_softirq.bpf.c and its loader. */

#include <linux/types.h>

/* One per CPU. */
struct net_softirq_time {
  __u64 began_ns; /* 0: not in one */
  __u64 total_ns;
};
