#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/kpi.h"
#include "common/result.h"
#include "ebpf/kvm_counters.h"

namespace proteus::collect {

/// One of KVM's counters, or nullopt where this kernel does not keep it.
std::optional<std::int64_t> counter(const kvm_counters& figures, kvm_counter which);
/// The halt-wait histogram in our buckets; nullopt where this kernel does not keep it. The kernel's last bucket, 2^30
/// ns and more, lands in our last but one.
std::optional<std::array<std::int64_t, kHistogramBucketCount>> halt_waits(const kvm_counters& figures);

/// KVM's figures that this kernel does not keep, each with the reason, in words for people.
/// keeps: whether a struct of KVM's has a member; asked about what came after Linux 5.10.
std::map<Kpi, std::string> missing_kvm_figures(
    const std::function<bool(const std::string& type, const std::string& member)>& keeps);

/// For how many vCPUs a host with so many CPUs has room.
std::size_t kvm_slots(int cpus);

/// Finds vCPUs by their descriptors with as few walks as the kernel allows. Thread: owned by one.
class VcpuFinder {
 public:
  /// Walks the descriptors of one process, or for 0 of all. Errors: kUnsupported if the kernel cannot walk one alone
  /// (before 6.1).
  using Walk = std::function<Result<std::vector<kvm_vcpu_place>>(pid_t pid)>;
  explicit VcpuFinder(Walk walk) : walk_(std::move(walk)) {}

  /// See KvmReader.
  void begin_tick() { all_.reset(); }
  std::vector<kvm_vcpu_place> find(pid_t pid);

 private:
  Walk walk_;
  bool walks_all_ = false;
  std::optional<std::map<pid_t, std::vector<kvm_vcpu_place>>> all_;  ///< of this tick, if there was a walk over all
};

/// KVM's own statistics of vCPUs, through ebpf/kvm_counters. Thread: owned by one.
class KvmReader {
 public:
  /// Errors: kUnsupported, kPermissionDenied with the kernel's reason (KVM not there, kernel without its types, …).
  static Result<std::unique_ptr<KvmReader>> create();
  virtual ~KvmReader() = default;

  /// Where only all processes can be walked, one walk serves each find() until the next call of this.
  virtual void begin_tick() = 0;
  /// The vCPUs whose descriptors the process holds, in order of their number; empty if it runs no KVM guest.
  /// Cost: about 0.2 µs per open file of the process (kernel 6.1), of all processes before, but once a tick.
  virtual std::vector<kvm_vcpu_place> find(pid_t pid) = 0;
  /// figures[i] answers vcpus[i]; nullopt if that vCPU is gone or there was no room. Cost: 0.1 µs a vCPU.
  virtual void read(std::span<const kvm_vcpu_place> vcpus, std::span<std::optional<kvm_counters>> figures) = 0;
  /// vCPUs that had no room, at most at once so far.
  virtual std::int64_t refused_count() const = 0;
  /// The program that read() runs, for its statistics.
  virtual int program_fd() const = 0;
};

}  // namespace proteus::collect
