#include "agent/act/reshape.h"

#include <fmt/core.h>

#include <cstdlib>
#include <type_traits>
#include <utility>

namespace proteus::act {
namespace {

constexpr Nanoseconds kLookInterval = std::chrono::milliseconds(100);
/// A balloon moves in pages of the guest and libvirt speaks KiB: a target off by less than this is reached.
constexpr std::int64_t kMemoryToleranceBytes = kMiB;

Status apply(Hypervisor& hypervisor, const VmId& vm, const Operation& operation) {
  return std::visit(
      [&](const auto& order) -> Status {
        using T = std::decay_t<decltype(order)>;
        if constexpr (std::is_same_v<T, SetCpuQuota>)
          return hypervisor.set_cpu_quota(vm, order);
        else if constexpr (std::is_same_v<T, SetCpuShares>)
          return hypervisor.set_cpu_shares(vm, order);
        else if constexpr (std::is_same_v<T, SetVcpus>)
          return hypervisor.set_vcpus(vm, order);
        else if constexpr (std::is_same_v<T, SetMemory>)
          return hypervisor.set_memory(vm, order);
        else
          return Error{ErrorCode::kInvalidArgument, "not a reshape"};
      },
      operation);
}

/// nullopt if `seen` is what the operation wants, else how it differs.
std::optional<std::string> difference(const Operation& operation, const DomainObservation& seen) {
  if (const auto* quota = std::get_if<SetCpuQuota>(&operation)) {
    if (seen.cpu_quota_us == quota->quota_us && (quota->quota_us == -1 || seen.cpu_period_us == quota->period_us)) {
      return std::nullopt;
    }
    return fmt::format("CPU quota is {} µs in {} µs, not {} in {}", seen.cpu_quota_us, seen.cpu_period_us,
                       quota->quota_us, quota->period_us);
  }
  if (const auto* shares = std::get_if<SetCpuShares>(&operation)) {
    if (seen.cpu_shares == shares->shares) return std::nullopt;
    return fmt::format("CPU shares are {}, not {}", seen.cpu_shares, shares->shares);
  }
  if (const auto* vcpus = std::get_if<SetVcpus>(&operation)) {
    if (seen.vcpus == vcpus->count) return std::nullopt;
    return fmt::format("{} vCPUs are online, not {}", seen.vcpus, vcpus->count);
  }
  const auto& memory = std::get<SetMemory>(operation);
  if (std::abs(seen.memory_bytes - memory.bytes) <= kMemoryToleranceBytes) return std::nullopt;
  return fmt::format("the balloon stands at {} MiB, not {} MiB", seen.memory_bytes / kMiB, memory.bytes / kMiB);
}

/// What the domain itself cannot be given.
Status check_domain(const Operation& operation, const DomainDescription& domain) {
  const auto* vcpus = std::get_if<SetVcpus>(&operation);
  if (vcpus != nullptr && vcpus->count > domain.vcpus_max) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("domain '{}' can have {} vCPUs at most", domain.name, domain.vcpus_max)};
  }
  const auto* memory = std::get_if<SetMemory>(&operation);
  if (memory != nullptr && memory->bytes > domain.memory_bytes_max) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("domain '{}' can have {} MiB of memory at most", domain.name,
                                                          domain.memory_bytes_max / kMiB)};
  }
  return {};
}

void watch(JobContext& context, const Job& job, const std::string& trouble) {
  for (;;) {
    const auto seen = context.hypervisor.inspect(job.command.vm);
    const bool last_look = context.clock.now() >= job.command.deadline || !trouble.empty();
    std::string what;
    if (!seen) {
      what = "the domain cannot be read back: " + seen.error().message;
    } else if (!seen->defined_active) {
      what = "the domain is no longer active on this host";
    } else {
      const auto differs = difference(job.command.operation, *seen);
      if (!differs) {
        Update update = context.update(job.command, CommandState::kSucceeded);
        update.observed = *seen;
        context.emit(std::move(update));
        return;
      }
      what = *differs;
    }
    if (last_look || (seen && !seen->defined_active)) {
      Update update =
          context.update(job.command, CommandState::kFailed, trouble.empty() ? what : trouble + "; " + what);
      if (seen) update.observed = *seen;
      context.emit(std::move(update));
      return;
    }
    if (!context.pause.wait(kLookInterval)) return;
  }
}

}  // namespace

void run_reshape(JobContext& context, const Job& job) {
  if (job.adopted) {
    watch(context, job, "");
    return;
  }
  const auto admission = admit(context, job.command);
  Status admitted = admission ? check_domain(job.command.operation, admission->description) : Status{admission.error()};
  if (!admitted) {
    Update update = context.update(job.command, CommandState::kRefused, admitted.error().message);
    if (admission) update.observed = admission->observed;
    context.emit(std::move(update));
    return;
  }
  Update accepted = context.update(job.command, CommandState::kAccepted);
  accepted.observed = admission->observed;
  context.emit(std::move(accepted));

  const Status applied = apply(context.hypervisor, job.command.vm, job.command.operation);
  watch(context, job, applied ? "" : applied.error().message);
}

}  // namespace proteus::act
