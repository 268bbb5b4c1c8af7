#include "agent/collect/run_queue_trace.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <deque>

#include "agent/collect/bpf_support.h"
#include "agent/collect/mapped_array.h"
#include "agent/collect/process_table.h"
#include "ebpf/run_queue.h"
#include "ebpf/run_queue.skel.h"

namespace proteus::collect {
namespace {

class Trace final : public RunQueueTrace {
 public:
  static Result<std::unique_ptr<RunQueueTrace>> create() {
    std::unique_ptr<Trace> trace(new Trace);
    if (const Status loaded = trace->load(); !loaded) return loaded.error();
    return std::unique_ptr<RunQueueTrace>(std::move(trace));
  }

  ~Trace() override { run_queue_bpf__destroy(skeleton_); }

  std::uint32_t slot_count() const override { return slots_; }

  std::optional<std::uint32_t> acquire_slot() override {
    if (free_.empty()) return std::nullopt;
    const std::uint32_t slot = free_.front();
    free_.pop_front();
    clear(slot);
    return slot;
  }

  void release_slot(std::uint32_t slot) override { free_.push_back(slot); }

  bool watch(pid_t process, std::uint32_t slot) override { return table_->enter(process, slot); }
  void forget(pid_t process) override { table_->remove(process); }

  void read_histograms(std::uint32_t slot, Histogram& waits, Histogram& slices) const override {
    waits.fill(0);
    slices.fill(0);
    for (std::uint32_t cpu = 0; cpu < cpus_; ++cpu) {
      const run_queue_stripe& stripe = stripes_[static_cast<std::size_t>(cpu) * slots_ + slot];
      for (std::size_t b = 0; b < RUN_QUEUE_BUCKETS; ++b) {
        waits[b] += counted(stripe.buckets[b].waits);
        slices[b] += counted(stripe.buckets[b].slices);
      }
    }
  }

  std::int64_t preemptions(std::uint32_t slot, std::optional<std::uint32_t> winner) const override {
    return counted(preemptions_[cell(slot, winner.value_or(slots_))]);
  }

  std::int64_t own_quota_wait_ns(std::uint32_t slot) const override {
    std::int64_t sum = 0;
    for (std::uint32_t cpu = 0; cpu < cpus_; ++cpu) {
      sum += counted(stripes_[static_cast<std::size_t>(cpu) * slots_ + slot].own_quota_wait_ns);
    }
    return sum;
  }

  int program_fd() const override { return bpf_program__fd(skeleton_->progs.on_sched_switch); }
  int processes_fd() const override { return bpf_map__fd(skeleton_->maps.vm_processes); }

 private:
  Trace() = default;

  Status load() {
    const BpfLog log;
    skeleton_ = run_queue_bpf__open();
    if (skeleton_ == nullptr) return bpf_error("open run_queue", errno);
    const int cpus = libbpf_num_possible_cpus();
    if (cpus <= 0) return bpf_error("count possible CPUs", -cpus);
    cpus_ = static_cast<std::uint32_t>(cpus);
    slots_ = std::clamp<std::uint32_t>(cpus_ * RUN_QUEUE_SLOTS_PER_CPU, RUN_QUEUE_SLOTS_MIN, RUN_QUEUE_SLOTS_MAX);
    skeleton_->rodata->slots = slots_;
    bpf_map__set_max_entries(skeleton_->maps.stripes, cpus_ * slots_);
    bpf_map__set_max_entries(skeleton_->maps.preemptions, slots_ * (slots_ + 1));
    const std::size_t entries = ProcessTable::entries_for(slots_);
    skeleton_->rodata->vm_process_entries = static_cast<__u32>(entries);
    bpf_map__set_max_entries(skeleton_->maps.vm_processes, static_cast<__u32>(entries));
    bpf_map__set_max_entries(skeleton_->maps.arrivals, cpus_);
    bpf_map__set_max_entries(skeleton_->maps.departures, slots_ * RUN_QUEUE_DEPARTURES);
    if (const int code = run_queue_bpf__load(skeleton_); code != 0) {
      return with_context(bpf_error(log.reason(), -code), "load run_queue");
    }
    if (!stripes_.map(bpf_map__fd(skeleton_->maps.stripes), static_cast<std::size_t>(cpus_) * slots_) ||
        !preemptions_.map(bpf_map__fd(skeleton_->maps.preemptions), static_cast<std::size_t>(slots_) * (slots_ + 1))) {
      return bpf_error("map run_queue's counters", errno);
    }
    table_.emplace(entries, [map = processes_fd()](__u32 index, __u64 entry) {
      return bpf_map_update_elem(map, &index, &entry, BPF_ANY) == 0;
    });
    skeleton_->links.on_sched_switch = bpf_program__attach(skeleton_->progs.on_sched_switch);
    if (skeleton_->links.on_sched_switch == nullptr) {
      return with_context(bpf_error(log.reason(), errno), "attach to sched_switch");
    }
    for (std::uint32_t slot = 0; slot < slots_; ++slot) free_.push_back(slot);
    return {};
  }

  std::size_t cell(std::size_t row, std::size_t column) const { return row * (slots_ + 1) + column; }

  void clear(std::uint32_t slot) {
    for (std::uint32_t cpu = 0; cpu < cpus_; ++cpu) stripes_[static_cast<std::size_t>(cpu) * slots_ + slot] = {};
    for (std::uint32_t other = 0; other < slots_; ++other) preemptions_[cell(other, slot)] = 0;
    for (std::uint32_t column = 0; column <= slots_; ++column) preemptions_[cell(slot, column)] = 0;
  }

  run_queue_bpf* skeleton_ = nullptr;
  std::uint32_t cpus_ = 0;
  std::uint32_t slots_ = 0;
  MappedArray<run_queue_stripe> stripes_;
  MappedArray<__u64> preemptions_;
  std::optional<ProcessTable> table_;
  std::deque<std::uint32_t> free_;  // oldest release first, so a slot rests for as long as there are others
};

}  // namespace

Result<std::unique_ptr<RunQueueTrace>> RunQueueTrace::create() {
  return Trace::create();
}

}  // namespace proteus::collect
