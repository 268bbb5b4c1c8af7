#include "agent/collect/pressure_reader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <time.h>

#include <algorithm>
#include <cerrno>

#include "agent/collect/bpf_support.h"
#include "agent/collect/mapped_array.h"
#include "ebpf/pressure.skel.h"

namespace proteus::collect {
namespace {

class ProgramPressureReader final : public PressureReader {
 public:
  ~ProgramPressureReader() override { pressure_bpf__destroy(skeleton_); }

  Status load() {
    if (const Status known = require_kernel_function("bpf_cgroup_from_id", "6.2"); !known) {
      return Error{known.error().code, known.error().message + "; pressure files are read"};
    }
    const BpfLog log;
    skeleton_ = pressure_bpf__open();
    if (skeleton_ == nullptr) return bpf_error("open pressure", errno);
    const int cpus = libbpf_num_possible_cpus();
    if (cpus <= 0) return bpf_error("count possible CPUs", -cpus);
    slots_ = std::clamp<std::size_t>(static_cast<std::size_t>(cpus) * PRESSURE_GROUPS_PER_CPU, PRESSURE_GROUPS_MIN,
                                     PRESSURE_GROUPS_MAX);
    for (bpf_map* map : {skeleton_->maps.groups, skeleton_->maps.answers}) {
      bpf_map__set_max_entries(map, static_cast<__u32>(slots_));
    }
    if (const int code = pressure_bpf__load(skeleton_); code != 0) {
      return with_context(bpf_error(log.reason(), -code), "load pressure");
    }
    if (!groups_.map(bpf_map__fd(skeleton_->maps.groups), slots_) ||
        !answers_.map(bpf_map__fd(skeleton_->maps.answers), slots_)) {
      return bpf_error("map pressure's arrays", errno);
    }
    timespec tick{};
    ::clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
    args_ = {.count = 0, .cpus = static_cast<__u32>(cpus), .jiffy_ns = static_cast<__u32>(tick.tv_nsec)};
    if (!run(0)) return bpf_error("run poll_pressure", errno);
    return {};
  }

  void read(std::span<const pressure_request> requests, std::span<std::optional<group_pressure>> figures) override {
    const std::size_t count = std::min(requests.size(), slots_);
    for (std::size_t i = 0; i < count; ++i) groups_[i] = requests[i];
    const bool ran = count > 0 && run(count);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      figures[i].reset();
      if (ran && i < count && answers_[i].valid != 0) figures[i] = answers_[i];
    }
  }

  int program_fd() const override { return bpf_program__fd(skeleton_->progs.poll_pressure); }

 private:
  bool run(std::size_t count) {
    args_.count = static_cast<__u32>(count);
    LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &args_, .ctx_size_in = sizeof args_);
    return bpf_prog_test_run_opts(program_fd(), &options) == 0;
  }

  pressure_bpf* skeleton_ = nullptr;
  std::size_t slots_ = 0;
  pressure_args args_{};
  MappedArray<pressure_request> groups_;
  MappedArray<group_pressure> answers_;
};

}  // namespace

Result<std::unique_ptr<PressureReader>> PressureReader::create() {
  auto reader = std::make_unique<ProgramPressureReader>();
  if (const Status loaded = reader->load(); !loaded) return loaded.error();
  return std::unique_ptr<PressureReader>(std::move(reader));
}

}  // namespace proteus::collect
