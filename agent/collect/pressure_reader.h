#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "common/result.h"
#include "ebpf/pressure.h"

namespace proteus::collect {

/// The kernel's pressure totals of control groups (v2), through ebpf/pressure: as old as the kernel's own last look at
/// the group, two seconds at most while its threads do anything; that of the CPU also to the moment.
/// Thread: owned by one.
class PressureReader {
 public:
  /// Errors: kUnsupported, kPermissionDenied with the kernel's reason (kernel before 6.2, no pressure accounting, …).
  static Result<std::unique_ptr<PressureReader>> create();
  virtual ~PressureReader() = default;

  /// figures[i] answers requests[i]; nullopt if that group is gone, is none of v2, does not count, or there was no
  /// room. A CPU's total that was wanted exact is not if this kernel keeps its counts otherwise. Cost: 0.5 µs a group;
  /// if exact, another 0.1 µs for each CPU.
  virtual void read(std::span<const pressure_request> requests, std::span<std::optional<group_pressure>> figures) = 0;
  /// The program that read() runs, for its statistics.
  virtual int program_fd() const = 0;
};

}  // namespace proteus::collect
