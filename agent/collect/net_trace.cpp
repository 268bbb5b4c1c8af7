#include "agent/collect/net_trace.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>

#include <cerrno>

#include "agent/collect/bpf_support.h"
#include "agent/collect/mapped_array.h"
#include "ebpf/net_softirq.h"
#include "ebpf/net_softirq.skel.h"
#include "ebpf/packet_drops.h"
#include "ebpf/packet_drops.skel.h"

namespace proteus::collect {
namespace {

class SoftirqTrace final : public NetSoftirqTrace {
 public:
  ~SoftirqTrace() override { net_softirq_bpf__destroy(skeleton_); }

  Status load() {
    const BpfLog log;
    const int cpus = libbpf_num_possible_cpus();
    if (cpus <= 0) return bpf_error("count possible CPUs", -cpus);
    cpus_ = static_cast<std::size_t>(cpus);
    skeleton_ = net_softirq_bpf__open();
    if (skeleton_ == nullptr) return bpf_error("open net_softirq", errno);
    bpf_map__set_max_entries(skeleton_->maps.times, static_cast<__u32>(cpus));
    if (const int code = net_softirq_bpf__load(skeleton_); code != 0) {
      return with_context(bpf_error(log.reason(), -code), "load net_softirq");
    }
    if (!times_.map(bpf_map__fd(skeleton_->maps.times), cpus_)) return bpf_error("map net_softirq's times", errno);
    if (const int code = net_softirq_bpf__attach(skeleton_); code != 0) {
      return with_context(bpf_error(log.reason(), -code), "attach to soft interrupts");
    }
    return {};
  }

  std::optional<std::int64_t> time_ns(std::size_t cpu) const override {
    if (cpu >= cpus_) return std::nullopt;
    return counted(times_[cpu].total_ns);
  }
  int entry_program_fd() const override { return bpf_program__fd(skeleton_->progs.on_softirq_entry); }
  int exit_program_fd() const override { return bpf_program__fd(skeleton_->progs.on_softirq_exit); }

 private:
  net_softirq_bpf* skeleton_ = nullptr;
  std::size_t cpus_ = 0;
  MappedArray<net_softirq_time> times_;
};

class DropTrace final : public PacketDropTrace {
 public:
  ~DropTrace() override { packet_drops_bpf__destroy(skeleton_); }

  Status load() {
    const auto arguments = tracepoint_argument_count("kfree_skb", nullptr);
    if (!arguments || *arguments < 3) {
      return Error{ErrorCode::kUnsupported, "kfree_skb of this kernel names no reasons (before 5.17)"};
    }
    names_ = kernel_enumerators("skb_drop_reason", PACKET_DROPS_REASONS);
    const BpfLog log;
    skeleton_ = packet_drops_bpf__open();
    if (skeleton_ == nullptr) return bpf_error("open packet_drops", errno);
    if (const int code = packet_drops_bpf__load(skeleton_); code != 0) {
      return with_context(bpf_error(log.reason(), -code), "load packet_drops");
    }
    if (!drops_.map(bpf_map__fd(skeleton_->maps.drops), PACKET_DROPS_REASONS)) {
      return bpf_error("map packet_drops' counters", errno);
    }
    if (const int code = packet_drops_bpf__attach(skeleton_); code != 0) {
      return with_context(bpf_error(log.reason(), -code), "attach to kfree_skb");
    }
    return {};
  }

  std::vector<std::pair<std::string, std::int64_t>> read() const override {
    std::vector<std::pair<std::string, std::int64_t>> all;
    for (std::size_t reason = 0; reason < PACKET_DROPS_REASONS; ++reason) {
      const std::int64_t count = counted(drops_[reason]);
      if (count > 0) all.emplace_back(name(reason), count);
    }
    return all;
  }
  int program_fd() const override { return bpf_program__fd(skeleton_->progs.on_kfree_skb); }

 private:
  std::string name(std::size_t reason) const {
    if (reason == PACKET_DROPS_REASONS - 1) return "of_a_subsystem";
    std::string text = reason < names_.size() ? names_[reason] : "";
    if (text.empty()) return fmt::format("reason-{}", reason);
    for (const std::string_view prefix : {"SKB_DROP_REASON_", "SKB_"}) {
      if (text.starts_with(prefix)) {
        text.erase(0, prefix.size());
        break;
      }
    }
    for (char& c : text) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return text;
  }

  packet_drops_bpf* skeleton_ = nullptr;
  MappedArray<__u64> drops_;
  std::vector<std::string> names_;
};

}  // namespace

Result<std::unique_ptr<NetSoftirqTrace>> NetSoftirqTrace::create() {
  auto trace = std::make_unique<SoftirqTrace>();
  if (const Status loaded = trace->load(); !loaded) return loaded.error();
  return std::unique_ptr<NetSoftirqTrace>(std::move(trace));
}

Result<std::unique_ptr<PacketDropTrace>> PacketDropTrace::create() {
  auto trace = std::make_unique<DropTrace>();
  if (const Status loaded = trace->load(); !loaded) return loaded.error();
  return std::unique_ptr<PacketDropTrace>(std::move(trace));
}

}  // namespace proteus::collect
