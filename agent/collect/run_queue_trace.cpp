#include "agent/collect/run_queue_trace.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>

#include "agent/collect/bpf_support.h"
#include "agent/collect/mapped_array.h"
#include "ebpf/run_queue.h"
#include "ebpf/run_queue.skel.h"

namespace proteus::collect {
namespace {

class Trace final : public RunQueueTrace {
 public:
  static Result<std::unique_ptr<RunQueueTrace>> create() {
    std::string reason;
    for (const bool by_id : {true, false}) {
      std::unique_ptr<Trace> trace(new Trace(by_id));
      const Status loaded = trace->load();
      if (loaded) return std::unique_ptr<RunQueueTrace>(std::move(trace));
      if (!by_id) return loaded.error();
    }
    return Error{ErrorCode::kInternal, "unreachable"};
  }

  ~Trace() override {
    bpf_link__destroy(iterator_);
    run_queue_bpf__destroy(skeleton_);
  }

  std::uint32_t slot_count() const override { return slots_; }

  std::optional<std::uint32_t> acquire_slot() override {
    if (free_.empty()) return std::nullopt;
    const std::uint32_t slot = free_.front();
    free_.pop_front();
    clear(slot);
    return slot;
  }

  void release_slot(std::uint32_t slot) override { free_.push_back(slot); }

  void mark(std::span<ThreadMark> all) override {
    while (!all.empty()) {
      const auto batch = all.first(std::min<std::size_t>(all.size(), RUN_QUEUE_MARK_BATCH));
      all = all.subspan(batch.size());
      for (std::size_t i = 0; i < batch.size(); ++i) {
        skeleton_->bss->marks[i] = {static_cast<__u32>(batch[i].thread.tid), static_cast<__u32>(batch[i].thread.pid),
                                    batch[i].slot.value_or(RUN_QUEUE_SLOT_NONE), 0};
      }
      const bool ran = by_id_ ? run_marks(batch.size()) : scan_marks(batch.size());
      for (std::size_t i = 0; i < batch.size(); ++i) batch[i].done = ran && skeleton_->bss->marks[i].marked != 0;
    }
  }

  void read_histograms(std::uint32_t slot, Histogram& waits, Histogram& slices) const override {
    waits.fill(0);
    slices.fill(0);
    for (std::uint32_t cpu = 0; cpu < cpus_; ++cpu) {
      const run_queue_stripe& stripe = stripes_[static_cast<std::size_t>(cpu) * slots_ + slot];
      for (std::size_t b = 0; b < RUN_QUEUE_BUCKETS; ++b) {
        waits[b] += counted(stripe.waits[b]);
        slices[b] += counted(stripe.slices[b]);
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
  int threads_fd() const override { return bpf_map__fd(skeleton_->maps.threads); }

 private:
  explicit Trace(bool by_id) : by_id_(by_id) {}

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
    bpf_program__set_autoload(by_id_ ? skeleton_->progs.scan_marks : skeleton_->progs.mark_threads, false);
    if (by_id_) bpf_map__set_autocreate(skeleton_->maps.wanted, false);
    if (const int code = run_queue_bpf__load(skeleton_); code != 0) {
      return with_context(bpf_error(log.reason(), -code), "load run_queue");
    }
    if (!stripes_.map(bpf_map__fd(skeleton_->maps.stripes), static_cast<std::size_t>(cpus_) * slots_) ||
        !preemptions_.map(bpf_map__fd(skeleton_->maps.preemptions), static_cast<std::size_t>(slots_) * (slots_ + 1))) {
      return bpf_error("map run_queue's counters", errno);
    }
    if (by_id_) {
      if (!run_marks(0)) return bpf_error("run mark_threads", errno);
    } else {
      iterator_ = bpf_program__attach_iter(skeleton_->progs.scan_marks, nullptr);
      if (iterator_ == nullptr) return bpf_error("attach scan_marks", errno);
    }
    skeleton_->links.on_sched_switch = bpf_program__attach(skeleton_->progs.on_sched_switch);
    if (skeleton_->links.on_sched_switch == nullptr) {
      return with_context(bpf_error(log.reason(), errno), "attach to sched_switch");
    }
    for (std::uint32_t slot = 0; slot < slots_; ++slot) free_.push_back(slot);
    return {};
  }

  bool run_marks(std::size_t count) {
    run_queue_args args{static_cast<__u32>(count)};
    LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &args, .ctx_size_in = sizeof args);
    return bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.mark_threads), &options) == 0;
  }

  bool scan_marks(std::size_t count) {
    const int map = bpf_map__fd(skeleton_->maps.wanted);
    for (std::size_t i = 0; i < count; ++i) {
      const auto index = static_cast<__u32>(i);
      bpf_map_update_elem(map, &skeleton_->bss->marks[i].tid, &index, BPF_ANY);
    }
    const int fd = bpf_iter_create(bpf_link__fd(iterator_));
    ssize_t n = -1;
    if (fd >= 0) {
      char nothing[64];
      do {
        n = ::read(fd, nothing, sizeof nothing);
      } while (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)));
      ::close(fd);
    }
    for (std::size_t i = 0; i < count; ++i) bpf_map_delete_elem(map, &skeleton_->bss->marks[i].tid);
    return n == 0;
  }

  std::size_t cell(std::size_t row, std::size_t column) const { return row * (slots_ + 1) + column; }

  void clear(std::uint32_t slot) {
    for (std::uint32_t cpu = 0; cpu < cpus_; ++cpu) stripes_[static_cast<std::size_t>(cpu) * slots_ + slot] = {};
    for (std::uint32_t other = 0; other < slots_; ++other) preemptions_[cell(other, slot)] = 0;
    for (std::uint32_t column = 0; column <= slots_; ++column) preemptions_[cell(slot, column)] = 0;
  }

  const bool by_id_;
  run_queue_bpf* skeleton_ = nullptr;
  bpf_link* iterator_ = nullptr;
  std::uint32_t cpus_ = 0;
  std::uint32_t slots_ = 0;
  MappedArray<run_queue_stripe> stripes_;
  MappedArray<__u64> preemptions_;
  std::deque<std::uint32_t> free_;  // oldest release first, so a slot rests for as long as there are others
};

}  // namespace

Result<std::unique_ptr<RunQueueTrace>> RunQueueTrace::create() {
  return Trace::create();
}

}  // namespace proteus::collect
