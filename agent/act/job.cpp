#include "agent/act/job.h"

#include <fmt/core.h>

#include <cstdlib>
#include <utility>

#include "agent/act/migrate.h"
#include "agent/act/reshape.h"

namespace proteus::act {
namespace {

/// The value that require_value speaks of; nullopt for operations that have none.
std::optional<std::int64_t> present_value(const Operation& operation, const DomainObservation& observed) {
  if (std::holds_alternative<SetCpuQuota>(operation)) return observed.cpu_quota_us;
  if (std::holds_alternative<SetCpuShares>(operation)) return observed.cpu_shares;
  if (std::holds_alternative<SetVcpus>(operation)) return observed.vcpus;
  if (std::holds_alternative<SetMemory>(operation)) return observed.memory_bytes;
  return std::nullopt;
}

std::string active_message(const VmId& vm, const DomainObservation& observed) {
  return fmt::format("domain {} is {}active on this host", vm.value, observed.defined_active ? "" : "not ");
}

/// Only the condition: the executor grants the room.
void check_reserve(JobContext& context, const Command& command) {
  const auto observed = context.hypervisor.inspect(command.vm);
  if (!observed) {
    context.emit(context.update(command, CommandState::kRefused, observed.error().message));
    return;
  }
  const bool holds = !command.require_running || *command.require_running == observed->defined_active;
  Update update = context.update(command, holds ? CommandState::kAccepted : CommandState::kRefused,
                                 holds ? "" : active_message(command.vm, *observed));
  update.observed = *observed;
  context.emit(std::move(update));
}

void run_inspect(JobContext& context, const Command& command) {
  context.emit(context.update(command, CommandState::kAccepted));
  const auto observed = context.hypervisor.inspect(command.vm);
  if (!observed) {
    context.emit(context.update(command, CommandState::kFailed, observed.error().message));
    return;
  }
  Update update = context.update(command, CommandState::kSucceeded);
  update.observed = *observed;
  context.emit(std::move(update));
}

}  // namespace

Update JobContext::update(const Command& command, CommandState state, std::string message) const {
  Update made;
  made.command = command.id;
  made.action = command.action;
  made.term = command.term;
  made.host = host;
  made.vm = command.vm;
  made.state = state;
  made.time = clock.now();
  made.message = std::move(message);
  return made;
}

Result<Admission> admit(JobContext& context, const Command& command) {
  if (context.clock.now() >= command.deadline) {
    return Error{ErrorCode::kDeadlineExceeded, "its deadline passed while it waited for its turn"};
  }
  const auto observed = context.hypervisor.inspect(command.vm);
  if (!observed) return observed.error();
  if (command.require_running && *command.require_running != observed->defined_active) {
    return Error{ErrorCode::kFailedPrecondition, active_message(command.vm, *observed)};
  }
  if (!observed->defined_active) {
    return Error{ErrorCode::kNotFound, fmt::format("domain {} is not active on this host", command.vm.value)};
  }
  auto description = context.hypervisor.describe(command.vm);
  if (!description) return description.error();
  if (auto status = check_protected(context.limits, description->name, command.vm); !status) return status.error();
  const auto value = present_value(command.operation, *observed);
  // A balloon is never still to the byte.
  const std::int64_t tolerance = std::holds_alternative<SetMemory>(command.operation) ? kMiB : 0;
  if (command.require_value && value && std::abs(*value - *command.require_value) > tolerance) {
    return Error{ErrorCode::kFailedPrecondition,
                 fmt::format("expected {} as the present value, found {}", *command.require_value, *value)};
  }
  return Admission{std::move(*description), *observed};
}

void run_job(JobContext& context, const Job& job) {
  if (std::holds_alternative<Inspect>(job.command.operation)) {
    run_inspect(context, job.command);
  } else if (std::holds_alternative<Reserve>(job.command.operation)) {
    check_reserve(context, job.command);
  } else if (std::holds_alternative<Migrate>(job.command.operation)) {
    run_migrate(context, job);
  } else {
    run_reshape(context, job);
  }
}

}  // namespace proteus::act
