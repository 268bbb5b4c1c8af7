#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"

namespace proteus::collect {

/// Hooks on softirq_entry and softirq_exit, attached for as long as this lives: how long each CPU worked for the
/// network in soft interrupts. Thread: owned by one.
class NetSoftirqTrace {
 public:
  /// Errors: kUnsupported, kPermissionDenied with the kernel's reason.
  static Result<std::unique_ptr<NetSoftirqTrace>> create();
  virtual ~NetSoftirqTrace() = default;
  /// Since the hooks were attached; nullopt for a CPU that the kernel cannot have.
  virtual std::optional<std::int64_t> time_ns(std::size_t cpu) const = 0;
  virtual int entry_program_fd() const = 0;
  virtual int exit_program_fd() const = 0;
};

/// A hook on kfree_skb, attached for as long as this lives: why the host threw packets away. Thread: owned by one.
class PacketDropTrace {
 public:
  /// Errors: kUnsupported (a kernel before 5.17 names no reasons), kPermissionDenied with the kernel's reason.
  static Result<std::unique_ptr<PacketDropTrace>> create();
  virtual ~PacketDropTrace() = default;
  /// Reason, in the kernel's words without prefix and in small letters ("no_socket"), and how often since the hook was
  /// attached; those that occurred, by number.
  virtual std::vector<std::pair<std::string, std::int64_t>> read() const = 0;
  virtual int program_fd() const = 0;
};

}  // namespace proteus::collect
