#include "agent/collect/reclaim_trace.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>

#include "agent/collect/bpf_support.h"
#include "agent/collect/mapped_array.h"
#include "ebpf/reclaim.h"
#include "ebpf/reclaim.skel.h"

namespace proteus::collect {
namespace {

static_assert(RECLAIM_BUCKETS == kHistogramBucketCount);

class Trace final : public ReclaimTrace {
 public:
  ~Trace() override { reclaim_bpf__destroy(skeleton_); }

  Status load(const RunQueueTrace& run_queue) {
    const BpfLog log;
    skeleton_ = reclaim_bpf__open();
    if (skeleton_ == nullptr) return bpf_error("open reclaim", errno);
    const std::size_t cells = std::size_t{run_queue.slot_count()} * RECLAIM_BUCKETS;
    bpf_map__set_max_entries(skeleton_->maps.latencies, static_cast<__u32>(cells));
    if (const int code = bpf_map__reuse_fd(skeleton_->maps.vm_processes, run_queue.processes_fd()); code != 0) {
      return bpf_error("share the table of VM processes", -code);
    }
    skeleton_->rodata->vm_process_entries = bpf_map__max_entries(skeleton_->maps.vm_processes);
    if (const int code = reclaim_bpf__load(skeleton_); code != 0) {
      return with_context(bpf_error(log.reason(), -code), "load reclaim");
    }
    if (!latencies_.map(bpf_map__fd(skeleton_->maps.latencies), cells)) {
      return bpf_error("map reclaim's counters", errno);
    }
    if (const int code = reclaim_bpf__attach(skeleton_); code != 0) {
      return with_context(bpf_error(log.reason(), -code), "attach to reclaim");
    }
    return {};
  }

  std::vector<NamedProgram> programs() const override {
    const auto& p = skeleton_->progs;
    return {{"on_direct_reclaim_begin", bpf_program__fd(p.on_direct_reclaim_begin)},
            {"on_direct_reclaim_end", bpf_program__fd(p.on_direct_reclaim_end)},
            {"on_memcg_reclaim_begin", bpf_program__fd(p.on_memcg_reclaim_begin)},
            {"on_memcg_reclaim_end", bpf_program__fd(p.on_memcg_reclaim_end)}};
  }

  void clear(std::uint32_t slot) override {
    for (std::size_t b = 0; b < RECLAIM_BUCKETS; ++b) latencies_[slot * RECLAIM_BUCKETS + b] = 0;
  }

  void read(std::uint32_t slot, RunQueueTrace::Histogram& histogram) const override {
    for (std::size_t b = 0; b < RECLAIM_BUCKETS; ++b) histogram[b] = counted(latencies_[slot * RECLAIM_BUCKETS + b]);
  }

 private:
  reclaim_bpf* skeleton_ = nullptr;
  MappedArray<__u64> latencies_;
};

}  // namespace

Result<std::unique_ptr<ReclaimTrace>> ReclaimTrace::create(const RunQueueTrace& run_queue) {
  auto trace = std::make_unique<Trace>();
  if (const Status loaded = trace->load(run_queue); !loaded) return loaded.error();
  return std::unique_ptr<ReclaimTrace>(std::move(trace));
}

}  // namespace proteus::collect
