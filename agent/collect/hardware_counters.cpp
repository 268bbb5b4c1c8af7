#include "agent/collect/hardware_counters.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "agent/collect/bpf_support.h"
#include "agent/collect/mapped_array.h"
#include "common/log.h"
#include "ebpf/hardware_counters.skel.h"

namespace proteus::collect {
namespace {

class Counters final : public HardwareCounters {
 public:
  ~Counters() override {
    if (skeleton_ != nullptr) close_events();
    hardware_counters_bpf__destroy(skeleton_);
  }

  Status load(const RunQueueTrace& run_queue, std::span<const PerfEvent, HARDWARE_COUNTERS_EVENTS> events) {
    const int cpus = libbpf_num_possible_cpus();
    if (cpus <= 0) return bpf_error("count possible CPUs", -cpus);
    cpus_ = static_cast<std::uint32_t>(cpus);
    slots_ = run_queue.slot_count();
    read_before_.resize(slots_);
    std::copy(events.begin(), events.end(), events_.begin());
    // first whether there are counters at all: on most hosts without, that is the end of it
    const int trial = open_event(events[0], 0);
    if (trial < 0) return bpf_error("the CPU's counters cannot be read (no PMU, as in most virtual machines)", errno);
    ::close(trial);

    const BpfLog log;
    skeleton_ = hardware_counters_bpf__open();
    if (skeleton_ == nullptr) return bpf_error("open hardware_counters", errno);
    skeleton_->rodata->slots = slots_;
    skeleton_->rodata->cpus = cpus_;
    bpf_map__set_max_entries(skeleton_->maps.events, HARDWARE_COUNTERS_EVENTS * cpus_);
    bpf_map__set_max_entries(skeleton_->maps.stripes, cpus_ * slots_);
    if (const int code = bpf_map__reuse_fd(skeleton_->maps.vm_processes, run_queue.processes_fd()); code != 0) {
      return bpf_error("share the table of VM processes", -code);
    }
    skeleton_->rodata->vm_process_entries = bpf_map__max_entries(skeleton_->maps.vm_processes);
    if (const int code = hardware_counters_bpf__load(skeleton_); code != 0) {
      return with_context(bpf_error(log.reason(), -code), "load hardware_counters");
    }
    if (!stripes_.map(bpf_map__fd(skeleton_->maps.stripes), std::size_t{cpus_} * slots_)) {
      return bpf_error("map hardware_counters' counters", errno);
    }
    if (Status opened = open_events(); !opened) return opened;
    if (const int code = hardware_counters_bpf__attach(skeleton_); code != 0) {
      return with_context(bpf_error(log.reason(), -code), "attach to sched_switch");
    }
    return {};
  }

  void clear(std::uint32_t slot) override {
    for (std::uint32_t cpu = 0; cpu < cpus_; ++cpu) stripes_[std::size_t{cpu} * slots_ + slot] = {};
    read_before_[slot] = {};
  }

  Counts read(std::uint32_t slot) override {
    Reading now{};
    for (std::uint32_t cpu = 0; cpu < cpus_; ++cpu) {
      const hardware_counters_stripe& stripe = stripes_[std::size_t{cpu} * slots_ + slot];
      for (std::size_t event = 0; event < now.counts.size(); ++event) {
        now.counts[event] += counted(stripe.counts[event]);
        now.running_ns[event] += counted(stripe.running_ns[event]);
      }
      now.enabled_ns += counted(stripe.enabled_ns);
    }
    const Reading& before = read_before_[slot];
    for (std::size_t event = 0; event < now.counts.size(); ++event) {
      now.scaled[event] = before.scaled[event] + scaled_count(now.counts[event] - before.counts[event],
                                                              now.enabled_ns - before.enabled_ns,
                                                              now.running_ns[event] - before.running_ns[event]);
    }
    read_before_[slot] = now;
    return now.scaled;
  }

  void follow_cpus() override {
    close_events();
    const Status opened = open_events();
    const bool counted_all = std::exchange(counts_all_cpus_, opened.has_value());
    if (opened) return;
    close_events();  // what there is none to spare of is left to others
    if (counted_all) log::warning("no hardware counters until they can be opened again: {}", opened.error().message);
  }
  bool counts_all_cpus() const override { return counts_all_cpus_; }

  int program_fd() const override { return bpf_program__fd(skeleton_->progs.on_sched_switch_counters); }

 private:
  static int open_event(const PerfEvent& event, int cpu) {
    perf_event_attr attributes{};
    attributes.size = sizeof attributes;
    attributes.type = event.type;
    attributes.config = event.config;
    return static_cast<int>(::syscall(SYS_perf_event_open, &attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC));
  }

  struct Reading {
    Counts counts{};
    Counts running_ns{};
    std::int64_t enabled_ns = 0;
    Counts scaled{};  // what has been told
  };

  /// The map holds them as the descriptors do.
  void close_events() {
    for (const int fd : event_fds_) ::close(fd);
    event_fds_.clear();
    for (std::uint32_t i = 0; i < events_.size() * cpus_; ++i) {
      bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.events), &i);
    }
  }

  Status open_events() {
    for (std::uint32_t event = 0; event < events_.size(); ++event) {
      for (std::uint32_t cpu = 0; cpu < cpus_; ++cpu) {
        const int fd = open_event(events_[event], static_cast<int>(cpu));
        if (fd < 0 && errno == ENODEV) continue;  // a CPU that is not online
        if (fd < 0) return bpf_error(fmt::format("count event {} of CPU {}", event, cpu), errno);
        event_fds_.push_back(fd);
        const std::uint32_t index = event * cpus_ + cpu;
        if (bpf_map_update_elem(bpf_map__fd(skeleton_->maps.events), &index, &fd, BPF_ANY) != 0) {
          return bpf_error("hand an event to hardware_counters", errno);
        }
      }
    }
    return {};
  }

  hardware_counters_bpf* skeleton_ = nullptr;
  std::uint32_t cpus_ = 0;
  std::uint32_t slots_ = 0;
  std::array<PerfEvent, HARDWARE_COUNTERS_EVENTS> events_{};
  std::vector<int> event_fds_;
  bool counts_all_cpus_ = true;
  std::vector<Reading> read_before_;  // by slot
  MappedArray<hardware_counters_stripe> stripes_;
};

}  // namespace

std::int64_t scaled_count(std::int64_t count, std::int64_t enabled_ns, std::int64_t running_ns) {
  if (running_ns <= 0 || running_ns >= enabled_ns) return count;
  return static_cast<std::int64_t>(static_cast<double>(count) * static_cast<double>(enabled_ns) /
                                   static_cast<double>(running_ns));
}

Result<std::unique_ptr<HardwareCounters>> HardwareCounters::create(
    const RunQueueTrace& run_queue, std::span<const PerfEvent, HARDWARE_COUNTERS_EVENTS> events) {
  auto counters = std::make_unique<Counters>();
  if (const Status loaded = counters->load(run_queue, events); !loaded) return loaded.error();
  return std::unique_ptr<HardwareCounters>(std::move(counters));
}

}  // namespace proteus::collect
