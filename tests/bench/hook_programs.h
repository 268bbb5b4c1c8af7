#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace proteus::bench {

/// The kernel programs that a process has attached to events, and what the kernel's run statistics say of them all
/// together. Programs that it runs itself, in its own time, are left out. Thread: one.
class HookPrograms {
 public:
  explicit HookPrograms(pid_t pid);
  ~HookPrograms();
  HookPrograms(const HookPrograms&) = delete;
  HookPrograms& operator=(const HookPrograms&) = delete;

  struct Totals {
    std::uint64_t run_time_ns = 0;
    std::uint64_t run_count = 0;
  };
  Totals totals() const;
  std::size_t size() const { return fds_.size(); }

 private:
  std::vector<int> fds_;
};

}  // namespace proteus::bench
