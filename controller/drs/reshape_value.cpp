#include "controller/drs/reshape_value.h"

#include <fmt/core.h>

#include <cstdlib>

namespace proteus::drs {

std::optional<std::int64_t> value_of(const Operation& reshape) {
  if (const auto* quota = std::get_if<SetCpuQuota>(&reshape)) return quota->quota_us;
  if (const auto* shares = std::get_if<SetCpuShares>(&reshape)) return shares->shares;
  if (const auto* vcpus = std::get_if<SetVcpus>(&reshape)) return vcpus->count;
  if (const auto* memory = std::get_if<SetMemory>(&reshape)) return memory->bytes;
  return std::nullopt;
}

Operation with_value(Operation reshape, std::int64_t value) {
  if (auto* quota = std::get_if<SetCpuQuota>(&reshape)) quota->quota_us = value;
  if (auto* shares = std::get_if<SetCpuShares>(&reshape)) shares->shares = value;
  if (auto* vcpus = std::get_if<SetVcpus>(&reshape)) vcpus->count = static_cast<std::int32_t>(value);
  if (auto* memory = std::get_if<SetMemory>(&reshape)) memory->bytes = value;
  return reshape;
}

std::int64_t observed_value(const Operation& reshape, const DomainObservation& observed) {
  if (std::holds_alternative<SetCpuQuota>(reshape)) return observed.cpu_quota_us;
  if (std::holds_alternative<SetCpuShares>(reshape)) return observed.cpu_shares;
  if (std::holds_alternative<SetVcpus>(reshape)) return observed.vcpus;
  return observed.memory_bytes;
}

bool same_value(const Operation& reshape, std::int64_t a, std::int64_t b) {
  if (std::holds_alternative<SetCpuQuota>(reshape)) return a == b || (a < 0 && b < 0);
  if (std::holds_alternative<SetMemory>(reshape)) return std::llabs(a - b) < kMiB;
  return a == b;
}

bool fulfils(const Operation& reshape, const DomainObservation& observed) {
  const std::optional<std::int64_t> wanted = value_of(reshape);
  if (!wanted || !same_value(reshape, *wanted, observed_value(reshape, observed))) return false;
  // The quota means nothing without its period, unless there is no limit.
  const auto* quota = std::get_if<SetCpuQuota>(&reshape);
  return quota == nullptr || quota->quota_us < 0 || quota->period_us == observed.cpu_period_us;
}

std::string describe_value(const Operation& reshape, std::int64_t value) {
  if (std::holds_alternative<SetCpuQuota>(reshape)) {
    return value < 0 ? "an unlimited quota" : fmt::format("quota {} us", value);
  }
  if (std::holds_alternative<SetCpuShares>(reshape)) return fmt::format("{} shares", value);
  if (std::holds_alternative<SetVcpus>(reshape)) return fmt::format("{} vCPUs", value);
  return fmt::format("{} MiB", value / kMiB);
}

}  // namespace proteus::drs
