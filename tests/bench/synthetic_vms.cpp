#include "tests/bench/synthetic_vms.h"

#include <fmt/core.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

namespace proteus::bench {
namespace {

constexpr auto kPeriod = std::chrono::milliseconds(50);
constexpr auto kWork = std::chrono::microseconds(5);

std::string uuid_of(int i) {
  return fmt::format("6f3c1a52-93b1-4c7c-8a55-{:012d}", i);
}

pid_t start(const std::string& uuid, int vcpus) {
  const std::string count = std::to_string(vcpus);
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::execl("/proc/self/exe", "vm", "vm", "-uuid", uuid.c_str(), count.c_str(), nullptr);
  ::_exit(127);
}

void move_into(const std::string& group, pid_t pid) {
  std::ofstream(group + "/cgroup.procs") << pid << std::flush;
}

}  // namespace

SyntheticVms::SyntheticVms(int count, int vcpus, std::string directory) : directory_(std::move(directory)) {
  for (int i = 0; i < count; ++i) {
    SyntheticVm vm{.name = fmt::format("vm{}", i), .uuid = uuid_of(i), .pid = 0, .groups = {}};
    vm.pid = start(vm.uuid, vcpus);
    make_groups(vm);
    vms_.push_back(std::move(vm));
  }
  write_domains(vcpus);
}

SyntheticVms::~SyntheticVms() {
  for (const SyntheticVm& vm : vms_) ::kill(vm.pid, SIGKILL);
  for (const SyntheticVm& vm : vms_) ::waitpid(vm.pid, nullptr, 0);
  for (const SyntheticVm& vm : vms_) {
    for (auto group = vm.groups.rbegin(); group != vm.groups.rend(); ++group) ::rmdir(group->c_str());
  }
  for (const std::string& top : tops_) ::rmdir(top.c_str());
}

std::size_t SyntheticVms::group_count() const {
  std::size_t count = 0;
  for (const SyntheticVm& vm : vms_) count += vm.groups.size();
  return count;
}

void SyntheticVms::make_groups(SyntheticVm& vm) {
  for (const char* controller : {"cpu", "memory", "blkio", "unified"}) {
    const std::string top = fmt::format("/sys/fs/cgroup/{}", controller);
    const std::string all = fmt::format("{}/bench-{}", top, ::getpid());
    const std::string group = fmt::format("{}/qemu-1-{}.libvirt-qemu", all, vm.name);
    std::error_code error;
    if (!std::filesystem::exists(top)) continue;
    if (std::filesystem::create_directory(all, error)) tops_.push_back(all);
    if (!std::filesystem::create_directory(group, error)) continue;
    vm.groups.push_back(group);
    move_into(group, vm.pid);
  }
}

void SyntheticVms::write_domains(int vcpus) const {
  std::ofstream out(directory_ + "/node.xml");
  out << "<node>";
  for (const SyntheticVm& vm : vms_) {
    out << fmt::format(
        "<domain type='test'><name>{}</name><uuid>{}</uuid><memory>262144</memory><vcpu>{}</vcpu>"
        "<os><type>hvm</type></os></domain>",
        vm.name, vm.uuid, vcpus);
  }
  out << "</node>";
}

void run_as_synthetic_vm(int vcpus) {
  std::vector<std::thread> threads;
  for (int i = 0; i < vcpus; ++i) {
    threads.emplace_back([i] {
      ::pthread_setname_np(::pthread_self(), fmt::format("CPU {}/KVM", i).c_str());
      for (;;) {
        const auto until = std::chrono::steady_clock::now() + kWork;
        while (std::chrono::steady_clock::now() < until) {
        }
        std::this_thread::sleep_for(kPeriod);  // the load's own pace
      }
    });
  }
  for (;;) ::pause();
}

}  // namespace proteus::bench
