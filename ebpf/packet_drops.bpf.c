/* Why does the host throw packets away?
 *
 * On demand. Since 5.17 (c504e5c2f964 "net: skb: introduce kfree_skb_reason()") kfree_skb names its reason. */
#include "kernel_types.bpf.h"

#include "packet_drops.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, PACKET_DROPS_REASONS);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, u32);
  __type(value, __u64);
} drops SEC(".maps");

SEC("raw_tp/kfree_skb")
int on_kfree_skb(struct bpf_raw_tracepoint_args *args) {
  u32 reason = args->args[2];
  if (reason >= PACKET_DROPS_REASONS) reason = PACKET_DROPS_REASONS - 1;
  __u64 *count = bpf_map_lookup_elem(&drops, &reason);
  if (count) __sync_fetch_and_add(count, 1);
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
