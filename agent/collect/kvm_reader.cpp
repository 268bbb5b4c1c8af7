#include "agent/collect/kvm_reader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "agent/collect/bpf_support.h"
#include "agent/collect/mapped_array.h"
#include "common/log.h"
#include "ebpf/kvm_counters.skel.h"

namespace proteus::collect {
namespace {

class ProgramKvmReader final : public KvmReader {
 public:
  ~ProgramKvmReader() override { kvm_counters_bpf__destroy(skeleton_); }

  Status load() {
    if (!has_kernel_type("kvm_vcpu") && !kernel_has_module("kvm")) {
      return Error{ErrorCode::kUnsupported,
                   "no type information of KVM: its module is not loaded, or the kernel is older than 5.11"};
    }
    const BpfLog log;
    skeleton_ = kvm_counters_bpf__open();
    if (skeleton_ == nullptr) return bpf_error("open kvm_counters", errno);
    const int cpus = libbpf_num_possible_cpus();
    if (cpus <= 0) return bpf_error("count possible CPUs", -cpus);
    slots_ = kvm_slots(cpus);
    for (bpf_map* map : {skeleton_->maps.requests, skeleton_->maps.answers}) {
      bpf_map__set_max_entries(map, static_cast<__u32>(slots_));
    }
    if (const int code = kvm_counters_bpf__load(skeleton_); code != 0) {
      return with_context(bpf_error(log.reason(), -code), "load kvm_counters");
    }
    if (!requests_.map(bpf_map__fd(skeleton_->maps.requests), slots_) ||
        !answers_.map(bpf_map__fd(skeleton_->maps.answers), slots_)) {
      return bpf_error("map kvm_counters' arrays", errno);
    }
    if (!run(0, 0)) return bpf_error("run poll_vcpus", errno);
    return {};
  }

  void begin_tick() override { finder_.begin_tick(); }
  std::vector<kvm_vcpu_place> find(pid_t pid) override { return finder_.find(pid); }

  void read(std::span<const kvm_vcpu_place> vcpus, std::span<std::optional<kvm_counters>> figures) override {
    const std::size_t count = std::min(vcpus.size(), slots_);
    if (vcpus.size() - count > refused_most_) {
      if (refused_most_ == 0) log::warning("more than {} vCPUs: those beyond have no figures of KVM", slots_);
      refused_most_ = vcpus.size() - count;
    }
    for (std::size_t i = 0; i < count; ++i) requests_[i] = vcpus[i];
    bool ran = true;
    for (std::size_t from = 0; from < count && ran; from += KVM_COUNTERS_AT_ONCE) {
      ran = run(from, std::min<std::size_t>(count, from + KVM_COUNTERS_AT_ONCE));
    }
    for (std::size_t i = 0; i < vcpus.size(); ++i) {
      figures[i].reset();
      if (ran && i < count && answers_[i].valid != 0) figures[i] = answers_[i];
    }
  }

  std::int64_t refused_count() const override { return static_cast<std::int64_t>(refused_most_); }
  int program_fd() const override { return bpf_program__fd(skeleton_->progs.poll_vcpus); }

 private:
  Result<std::vector<kvm_vcpu_place>> walk(pid_t pid) {
    bpf_iter_link_info which{};
    which.task.pid = static_cast<__u32>(pid);
    LIBBPF_OPTS(bpf_iter_attach_opts, options, .link_info = &which, .link_info_len = sizeof which);
    const BpfLog log;  // keeps libbpf quiet where the kernel cannot walk one process alone
    bpf_link* link = bpf_program__attach_iter(skeleton_->progs.find_vcpus, pid == 0 ? nullptr : &options);
    if (link == nullptr) {
      const bool is_older = errno == E2BIG || errno == EINVAL;  // it knows no such wish
      return Error{is_older ? ErrorCode::kUnsupported : ErrorCode::kUnavailable, log.reason()};
    }
    std::vector<kvm_vcpu_place> places;
    read_places(bpf_link__fd(link), places);
    bpf_link__destroy(link);
    return places;
  }

  static void read_places(int link_fd, std::vector<kvm_vcpu_place>& places) {
    const int fd = bpf_iter_create(link_fd);
    if (fd < 0) return;
    std::array<kvm_vcpu_place, 64> buffer;
    std::size_t held = 0;  // bytes
    auto* bytes = reinterpret_cast<char*>(buffer.data());
    for (;;) {
      const ssize_t n = ::read(fd, bytes + held, sizeof buffer - held);
      if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (n <= 0) break;
      held += static_cast<std::size_t>(n);
      const std::size_t whole = held / sizeof(kvm_vcpu_place);
      places.insert(places.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(whole));
      held -= whole * sizeof(kvm_vcpu_place);
      std::memmove(bytes, bytes + whole * sizeof(kvm_vcpu_place), held);
    }
    ::close(fd);
  }

