#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/collect/eagerness.h"
#include "agent/collect/text_file.h"
#include "agent/collect/vm_cgroup.h"

namespace proteus::collect {

/// What a VM's control groups say of it; absent where its groups do not say.
struct VmCgroupFigures {
  std::optional<std::int64_t> cpu_pressure_some_ns;
  std::optional<std::int64_t> memory_pressure_some_ns;
  std::optional<std::int64_t> memory_pressure_full_ns;
  std::optional<std::int64_t> io_pressure_some_ns;
  // of the last reading of memory.stat
  std::optional<std::int64_t> working_set_bytes;
  std::optional<std::int64_t> refaults_count;
  std::optional<std::int64_t> swap_bytes;
};

/// Pressure and memory files of one VM's groups, kept open. Pressure is read at every tick while it moves (Eagerness);
/// that of the CPU, which moves whenever a thread wakes, only once the threads have waited for 5 ms since, or at every
/// fifth tick: its counter is never more than that behind. memory.stat, for which the kernel must gather from all CPUs,
/// is read at every tenth. Thread: owned by one.
class VmCgroupFiles {
 public:
  explicit VmCgroupFiles(const VmGroups& groups);
  /// tick: counts up; VMs whose ticks are apart do not read memory.stat and calm files together.
  /// run_queue_wait_ns: what all threads of the VM have waited for a CPU together, so far.
  const VmCgroupFigures& read(std::uint64_t tick, std::int64_t run_queue_wait_ns);

 private:
  struct PressureFile {
    std::optional<TextFile> file;
    Eagerness eagerness = {};
    /// Reads it if that is due; `full` if the caller wants it.
    void read(std::uint64_t tick, std::optional<std::int64_t>& some_ns, std::optional<std::int64_t>* full_ns);
  };
  std::optional<TextFile> cpu_pressure_;
  std::optional<std::int64_t> waited_when_read_ns_;  // run_queue_wait_ns at the last reading of cpu_pressure_
  PressureFile memory_pressure_;
  PressureFile io_pressure_;
  std::optional<TextFile> memory_stat_;
  std::optional<TextFile> swap_current_;
  VmCgroupFigures figures_;
  bool memory_was_read_ = false;
};

/// From memory.stat of v1 (totals of the subtree) or v2: active pages, refaulted pages, swapped bytes (v1 only).
void parse_memory_stat(std::string_view text, VmCgroupFigures& figures);

}  // namespace proteus::collect
