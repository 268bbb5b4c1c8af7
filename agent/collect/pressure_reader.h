#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "common/result.h"
#include "ebpf/pressure.h"

namespace proteus::collect {

/// The kernel's pressure totals of control groups (v2), through ebpf/pressure: as old as the kernel's own last look at
/// the group, two seconds at most while its threads do anything. Thread: owned by one.
class PressureReader {
 public:
  /// Errors: kUnsupported, kPermissionDenied with the kernel's reason (kernel before 6.2, no pressure accounting, …).
  static Result<std::unique_ptr<PressureReader>> create();
  virtual ~PressureReader() = default;

  /// figures[i] answers groups[i], which are inode numbers of groups' directories; nullopt if that group is gone, is
  /// none of v2, does not count, or there was no room. Cost: 0.5 µs a group.
  virtual void read(std::span<const std::uint64_t> groups, std::span<std::optional<group_pressure>> figures) = 0;
  /// The program that read() runs, for its statistics.
  virtual int program_fd() const = 0;
};

}  // namespace proteus::collect
