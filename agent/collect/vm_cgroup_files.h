#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/collect/eagerness.h"
#include "agent/collect/text_file.h"
#include "agent/collect/vm_cgroup.h"
#include "ebpf/pressure.h"

namespace proteus::collect {

/// What a VM's control groups say of it; absent where its groups do not say.
struct VmCgroupFigures {
  std::optional<std::int64_t> cpu_pressure_some_ns;
  std::optional<std::int64_t> memory_pressure_some_ns;
  std::optional<std::int64_t> memory_pressure_full_ns;
  std::optional<std::int64_t> io_pressure_some_ns;
  // of the last reading of memory.stat
  std::optional<std::int64_t> working_set_bytes;
  std::optional<std::int64_t> swap_bytes;
  /// Of this tick, if memory.stat was read in it: told again it would be no growth now, and all of it later.
  std::optional<std::int64_t> refaults_count;
};

/// What else is known of the VM in this tick, and tells which files are worth reading.
struct VmCgroupHints {
  std::int64_t run_queue_wait_ns = 0;  ///< what all its threads have waited for a CPU together, so far
  std::int64_t faults_major_count = 0;
  std::chrono::steady_clock::time_point now = {};
  std::optional<group_pressure> pressure = {};  ///< the kernel's totals, up to two seconds old; nullopt: not known
};

/// Pressure and memory files of one VM's groups, kept open.
/// Pressure: the kernel's totals are taken while they say that nothing much happens. Once one has moved by 5 ms, its
/// file, which is right to the moment, is read at every tick until it stands still. Where the totals are not known, the
/// files are read at every tick while they move and at every fifth else (Eagerness). That of the CPU moves whenever a
/// thread wakes: it is wanted to the moment when the threads have waited for 5 ms since, which tells more and sooner,
/// and its file is read only if the kernel's program cannot tell.
/// memory.stat, for which the kernel must gather from all CPUs, is read at every thirtieth tick, at least every 36 s,
/// and at every tenth tick while there are major faults or pressure on memory. Thread: owned by one.
class VmCgroupFiles {
 public:
  explicit VmCgroupFiles(const VmGroups& groups);
  /// tick: counts up; VMs whose ticks are apart do not read memory.stat and calm files together.
  const VmCgroupFigures& read(std::uint64_t tick, const VmCgroupHints& hints);
  /// Whether read() would make use of the CPU's total to the moment.
  bool wants_exact(std::int64_t run_queue_wait_ns) const;

 private:
  struct PressureFile {
    std::optional<TextFile> file;
    Eagerness eagerness;
    std::int64_t noticed_ns = 0;      ///< the kernel's total at the last reading of the file
    std::uint64_t closely_until = 0;  ///< tick
    /// Brings the figures up to date. total: the kernel's, of `some`; `full` if the caller wants it.
    void read(std::uint64_t tick, std::optional<std::int64_t> total_ns, std::optional<std::int64_t>& some_ns,
              std::optional<std::int64_t>* full_ns);
  };
  void read_cpu(std::uint64_t tick, const VmCgroupHints& hints);
  void read_memory_stat(std::uint64_t tick, const VmCgroupHints& hints);

  std::optional<TextFile> cpu_pressure_;
  std::optional<std::int64_t> waited_when_read_ns_;  // run_queue_wait_ns at the last reading of cpu_pressure_
  PressureFile memory_pressure_;
  PressureFile io_pressure_;
  std::optional<TextFile> memory_stat_;
  std::optional<TextFile> swap_current_;
  VmCgroupFigures figures_;
  std::chrono::steady_clock::time_point memory_read_at_;
  /// At the last reading of memory_stat_: major faults, pressure.
  std::optional<std::pair<std::int64_t, std::optional<std::int64_t>>> memory_when_read_;
};

/// From memory.stat of v1 (totals of the subtree) or v2: active pages, refaulted pages, swapped bytes (v1 only).
void parse_memory_stat(std::string_view text, VmCgroupFigures& figures);

}  // namespace proteus::collect
