/* How long do a VM's threads stand still to free memory?
 *
 * Direct reclaim, because the host has run out, and reclaim for the memory limit of a control group. Rare by nature; where
 * it is not, its own price is lost in what it measures. */
#include "histogram.bpf.h"
#include "vm_threads.bpf.h"

#include "reclaim.h"

/* Slots of VMs × buckets, resized by the loader; any CPU adds, atomically. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, RECLAIM_BUCKETS);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, u32);
  __type(value, u64);
} latencies SEC(".maps");

static __always_inline int begin(void) {
  struct thread_mark *mark = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), 0, 0);
  if (mark) mark->reclaim_began_ns = bpf_ktime_get_ns();
  return 0;
}

static __always_inline int end(void) {
  struct thread_mark *mark = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), 0, 0);
  if (!mark || !mark->reclaim_began_ns) return 0;
  u64 now_ns = bpf_ktime_get_ns();
  u32 cell = mark->slot * RECLAIM_BUCKETS + bucket_of(now_ns - mark->reclaim_began_ns);
  mark->reclaim_began_ns = 0;
  u64 *count = bpf_map_lookup_elem(&latencies, &cell);
  if (count) __sync_fetch_and_add(count, 1);
  return 0;
}

SEC("tp_btf/mm_vmscan_direct_reclaim_begin")
int BPF_PROG(on_direct_reclaim_begin) {
  return begin();
}

SEC("tp_btf/mm_vmscan_direct_reclaim_end")
int BPF_PROG(on_direct_reclaim_end) {
  return end();
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_begin")
int BPF_PROG(on_memcg_reclaim_begin) {
  return begin();
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_end")
int BPF_PROG(on_memcg_reclaim_end) {
  return end();
}

char LICENSE[] SEC("license") = "GPL";
