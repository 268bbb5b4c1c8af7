/* How long do the host's disks take for each VM's requests?
 *
 * One hook, at completion: the request carries the time it was started at, and its bio the control group that sent it.
 * User space enters the VM's groups when the VM starts and takes them out when it ends; the kernel looks up, and makes a
 * cell for a VM and disk when they first meet. */
#include "histogram.bpf.h"

#include "block_latency.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
  u64 id;
};
struct cgroup {
  struct kernfs_node *kn;
};
struct cgroup_subsys_state {
  struct cgroup *cgroup;
};
struct blkcg {
  struct cgroup_subsys_state css;
};
struct blkcg_gq {
  struct blkcg *blkcg;
};
struct bio {
  struct blkcg_gq *bi_blkg;
};
struct gendisk {
  int major;
  int first_minor;
  char disk_name[BLOCK_LATENCY_DISK_BYTES];
};
struct request_queue {
  struct gendisk *disk; /* since 5.15 (d152c682f03c "block: add an explicit ->disk backpointer to the request_queue") */
};
struct request {
  struct request_queue *q;
  unsigned int cmd_flags;
  unsigned int __data_len;
  struct bio *bio;
  u64 start_time_ns;
};
/* Before 5.17 (f3fa33acca9f "block: remove the ->rq_disk field in struct request"). */
struct request___before_5_17 {
  struct gendisk *rq_disk;
};

#pragma clang attribute pop

/* include/linux/blk_types.h: the operation is the lowest byte of cmd_flags; an odd one carries data to the device. */
#define OPERATION_MASK 0xff
#define OPERATION_READ 0
#define OPERATION_WRITE 1

/* Control group's id -> VM's number. Resized by the loader, as the cells. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, BLOCK_LATENCY_GROUPS_MIN);
  __type(key, u64);
  __type(value, u32);
} groups SEC(".maps");

/* Completions are rare beside context switches and may come on any CPU: one cell for all, added to atomically. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, BLOCK_LATENCY_CELLS_MIN);
  __type(key, struct block_latency_key);
  __type(value, struct block_latency_cell);
} cells SEC(".maps");

__u64 refused_count; /* requests for which there was no room for a cell */

static __always_inline struct gendisk *disk_of(struct request *request) {
  struct gendisk *disk = 0;
  if (bpf_core_field_exists(request->q->disk)) {
    disk = BPF_CORE_READ(request, q, disk);
  } else {
    struct request___before_5_17 *old = (void *)request;
    if (bpf_core_field_exists(old->rq_disk)) disk = BPF_CORE_READ(old, rq_disk);
  }
  return disk;
}

SEC("tp_btf/block_rq_complete")
int BPF_PROG(on_block_rq_complete, struct request *request, int error, unsigned int bytes) {
  struct bio *bio = request->bio;
  if (!bio) return 0;
  u64 group = BPF_CORE_READ(bio, bi_blkg, blkcg, css.cgroup, kn, id);
  u32 *vm = bpf_map_lookup_elem(&groups, &group);
  if (!vm) return 0;

  struct gendisk *disk = disk_of(request);
  struct block_latency_key key = {.vm = *vm};
  if (disk) key.device = (u32)BPF_CORE_READ(disk, major) << 20 | (u32)BPF_CORE_READ(disk, first_minor);
  struct block_latency_cell *cell = bpf_map_lookup_elem(&cells, &key);
  if (!cell) {
    struct block_latency_cell fresh = {};
    if (disk) BPF_CORE_READ_STR_INTO(&fresh.disk, disk, disk_name);
    bpf_map_update_elem(&cells, &key, &fresh, BPF_NOEXIST);
    cell = bpf_map_lookup_elem(&cells, &key);
    if (!cell) {
      __sync_fetch_and_add(&refused_count, 1);
      return 0;
    }
  }
  u32 operation = request->cmd_flags & OPERATION_MASK;
  if (operation == OPERATION_READ) __sync_fetch_and_add(&cell->read_bytes, bytes);
  if (operation == OPERATION_WRITE) __sync_fetch_and_add(&cell->write_bytes, bytes);
  if (bytes < request->__data_len) return 0; /* the rest is still to come */
  __sync_fetch_and_add(&cell->ops_count, 1);
  u64 started_ns = request->start_time_ns;
  u64 now_ns = bpf_ktime_get_ns();
  if (started_ns && now_ns > started_ns) {
    u32 bucket = bucket_of(now_ns - started_ns) & (BLOCK_LATENCY_BUCKETS - 1);
    __sync_fetch_and_add(&cell->latencies[bucket], 1);
  }
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
