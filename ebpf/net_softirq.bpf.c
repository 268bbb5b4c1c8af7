/* How long does each CPU work for the network in soft interrupts?
 *
 * On demand: two hooks, and a busy network raises hundreds of thousands a second. */
#include "kernel_types.bpf.h"

#include "net_softirq.h"

/* include/linux/interrupt.h */
#define NET_TX_SOFTIRQ 2
#define NET_RX_SOFTIRQ 3

/* By CPU, resized by the loader; a soft interrupt stays on its CPU and does not nest. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, u32);
  __type(value, struct net_softirq_time);
} times SEC(".maps");

static __always_inline struct net_softirq_time *time_of(u64 vector) {
  if ((u32)vector != NET_TX_SOFTIRQ && (u32)vector != NET_RX_SOFTIRQ) return 0;
  u32 cpu = bpf_get_smp_processor_id();
  return bpf_map_lookup_elem(&times, &cpu);
}

SEC("raw_tp/softirq_entry")
int on_softirq_entry(struct bpf_raw_tracepoint_args *args) {
  struct net_softirq_time *time = time_of(args->args[0]);
  if (time) time->began_ns = bpf_ktime_get_ns();
  return 0;
}

SEC("raw_tp/softirq_exit")
int on_softirq_exit(struct bpf_raw_tracepoint_args *args) {
  struct net_softirq_time *time = time_of(args->args[0]);
  if (!time || !time->began_ns) return 0;
  time->total_ns += bpf_ktime_get_ns() - time->began_ns;
  time->began_ns = 0;
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
