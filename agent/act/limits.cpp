#include "agent/act/limits.h"

#include <fmt/core.h>
#include <fnmatch.h>

#include <type_traits>

namespace proteus::act {
namespace {

constexpr std::int64_t kReservedBytesMax = 1024 * 1024 * kGiB;
constexpr std::int64_t kReservedMillicoresMax = 1000 * 1000 * 1000;

Error denied(std::string message) {
  return {ErrorCode::kPermissionDenied, std::move(message)};
}
Error invalid(std::string message) {
  return {ErrorCode::kInvalidArgument, std::move(message)};
}

Status check(const LocalLimits& limits, const SetCpuQuota& quota) {
  if (!limits.allow_reshape) return denied("this host's configuration does not allow 'reshape'");
  // libvirt's and the kernel's own bounds; outside them the call would fail half-way through.
  if (quota.period_us < 1000 || quota.period_us > 1000000) {
    return invalid(fmt::format("CPU period {} µs is not within 1000 to 1000000", quota.period_us));
  }
  if (quota.quota_us == -1) return {};
  if (quota.quota_us < 1000) return invalid(fmt::format("CPU quota {} µs is below 1000", quota.quota_us));
  if (quota.quota_us > 17592186044415) return invalid("CPU quota is above 17592186044415 µs");
  // Integer percent, compared without rounding.
  if (quota.quota_us * 100 < limits.cpu_quota_percent_min * quota.period_us) {
    return denied(fmt::format("a quota of {} µs in {} µs is below this host's cpu_quota_percent_min of {}",
                              quota.quota_us, quota.period_us, limits.cpu_quota_percent_min));
  }
  return {};
}

Status check(const LocalLimits& limits, const SetCpuShares& shares) {
  if (!limits.allow_reshape) return denied("this host's configuration does not allow 'reshape'");
  if (shares.shares < limits.cpu_shares_min || shares.shares > limits.cpu_shares_max) {
    return denied(fmt::format("{} CPU shares are not within this host's {} to {}", shares.shares, limits.cpu_shares_min,
                              limits.cpu_shares_max));
  }
  return {};
}

Status check(const LocalLimits& limits, const SetVcpus& vcpus) {
  if (!limits.allow_reshape) return denied("this host's configuration does not allow 'reshape'");
  if (vcpus.count < 1) return invalid(fmt::format("{} vCPUs", vcpus.count));
  if (vcpus.count < limits.vcpus_min) {
    return denied(fmt::format("{} vCPUs are fewer than this host's vcpus_min of {}", vcpus.count, limits.vcpus_min));
  }
  if (limits.vcpus_max && vcpus.count > *limits.vcpus_max) {
    return denied(fmt::format("{} vCPUs are more than this host's vcpus_max of {}", vcpus.count, *limits.vcpus_max));
  }
  return {};
}

Status check(const LocalLimits& limits, const SetMemory& memory) {
  if (!limits.allow_reshape) return denied("this host's configuration does not allow 'reshape'");
  if (memory.bytes <= 0) return invalid(fmt::format("{} bytes of memory", memory.bytes));
  if (memory.bytes < limits.memory_bytes_min) {
    return denied(fmt::format("{} MiB are below this host's memory_min of {} MiB", memory.bytes / kMiB,
                              limits.memory_bytes_min / kMiB));
  }
  return {};
}

Status check(const LocalLimits& limits, const Migrate& order) {
  if (!limits.allow_migrate) return denied("this host's configuration does not allow 'migrate'");
  if (order.target.empty() || order.target_libvirt_uri.empty())
    return invalid("a migration needs a target and its URI");
  if (order.bandwidth_bytes_per_s < 0 || order.downtime_ms_max <= 0) {
    return invalid("a migration's bandwidth must not be negative and its maximum downtime must be positive");
  }
  if (limits.migration_bandwidth_bytes_per_s_max > 0 &&
      order.bandwidth_bytes_per_s > limits.migration_bandwidth_bytes_per_s_max) {
    return denied(fmt::format("{} MiB/s is above this host's migration_bandwidth_max of {} MiB/s",
                              order.bandwidth_bytes_per_s / kMiB, limits.migration_bandwidth_bytes_per_s_max / kMiB));
  }
  return {};
}

Status check(const LocalLimits& limits, const Reserve& reserve) {
  if (!limits.allow_receive) return denied("this host's configuration does not allow 'receive'");
  if (reserve.memory_bytes < 0 || reserve.cpu_millicores < 0) return invalid("a reservation must not be negative");
  // Far above any host, far below overflow when some are added up.
  if (reserve.memory_bytes > kReservedBytesMax || reserve.cpu_millicores > kReservedMillicoresMax) {
    return invalid("no host has that much room");
  }
  return {};
}

}  // namespace

Status check_limits(const LocalLimits& limits, const Command& command) {
  return std::visit(
      [&](const auto& operation) -> Status {
        using T = std::decay_t<decltype(operation)>;
        if constexpr (std::is_same_v<T, Release> || std::is_same_v<T, Abort> || std::is_same_v<T, Inspect>) {
          return {};  // these only ever make the host safer or say what it is
        } else {
          return check(limits, operation);
        }
      },
      command.operation);
}

Status check_protected(const LocalLimits& limits, const std::string& name, const VmId& vm) {
  for (const std::string& glob : limits.protected_vms) {
    if (::fnmatch(glob.c_str(), name.c_str(), 0) == 0 || ::fnmatch(glob.c_str(), vm.value.c_str(), 0) == 0) {
      return denied(fmt::format("domain '{}' is protected by '{}' in this host's configuration", name, glob));
    }
  }
  return {};
}

}  // namespace proteus::act
