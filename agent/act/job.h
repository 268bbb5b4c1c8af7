#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "agent/act/hypervisor.h"
#include "agent/act/limits.h"
#include "common/clock.h"
#include "common/command.h"

namespace proteus::act {

/// A command on its way to a worker.
struct Job {
  Command command;
  /// Begun by an earlier run of this agent: nothing is ordered again; its end is found out by looking.
  bool adopted = false;
  /// Set by an Abort. Shared: the executor sets it, the worker that migrates reads it, and either may end first.
  std::shared_ptr<std::atomic<bool>> abort_requested = std::make_shared<std::atomic<bool>>(false);
};

/// How a job lets time pass.
class Pause {
 public:
  virtual ~Pause() = default;
  /// False if the process is stopping: the job then returns at once, without a final update.
  virtual bool wait(Nanoseconds time) = 0;
};

/// What a job works with. All references outlive it.
struct JobContext {
  HostId host;
  Hypervisor& hypervisor;
  const LocalLimits& limits;
  const Clock& clock;
  Pause& pause;
  std::function<void(Update)> emit;

  /// An update on `command` from now. Progress and observation are added by the caller.
  Update update(const Command& command, CommandState state, std::string message = {}) const;
};

/// Conditions that need the hypervisor: the domain exists and is not protected, require_running, require_value. The
/// domain must be active for whatever changes it.
/// Returns: the domain as it is. Errors: why the command is refused.
struct Admission {
  DomainDescription description;
  DomainObservation observed;
};
Result<Admission> admit(JobContext& context, const Command& command);

/// Does the job (of a Reserve: its condition only, which ends with `accepted` or `refused`), emitting `accepted` or
/// `refused` first, then (unless the process stops) one final update. Thread: a worker; blocks as long as it takes.
void run_job(JobContext& context, const Job& job);

}  // namespace proteus::act
