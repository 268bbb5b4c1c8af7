#include <fcntl.h>
#include <fmt/core.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "agent/calibrate/measure.h"
#include "agent/calibrate/stopwatch.h"

namespace proteus::calibrate {
namespace {

constexpr std::size_t kMemoryBytes = 0x1000;
constexpr std::uint64_t kCodeAt = 0x1000;
/// Intel's real mode needs three pages below 4 GiB for itself.
constexpr unsigned long kTssAt = 0xfffbd000;
/// Rounds until caches and the guest's own page are warm.
constexpr int kWarmUps = 64;
constexpr std::array<unsigned char, 6> kCode{
    0xba, 0x10, 0x00,  // mov dx, 0x10
    0xee,              // out dx, al
    0xeb, 0xfd,        // jmp to the out
};

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  operator int() const { return fd_; }  // NOLINT(google-explicit-constructor)

 private:
  int fd_;
};

struct Unmapped {
  void* at = MAP_FAILED;
  std::size_t bytes = 0;
  Unmapped(std::size_t size, int flags, int fd)
      : at(::mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, fd, 0)), bytes(size) {}
  ~Unmapped() {
    if (at != MAP_FAILED) ::munmap(at, bytes);
  }
  Unmapped(const Unmapped&) = delete;
  Unmapped& operator=(const Unmapped&) = delete;
};

Error trouble(const std::string& what) {
  return {ErrorCode::kUnsupported, fmt::format("{}: {}", what, std::strerror(errno))};
}

}  // namespace

Result<std::vector<double>> measure_exit_round_trip_ns(const std::string& kvm_device, Nanoseconds budget) {
  const Descriptor kvm(::open(kvm_device.c_str(), O_RDWR | O_CLOEXEC));
  if (kvm < 0) return trouble(kvm_device);
  const Descriptor vm(::ioctl(kvm, KVM_CREATE_VM, 0));
  if (vm < 0) return trouble("KVM_CREATE_VM");
  ::ioctl(vm, KVM_SET_TSS_ADDR, kTssAt);  // elsewhere it is not known, nor needed
  const Unmapped memory(kMemoryBytes, MAP_SHARED | MAP_ANONYMOUS, -1);
  if (memory.at == MAP_FAILED) return trouble("memory for the guest");
  std::memcpy(memory.at, kCode.data(), kCode.size());
  kvm_userspace_memory_region region{};
  region.guest_phys_addr = kCodeAt;
  region.memory_size = kMemoryBytes;
  region.userspace_addr = reinterpret_cast<std::uintptr_t>(memory.at);
  if (::ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) != 0) return trouble("KVM_SET_USER_MEMORY_REGION");
  const int run_bytes = ::ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  if (run_bytes <= 0) return trouble("KVM_GET_VCPU_MMAP_SIZE");
  const Descriptor vcpu(::ioctl(vm, KVM_CREATE_VCPU, 0));
  if (vcpu < 0) return trouble("KVM_CREATE_VCPU");
  const Unmapped mapped(static_cast<std::size_t>(run_bytes), MAP_SHARED, vcpu);
  if (mapped.at == MAP_FAILED) return trouble("mmap of the vCPU");
  const auto* run = static_cast<const kvm_run*>(mapped.at);

  kvm_sregs special{};
  if (::ioctl(vcpu, KVM_GET_SREGS, &special) != 0) return trouble("KVM_GET_SREGS");
  special.cs.base = special.cs.selector = 0;
  if (::ioctl(vcpu, KVM_SET_SREGS, &special) != 0) return trouble("KVM_SET_SREGS");
  kvm_regs general{};
  general.rip = kCodeAt;
  general.rflags = 2;
  if (::ioctl(vcpu, KVM_SET_REGS, &general) != 0) return trouble("KVM_SET_REGS");

  std::vector<double> latencies;
  int rounds = 0;
  Stopwatch watch(budget);
  do {
    watch.lap_ns();
    if (::ioctl(vcpu, KVM_RUN, 0) != 0) {
      if (errno == EINTR) continue;
      return trouble("KVM_RUN");
    }
    const double lap_ns = watch.lap_ns();
    if (run->exit_reason != KVM_EXIT_IO) {
      return Error{ErrorCode::kUnsupported,
                   fmt::format("the guest's code does not run here (exit reason {})", run->exit_reason)};
    }
    if (++rounds > kWarmUps) latencies.push_back(lap_ns);
  } while (watch.time_left() || latencies.empty());
  return latencies;
}

}  // namespace proteus::calibrate
