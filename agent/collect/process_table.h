#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "ebpf/vm_processes.h"

namespace proteus::collect {

/// User space's end of the table in which kernel programs look the VMs' processes up (ebpf/vm_processes.h), at any
/// time. Thread: owned by one.
class ProcessTable {
 public:
  /// Puts an entry into the kernel's table at once as a whole; false if the kernel refuses.
  using Write = std::function<bool(std::uint32_t index, std::uint64_t entry)>;
  /// entries: a power of two; the kernel's are all free now.
  ProcessTable(std::size_t entries, Write write) : entries_(entries, VM_PROCESSES_FREE), write_(std::move(write)) {}

  /// How many entries so many VM slots need.
  static std::size_t entries_for(std::size_t slots);

  /// Enters a process, or moves it to another slot. False if there is no room where it would be looked for.
  bool enter(pid_t process, std::uint32_t slot);
  void remove(pid_t process);

 private:
  std::size_t place(pid_t process, std::size_t probe) const;
  bool set(std::size_t at, std::uint64_t entry);

  std::vector<std::uint64_t> entries_;  // as the kernel has them
  const Write write_;
};

}  // namespace proteus::collect
