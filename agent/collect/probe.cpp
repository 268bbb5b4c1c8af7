#include "agent/collect/probe.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>

#include "agent/collect/bpf_support.h"
#include "agent/collect/host_files.h"
#include "agent/collect/text_file.h"

namespace proteus::collect {
namespace {

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

std::string release() {
  utsname system{};
  ::uname(&system);
  return system.release;
}

/// The kernel's build configuration; nullopt if it is published nowhere.
std::optional<std::string> kernel_config(const std::string& root) {
  for (const std::string& path : {under(root, "/proc/config.gz"), under(root, "/boot/config-" + release())}) {
    gzFile file = ::gzopen(path.c_str(), "rb");  // reads plain files too
    if (file == nullptr) continue;
    std::string text;
    char buffer[16384];
    int n = 0;
    while ((n = ::gzread(file, buffer, sizeof buffer)) > 0) text.append(buffer, static_cast<std::size_t>(n));
    ::gzclose(file);
    if (!text.empty()) return text;
  }
  return std::nullopt;
}

/// Whether the kernel has a module's code, built in or loadable; nullopt if nobody can tell.
std::optional<bool> has_module(const std::string& root, const std::optional<std::string>& config, const char* module,
                               const char* option) {
  if (exists(under(root, fmt::format("/sys/module/{}", module)))) return true;
  const std::string directory = under(root, "/lib/modules/" + release());
  const std::string file = fmt::format("/{}.ko", module);
  bool listed = false;
  for (const char* list : {"/modules.builtin", "/modules.dep"}) {
    const auto text = read_file(directory + list);
    if (text && text->find(file) != std::string::npos) return true;
    listed |= text.has_value();
  }
  if (config) {
    return config->find(fmt::format("\n{}=y\n", option)) != std::string::npos ||
           config->find(fmt::format("\n{}=m\n", option)) != std::string::npos;
  }
  if (listed) return false;
  return std::nullopt;
}

}  // namespace

Probe probe_psi(const std::string& root) {
  const std::string source = HostFiles(root).pressure_source();
  if (!source.empty()) return {true, source};
  return {false, "no pressure files in the root control group or procfs (CONFIG_PSI, or psi=0 at boot)"};
}

Probe probe_cpu_quota(const std::string& root) {
  for (const char* path : {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us"}) {
    if (exists(under(root, path))) return {true, path};
  }
  const auto controllers = read_file(under(root, "/sys/fs/cgroup/cgroup.controllers"));
  if (controllers && (" " + *controllers + " ").find("cpu") != std::string::npos) {
    std::string_view words = *controllers;
    for (std::string_view word = take_word(words); !word.empty(); word = take_word(words)) {
      if (word == "cpu" || word == "cpu\n") return {true, "control groups v2, controller cpu"};
    }
  }
  return {false, "no control-group hierarchy has the CPU controller with bandwidth control"};
}

Probe probe_group_pressure(const std::string& root) {
  for (const char* tree : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    if (!exists(under(root, fmt::format("{}/cgroup.controllers", tree)))) continue;
    if (!exists(under(root, fmt::format("{}/cpu.pressure", tree)))) {
      return {false, fmt::format("the tree at {} has no pressure files (CONFIG_PSI, or psi=0 at boot)", tree)};
    }
    return {true, fmt::format("of the VM's group below {}, where libvirt made it one", tree)};
  }
  return {false, "no tree of control groups v2 is mounted, and v1 has no pressure of groups"};
}

Probe probe_memory_groups(const std::string& root, Kpi kpi) {
  constexpr const char* kNoSwap = "the kernel does not account swap to groups (swapaccount=1 at boot)";
  const std::string top = under(root, "/sys/fs/cgroup");
  if (const auto stat = read_file(top + "/memory/memory.stat")) {
    if (kpi == Kpi::kMemorySwapBytes && !number_after(*stat, "total_swap")) return {false, kNoSwap};
    if (kpi == Kpi::kWorkingsetRefaultsCount && stat->find("workingset_refault") == std::string::npos) {
      return {false, "control groups v1 of this kernel do not tell"};
    }
    return {true, "/sys/fs/cgroup/memory, v1"};
  }
  const auto controllers = read_file(top + "/cgroup.controllers");
  if (!controllers || controllers->find("memory") == std::string::npos) {
    return {false, "no hierarchy of control groups has the memory controller"};
  }
  // The top itself has no such file; groups below it have it where they have memory.current.
  std::error_code unreadable;
  bool has_memory = false;
  bool has_swap = false;
  for (const auto& group : std::filesystem::directory_iterator(top, unreadable)) {
    has_memory |= exists((group.path() / "memory.current").string());
    has_swap |= exists((group.path() / "memory.swap.current").string());
  }
  if (kpi == Kpi::kMemorySwapBytes && has_memory && !has_swap) return {false, kNoSwap};
  return {true, "control groups v2"};
}

Probe probe_ksm_merged(const std::string& root, bool by_program) {
  if (by_program ? has_kernel_member("mm_struct", "ksm_merging_pages", nullptr)
                 : exists(under(root, "/proc/self/ksm_merging_pages"))) {
    return {true, {}};
  }
  return {false, "this kernel does not count them by process (since 5.19, with CONFIG_KSM)"};
}

Probe probe_waits(const std::string& root) {
  if (exists(under(root, "/proc/self/schedstat"))) return {true, {}};
  return {false, "this kernel does not keep threads' waits (CONFIG_SCHED_INFO)"};
}

Probe probe_cgroup_version(const std::string& root) {
  if (exists(under(root, "/sys/fs/cgroup/cgroup.controllers"))) return {true, "v2"};
  const bool v1 = exists(under(root, "/sys/fs/cgroup/cpu"));
  const bool unified = exists(under(root, "/sys/fs/cgroup/unified/cgroup.controllers"));
  if (v1) return {false, unified ? "v1 controllers beside a bare v2 tree" : "v1"};
  return {false, "no control groups are mounted at /sys/fs/cgroup"};
}

Probe probe_btf(const std::string& root) {
  const char* path = "/sys/kernel/btf/vmlinux";
  if (exists(under(root, path))) return {true, path};
  return {false, "the kernel carries no BTF (CONFIG_DEBUG_INFO_BTF)"};
}

Probe probe_kvm_device(const std::string& root) {
  const std::string path = under(root, "/dev/kvm");
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return {false, fmt::format("/dev/kvm: {}", std::strerror(errno))};
  const int version = ::ioctl(fd, KVM_GET_API_VERSION, 0);
  ::close(fd);
  if (version < 0) return {false, fmt::format("/dev/kvm does not answer: {}", std::strerror(errno))};
  return {true, fmt::format("/dev/kvm, API {}", version)};
}

Probe probe_hardware_kvm(const std::string& root) {
#if defined(__x86_64__)
  for (const char* vendor : {"kvm_intel", "kvm_amd"}) {
    if (exists(under(root, fmt::format("/sys/module/{}", vendor)))) return {true, vendor};
  }
  const bool pvm = exists(under(root, "/sys/module/kvm_pvm"));
  return {false,
          fmt::format("KVM runs without the processor's help here ({}), and such guests do not pass kvm_exit and "
                      "kvm_entry",
                      pvm ? "kvm_pvm" : "neither kvm_intel nor kvm_amd is loaded")};
#else
  return {exists(under(root, "/dev/kvm")), "/dev/kvm"};
#endif
}

Probe probe_vhost(const std::string& root) {
  const bool present = exists(under(root, "/dev/vhost-net")) ||
                       has_module(root, kernel_config(root), "vhost", "CONFIG_VHOST").value_or(false);
  if (present) return {true, "where a guest's network device uses it"};
  return {false, "the kernel has no vhost, or does not tell of it (CONFIG_VHOST_NET)"};
}

Probe probe_kprobes(const std::string& root) {
  if (exists(under(root, "/sys/bus/event_source/devices/kprobe/type"))) return {true, "perf kprobe events"};
  return {false, "the kernel has none (CONFIG_KPROBES)"};
}

Probe probe_post_copy(const std::string& root) {
  if (exists(under(root, "/dev/userfaultfd"))) return {true, "/dev/userfaultfd"};
  const long fd = ::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return {false, fmt::format("userfaultfd: {}", std::strerror(errno))};
  ::close(static_cast<int>(fd));
  return {true, "userfaultfd"};
}

Probe probe_network_bandwidth(const std::string& root) {
  const auto config = kernel_config(root);
  std::string missing;
  for (const auto& [module, option] : {std::pair{"sch_htb", "CONFIG_NET_SCH_HTB"},
                                       {"sch_sfq", "CONFIG_NET_SCH_SFQ"},
                                       {"sch_ingress", "CONFIG_NET_SCH_INGRESS"},
                                       {"act_police", "CONFIG_NET_ACT_POLICE"}}) {
    const auto present = has_module(root, config, module, option);
    if (!present) return {false, fmt::format("cannot tell whether the kernel has {}", module)};
    if (!*present) missing += (missing.empty() ? "" : ", ") + std::string(module);
  }
  if (!missing.empty()) return {false, "the kernel lacks " + missing};
  return {true, "sch_htb, sch_sfq, sch_ingress and act_police"};
}

}  // namespace proteus::collect
