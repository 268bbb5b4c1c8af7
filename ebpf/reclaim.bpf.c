/* How long do a VM's threads stand still to free memory?
 *
 * Direct reclaim, because the host has run out, and reclaim for the memory limit of a control group. Rare by nature; where
 * it is not, its own price is lost in what it measures. */
#include "histogram.bpf.h"
#include "vm_processes.bpf.h"

#include "reclaim.h"

/* Slots of VMs × buckets, resized by the loader; any CPU adds, atomically. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, RECLAIM_BUCKETS);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, u32);
  __type(value, u64);
} latencies SEC(".maps");

/* By thread id: when its reclaim began. Threads of VMs that reclaim now; those beyond are not timed. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, RECLAIM_THREADS);
  __type(key, u32);
  __type(value, u64);
} began_ns SEC(".maps");

static __always_inline int begin(void) {
  u64 ids = bpf_get_current_pid_tgid(); /* of the initial pid namespace */
  if (!vm_process_of(ids >> 32)) return 0;
  u32 tid = (u32)ids;
  u64 now_ns = bpf_ktime_get_ns();
  bpf_map_update_elem(&began_ns, &tid, &now_ns, BPF_ANY);
  return 0;
}

static __always_inline int end(void) {
  u64 ids = bpf_get_current_pid_tgid();
  u64 *entry = vm_process_of(ids >> 32);
  if (!entry) return 0;
  u32 tid = (u32)ids;
  u64 *began = bpf_map_lookup_elem(&began_ns, &tid);
  if (!began) return 0;
  u32 cell = vm_slot_in(entry) * RECLAIM_BUCKETS + bucket_of(bpf_ktime_get_ns() - *began);
  bpf_map_delete_elem(&began_ns, &tid);
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