  /// Has the requests in [from, to) answered.
  bool run(std::size_t from, std::size_t to) {
    __u64 args[2] = {from, to};
    LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = args, .ctx_size_in = sizeof args);
    return bpf_prog_test_run_opts(program_fd(), &options) == 0;
  }

  kvm_counters_bpf* skeleton_ = nullptr;
  VcpuFinder finder_{[this](pid_t pid) { return walk(pid); }};
  std::size_t slots_ = 0;
  std::size_t refused_most_ = 0;
  MappedArray<kvm_vcpu_place> requests_;
  MappedArray<kvm_counters> answers_;
};

}  // namespace

std::size_t kvm_slots(int cpus) {
  return std::clamp<std::size_t>(static_cast<std::size_t>(cpus) * KVM_COUNTERS_SLOTS_PER_CPU, KVM_COUNTERS_SLOTS_MIN,
                                 KVM_COUNTERS_SLOTS_MAX);
}

std::optional<std::int64_t> counter(const kvm_counters& figures, kvm_counter which) {
  if ((figures.known >> which & 1) == 0) return std::nullopt;
  return static_cast<std::int64_t>(figures.counters[which]);
}

std::optional<std::array<std::int64_t, kHistogramBucketCount>> halt_waits(const kvm_counters& figures) {
  static_assert(KVM_COUNTERS_HALT_BUCKETS == kHistogramBucketCount);
  if ((figures.known >> KVM_COUNTERS & 1) == 0) return std::nullopt;
  std::array<std::int64_t, kHistogramBucketCount> ours{};
  for (std::size_t b = 0; b < KVM_COUNTERS_HALT_BUCKETS; ++b) {
    ours[b == 0 ? 0 : b - 1] += static_cast<std::int64_t>(figures.halt_waits[b]);
  }
  return ours;
}

std::map<Kpi, std::string> missing_kvm_figures(
    const std::function<bool(const std::string& type, const std::string& member)>& keeps) {
  struct Figure {
    Kpi kpi;
    const char* type;
    const char* member;
    const char* since;
  };
  constexpr Figure kLater[] = {{Kpi::kDirectedYieldsCount, "kvm_vcpu_stat", "directed_yield_attempted", "5.13"},
                               {Kpi::kHaltWaitNs, "kvm_vcpu_stat_generic", "halt_wait_hist", "5.15"},
                               {Kpi::kMappedPages4k, "kvm_vm_stat", "pages_4k", "5.15"},
                               {Kpi::kMappedPages2m, "kvm_vm_stat", "pages_2m", "5.15"},
                               {Kpi::kSecondLevelFaultsCount, "kvm_vcpu_stat", "pf_taken", "5.19"},
                               {Kpi::kPreemptionReportedCount, "kvm_vcpu_stat", "preemption_reported", "5.19"}};
  std::map<Kpi, std::string> missing;
  for (const Figure& figure : kLater) {
    if (keeps(figure.type, figure.member)) continue;
    missing[figure.kpi] = fmt::format("this kernel's KVM does not keep {}.{} (since {}, on x86)", figure.type,
                                      figure.member, figure.since);
  }
  return missing;
}

std::vector<kvm_vcpu_place> VcpuFinder::find(pid_t pid) {
  std::vector<kvm_vcpu_place> places;
  if (!walks_all_) {
    auto walked = walk_(pid);
    walks_all_ = !walked && walked.error().code == ErrorCode::kUnsupported;
    if (walked) places = std::move(walked).value();
  }
  if (walks_all_) {
    if (!all_) {
      all_.emplace();
      if (auto walked = walk_(0)) {
        for (const kvm_vcpu_place& place : *walked) (*all_)[static_cast<pid_t>(place.pid)].push_back(place);
      }
    }
    const auto its = all_->find(pid);
    if (its != all_->end()) places = its->second;
  }
  std::erase_if(places, [pid](const kvm_vcpu_place& p) { return p.pid != static_cast<__u32>(pid); });
  std::sort(places.begin(), places.end(),
            [](const kvm_vcpu_place& a, const kvm_vcpu_place& b) { return a.vcpu_id < b.vcpu_id; });
  const auto same = [](const kvm_vcpu_place& a, const kvm_vcpu_place& b) { return a.vcpu == b.vcpu; };
  places.erase(std::unique(places.begin(), places.end(), same), places.end());  // descriptors may be duplicates
  return places;
}

Result<std::unique_ptr<KvmReader>> KvmReader::create() {
  auto reader = std::make_unique<ProgramKvmReader>();
  if (const Status loaded = reader->load(); !loaded) return loaded.error();
  return std::unique_ptr<KvmReader>(std::move(reader));
}

}  // namespace proteus::collect
