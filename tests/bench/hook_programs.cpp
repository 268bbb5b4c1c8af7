#include "tests/bench/hook_programs.h"

#include <bpf/bpf.h>
#include <fmt/core.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "agent/collect/bpf_support.h"
#include "agent/collect/text_file.h"

namespace proteus::bench {

HookPrograms::HookPrograms(pid_t pid) {
  std::set<std::int64_t> ids;
  for (const auto& entry : std::filesystem::directory_iterator(fmt::format("/proc/{}/fdinfo", pid))) {
    const auto text = collect::read_file(entry.path().string());
    const auto id = text ? collect::number_after(*text, "prog_id:") : std::nullopt;
    if (id) ids.insert(*id);  // descriptors of links tell it too
  }
  for (const std::int64_t id : ids) {
    const int fd = bpf_prog_get_fd_by_id(static_cast<__u32>(id));
    if (fd < 0) continue;
    bpf_prog_info info{};
    __u32 size = sizeof info;
    if (bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.type != BPF_PROG_TYPE_SYSCALL) {
      fds_.push_back(fd);
    } else {
      ::close(fd);
    }
  }
}

HookPrograms::~HookPrograms() {
  for (const int fd : fds_) ::close(fd);
}

HookPrograms::Totals HookPrograms::totals() const {
  Totals sum;
  for (const int fd : fds_) {
    const auto statistics = collect::program_statistics(fd);
    if (!statistics) continue;
    sum.run_time_ns += statistics->run_time_ns;
    sum.run_count += statistics->run_count;
  }
  return sum;
}

}  // namespace proteus::bench
