#include "agent/collect/run_queue_trace.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "agent/collect/bpf_support.h"
#include "agent/collect/mapped_array.h"
#include "agent/collect/process_table.h"
#include "agent/collect/run_queue_ledger.h"
#include "ebpf/run_queue.h"
#include "ebpf/run_queue.skel.h"

namespace proteus::collect {
namespace {

constexpr int kPassesMost = 4;

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
    ledger_->clear(slot);
    return slot;
  }

  void release_slot(std::uint32_t slot) override { free_.push_back(slot); }

  bool watch(pid_t process, std::uint32_t slot) override {
    if (!table_->enter(process, slot)) return false;
    ledger_->watch(process, slot);
    return true;
  }
  void forget(pid_t process) override {
    table_->remove(process);
    ledger_->forget(process);
  }
  void set_vcpus(pid_t process, std::span<const pid_t> threads) override { ledger_->set_vcpus(process, threads); }

  void update() override {
    // the hook begins a log anew only when it is empty: again for what has come meanwhile, which is little
    for (int pass = 0; pass < kPassesMost && take_all(); ++pass) {
    }
  }

  int updates_due() override {
    const std::int64_t lost = lost_count();
    updates_ = updates_for(*std::max_element(taken_.begin(), taken_.end()), lost > lost_before_, updates_);
    lost_before_ = lost;
    std::fill(taken_.begin(), taken_.end(), 0);
    return updates_;
  }

  void read_histograms(std::uint32_t slot, Histogram& waits, Histogram& slices) const override {
    waits = ledger_->waits(slot);
    slices = ledger_->slices(slot);
  }
  std::int64_t preemptions(std::uint32_t slot, std::optional<std::uint32_t> winner) const override {
    return ledger_->preemptions(slot, winner);
  }
  std::uint64_t pairs_count() const override { return ledger_->pairs_count(); }
  std::int64_t own_quota_wait_ns(std::uint32_t slot) const override { return ledger_->own_quota_wait_ns(slot); }

  std::int64_t lost_count() const override {
    std::int64_t sum = 0;
    for (std::uint32_t cpu = 0; cpu < cpus_; ++cpu) sum += counted(here_[cpu].lost_count);
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
    const std::size_t entries = ProcessTable::entries_for(slots_);
    skeleton_->rodata->vm_process_entries = static_cast<__u32>(entries);
    bpf_map__set_max_entries(skeleton_->maps.vm_processes, static_cast<__u32>(entries));
    bpf_map__set_max_entries(skeleton_->maps.cpus, cpus_);
    if (const int code = run_queue_bpf__load(skeleton_); code != 0) {
      return with_context(bpf_error(log.reason(), -code), "load run_queue");
    }
    if (!here_.map(bpf_map__fd(skeleton_->maps.cpus), cpus_)) {
      return bpf_error("map run_queue's log", errno);
    }
    ledger_.emplace(slots_, cpus_);
    logs_.resize(cpus_);
    lost_.resize(cpus_);
    ends_in_loss_.resize(cpus_);
    taken_.resize(cpus_);
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

  /// False if there was nothing.
  bool take_all() {
    bool any = false;
    for (std::uint32_t cpu = 0; cpu < cpus_; ++cpu) {
      const run_queue_cpu& here = here_[cpu];
      // read before the head: where it has grown, the log is full until it is taken
      const std::int64_t lost = counted(here.lost_count);
      ends_in_loss_[cpu] = std::exchange(lost_[cpu], lost) != lost;
      const std::uint64_t head = __atomic_load_n(&here.head, __ATOMIC_ACQUIRE);
      const std::size_t count = head - here.tail;
      logs_[cpu] = {};
      if (count == 0) continue;
      any = true;
      const std::uint64_t first = here.first;  // stands still while there is something in the log
      logs_[cpu] = {&here.departures[here.tail - first], count};
      taken_[cpu] += count;
    }
    ledger_->take(logs_, ends_in_loss_);
    for (std::uint32_t cpu = 0; cpu < cpus_; ++cpu) {
      __atomic_store_n(&here_[cpu].tail, here_[cpu].tail + logs_[cpu].size(), __ATOMIC_RELEASE);
      // while they were taken a full log stayed full
      const std::int64_t lost = counted(here_[cpu].lost_count);
      if (std::exchange(lost_[cpu], lost) != lost) ledger_->lose();
    }
    return any;
  }

  run_queue_bpf* skeleton_ = nullptr;
  std::uint32_t cpus_ = 0;
  std::uint32_t slots_ = 0;
  MappedArray<run_queue_cpu> here_;
  std::optional<RunQueueLedger> ledger_;
  std::vector<std::span<const run_queue_departure>> logs_;  // reused from update to update
  std::vector<std::int64_t> lost_;                          // by CPU, so far
  std::vector<std::uint8_t> ends_in_loss_;                  // by CPU, in this update
  std::vector<std::uint64_t> taken_;                        // by CPU, since updates_due()
  std::int64_t lost_before_ = 0;
  int updates_ = 1;
  std::optional<ProcessTable> table_;
  std::deque<std::uint32_t> free_;  // oldest release first, so a slot rests for as long as there are others
};

}  // namespace

int updates_for(std::uint64_t departures, bool lost, int before) {
  constexpr std::uint64_t kHalf = RUN_QUEUE_LOG_DEPARTURES / 2;
  const auto enough = static_cast<int>(std::min<std::uint64_t>((departures + kHalf - 1) / kHalf, kUpdatesMost));
  return std::clamp(lost ? std::max(enough, 2 * before) : enough, 1, kUpdatesMost);
}

Result<std::unique_ptr<RunQueueTrace>> RunQueueTrace::create() {
  return Trace::create();
}

}  // namespace proteus::collect
