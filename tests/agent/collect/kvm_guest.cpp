// A virtual machine of our own: real-mode code under /dev/kvm, with as many vCPUs as are asked for.
//
//   kvm_guest -uuid UUID VCPUS
//
// Each vCPU goes round forever: one port write (an I/O exit), one read where there is no memory (an MMIO exit), one
// HLT. After the HLT the thread sleeps a millisecond. Prints "ready" when every vCPU has been round once, or a line
// beginning with "no: " and the reason if this machine cannot run it. Ends with its standard input. The UUID is what a
// VM's process carries in its arguments under libvirt; neither the process nor its threads are named like QEMU's.
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t kMemoryBytes = 0x1000;
constexpr std::uint64_t kCodeAt = 0x1000;
constexpr std::array<unsigned char, 12> kCode{
    0xba, 0x10, 0x00,  // mov dx, 0x10
    0xb0, 0x41,        // mov al, 'A'
    0xee,              // out dx, al
    0xa0, 0x00, 0x80,  // mov al, [0x8000]
    0xf4,              // hlt
    0xeb, 0xf9,        // jmp to the out
};

[[noreturn]] void cannot(const char* what) {
  std::printf("no: %s: %s\n", what, std::strerror(errno));
  std::fflush(stdout);
  std::_Exit(0);
}

int set_up_vcpu(int vm, unsigned long id) {
  const int vcpu = ::ioctl(vm, KVM_CREATE_VCPU, id);
  if (vcpu < 0) cannot("KVM_CREATE_VCPU");
  kvm_sregs special{};
  if (::ioctl(vcpu, KVM_GET_SREGS, &special) != 0) cannot("KVM_GET_SREGS");
  special.cs.base = special.cs.selector = 0;
  special.ds.base = special.ds.selector = 0;
  if (::ioctl(vcpu, KVM_SET_SREGS, &special) != 0) cannot("KVM_SET_SREGS");
  kvm_regs general{};
  general.rip = kCodeAt;
  general.rflags = 2;
  if (::ioctl(vcpu, KVM_SET_REGS, &general) != 0) cannot("KVM_SET_REGS");
  return vcpu;
}

void run_vcpu(int vcpu, std::size_t run_bytes, std::atomic<unsigned long>& ready_count) {
  ::pthread_setname_np(::pthread_self(), "no-qemu");
  void* mapped = ::mmap(nullptr, run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
  if (mapped == MAP_FAILED) cannot("mmap of a vCPU");
  auto* run = static_cast<kvm_run*>(mapped);
  bool ready = false;
  for (;;) {
    if (::ioctl(vcpu, KVM_RUN, 0) != 0) {
      if (errno == EINTR) continue;
      cannot("KVM_RUN");
    }
    if (run->exit_reason == KVM_EXIT_IO || run->exit_reason == KVM_EXIT_MMIO) continue;
    if (run->exit_reason != KVM_EXIT_HLT) {
      errno = ENOEXEC;
      cannot("the guest's code");
    }
    if (!ready) ++ready_count;
    ready = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // this is the guest's own pace
  }
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned long vcpus = argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 1;
  const int kvm = ::open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (kvm < 0) cannot("/dev/kvm");
  const int vm = ::ioctl(kvm, KVM_CREATE_VM, 0);
  if (vm < 0) cannot("KVM_CREATE_VM");
  ::ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000);  // Intel's real mode needs it; elsewhere it is not known
  void* memory = ::mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) cannot("mmap of memory");
  std::memcpy(memory, kCode.data(), kCode.size());
  kvm_userspace_memory_region region{};
  region.guest_phys_addr = kCodeAt;
  region.memory_size = kMemoryBytes;
  region.userspace_addr = reinterpret_cast<std::uintptr_t>(memory);
  if (::ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) != 0) cannot("KVM_SET_USER_MEMORY_REGION");
  const int run_bytes = ::ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  if (run_bytes <= 0) cannot("KVM_GET_VCPU_MMAP_SIZE");

  std::atomic<unsigned long> ready_count{0};
  std::vector<std::thread> threads;
  for (unsigned long id = 0; id < vcpus; ++id) {
    const int vcpu = set_up_vcpu(vm, id);
    threads.emplace_back([=, &ready_count] { run_vcpu(vcpu, static_cast<std::size_t>(run_bytes), ready_count); });
  }
  while (ready_count < vcpus) std::this_thread::yield();
  std::puts("ready");
  std::fflush(stdout);
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  std::_Exit(0);
}
