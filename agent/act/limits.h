#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/command.h"
#include "common/result.h"

namespace proteus::act {

/// What this host permits, whatever a controller says. Table [limits] of agent.toml.
struct LocalLimits {
  bool allow_reshape = true;
  bool allow_migrate = true;               ///< outgoing
  bool allow_receive = true;               ///< reservations for incoming VMs
  std::vector<std::string> protected_vms;  ///< globs over the libvirt name or UUID; nothing is ever done to these

  /// Quota over period, in percent of one CPU per vCPU. An unlimited quota is always permitted.
  std::int64_t cpu_quota_percent_min = 5;
  std::int64_t cpu_shares_min = 2;
  std::int64_t cpu_shares_max = 262144;
  std::int32_t vcpus_min = 1;
  std::optional<std::int32_t> vcpus_max;  ///< beside the domain's own maximum
  std::int64_t memory_bytes_min = 128 * kMiB;

  std::int32_t concurrent_migrations_max = 2;            ///< outgoing
  std::int64_t migration_bandwidth_bytes_per_s_max = 0;  ///< 0: no limit

  std::int64_t host_memory_reserve_bytes = 512 * kMiB;      ///< stays free after every reservation
  std::optional<std::int64_t> incoming_cpu_millicores_max;  ///< sum of reservations; none: no limit
  std::optional<std::int64_t> incoming_memory_bytes_max;    ///< sum of reservations; none: only what is free
  Nanoseconds reservation_lifetime = std::chrono::minutes(30);
};

/// What can be told from the command alone: kinds that are not allowed here, values out of bounds.
/// Errors: kPermissionDenied (a limit of this host), kInvalidArgument (no host could do it). Thread: pure.
Status check_limits(const LocalLimits& limits, const Command& command);

/// Errors: kPermissionDenied if a glob of `protected_vms` matches the domain's name or UUID. Thread: pure.
Status check_protected(const LocalLimits& limits, const std::string& name, const VmId& vm);

}  // namespace proteus::act
