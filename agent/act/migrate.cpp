#include "agent/act/migrate.h"

#include <fmt/core.h>

#include <utility>

#include "common/log.h"

namespace proteus::act {
namespace {

constexpr Nanoseconds kLookInterval = std::chrono::milliseconds(50);
constexpr Nanoseconds kReportInterval = std::chrono::milliseconds(500);
/// An abort that did not take is asked for again after this long.
constexpr Nanoseconds kAbortInterval = std::chrono::seconds(2);
/// libvirt opens the job first and declines an unsafe migration in it, as a rule within this time. A call that has
/// shown memory to move, or has lasted longer, counts as begun; after that there is no refusing.
constexpr Nanoseconds kBegunAfter = std::chrono::milliseconds(500);
/// How long a domain that has left may take to run at the target before that is reported as trouble.
constexpr Nanoseconds kArrivalPatience = std::chrono::seconds(5);

/// One migration from start or adoption to its final update.
class Watch {
 public:
  Watch(JobContext& context, const Job& job, std::unique_ptr<Migration> migration)
      : context_(context),
        job_(job),
        order_(std::get<Migrate>(job.command.operation)),
        migration_(std::move(migration)),
        started_(context.clock.now()),
        accepted_(job.adopted) {}

  void run() {
    for (;;) {
      const Timestamp now = context_.clock.now();
      auto progress = context_.hypervisor.migration_progress(job_.command.vm);
      // The call's own word comes after the look at the job: a job that is over has an outcome at the next look.
      if (migration_) {
        if (auto outcome = migration_->outcome()) {
          finish(*outcome);
          return;
        }
      } else if (progress && !*progress && finished_by_looking(now)) {
        return;
      }
      const bool seen = progress && *progress;
      if (!accepted_ && ((seen && (*progress)->bytes_total > 0) || now - started_ >= kBegunAfter)) {
        accepted_ = true;
        context_.emit(context_.update(job_.command, CommandState::kAccepted));
      }
      if (seen && accepted_) report(**progress, now);
      stop_if_due(now);
      if (!context_.pause.wait(kLookInterval)) return;
    }
  }

 private:
  void report(const MigrationProgress& progress, Timestamp now) {
    latest_ = progress;
    if (reported_ && now - *reported_ < kReportInterval) return;
    reported_ = now;
    Update update = context_.update(job_.command, CommandState::kRunning,
                                    why_stopped_.empty() ? "" : why_stopped_ + "; the hypervisor has not let go yet");
    update.migration = progress;
    context_.emit(std::move(update));
  }

  void stop_if_due(Timestamp now) {
    if (why_stopped_.empty()) {
      if (job_.abort_requested->load()) {
        why_stopped_ = "aborted on request";
      } else if (now >= job_.command.deadline) {
        why_stopped_ = "aborted at its deadline";
      } else {
        return;
      }
    }
    if (stop_asked_ && now - *stop_asked_ < kAbortInterval) return;
    stop_asked_ = now;
    if (auto status = context_.hypervisor.abort_migration(job_.command.vm); !status) {
      // Too early (no job yet) or too late (it is finishing): the outcome tells which.
      log::info("act: command {}: {}: {}", job_.command.id, why_stopped_, status.error().message);
    }
  }

  void finish(const Status& outcome) {
    const auto here = context_.hypervisor.inspect(job_.command.vm);
    if (outcome && here && !here->defined_active) {
      succeed(*here, "");
      return;
    }
    if (!outcome && !accepted_ && here && here->defined_active &&
        (outcome.error().code == ErrorCode::kFailedPrecondition || outcome.error().code == ErrorCode::kUnsupported)) {
      end(CommandState::kRefused, outcome.error().message, *here);
      return;
    }
    std::string message = why_stopped_;
    if (!outcome) message += (message.empty() ? "" : ": ") + outcome.error().message;
    if (!here) {
      end(CommandState::kFailed, message + "; the domain cannot be read back: " + here.error().message, std::nullopt);
    } else if (here->defined_active) {
      message += message.empty() ? "the hypervisor reports success, but the domain is still active here"
                                 : "; the domain stays on this host";
      end(CommandState::kFailed, message, *here);
    } else {
      // Neither moved nor here: destroyed meanwhile, shut down by its guest, or left in spite of an error.
      look_at_target(*here, message);
    }
  }

  /// False if libvirt does not say what the domain is and the deadline leaves time to ask again.
  bool finished_by_looking(Timestamp now) {
    const auto here = context_.hypervisor.inspect(job_.command.vm);
    const std::string message = why_stopped_.empty() ? "the agent was restarted during this migration" : why_stopped_;
    if (!here) {
      if (now < job_.command.deadline + kAbortInterval) return false;
      end(CommandState::kFailed, message + "; the domain cannot be read: " + here.error().message, std::nullopt);
    } else if (here->defined_active) {
      end(CommandState::kFailed, message + "; no migration goes on and the domain is on this host", *here);
    } else {
      look_at_target(*here, message);
    }
    return true;
  }

  /// The domain is not here. Only a domain that runs at the target has arrived: an active one that does not run may be
  /// the shell of an incoming migration whose source has died, which the target's libvirt then removes.
  void look_at_target(const DomainObservation& here, const std::string& message) {
    const Timestamp patience_end = context_.clock.now() + kArrivalPatience;
    for (;;) {
      const auto there = context_.hypervisor.inspect_at(order_.target_libvirt_uri, job_.command.vm);
      if (!there) {
        end(CommandState::kFailed,
            message + "; the domain is not on this host, and the target cannot be asked: " + there.error().message,
            here);
        return;
      }
      if (there->running) {
        succeed(here, message + "; found running on " + order_.target.value);
        return;
      }
      if (!there->defined_active) {
        end(CommandState::kFailed, message + "; the domain is neither on this host nor on " + order_.target.value,
            here);
        return;
      }
      if (context_.clock.now() >= patience_end) {
        end(CommandState::kFailed, message + "; the domain has left this host and is paused on " + order_.target.value,
            here);
        return;
      }
      if (!context_.pause.wait(kLookInterval)) return;
    }
  }

  void succeed(const DomainObservation& here, std::string message) {
    if (const auto completed = context_.hypervisor.completed_migration(order_.target_libvirt_uri, job_.command.vm);
        completed && *completed) {
      // The target knows the downtime; what was sent is the source's knowledge, if it was watched.
      if ((*completed)->bytes_processed == 0 && latest_) {
        const std::int64_t downtime_ms = (*completed)->downtime_ms;
        latest_->downtime_ms = downtime_ms;
      } else {
        latest_ = **completed;
      }
    } else if (latest_) {
      latest_->downtime_ms = 0;  // what was seen last was an expectation
    }
    end(CommandState::kSucceeded, std::move(message), here);
  }

  void end(CommandState state, std::string message, std::optional<DomainObservation> here) {
    if (state != CommandState::kRefused && !accepted_) {
      context_.emit(context_.update(job_.command, CommandState::kAccepted));
    }
    Update update = context_.update(job_.command, state, std::move(message));
    update.migration = latest_;
    update.observed = here;
    context_.emit(std::move(update));
  }

  JobContext& context_;
  const Job& job_;
  const Migrate& order_;
  const std::unique_ptr<Migration> migration_;  // nullptr if adopted
  const Timestamp started_;
  bool accepted_;
  std::optional<MigrationProgress> latest_;
  std::optional<Timestamp> reported_;
  std::optional<Timestamp> stop_asked_;
  std::string why_stopped_;
};

}  // namespace

void run_migrate(JobContext& context, const Job& job) {
  if (job.adopted) {
    Watch(context, job, nullptr).run();
    return;
  }
  const auto refuse = [&](const Error& error) {
    Update update = context.update(job.command, CommandState::kRefused, error.message);
    if (const auto here = context.hypervisor.inspect(job.command.vm)) update.observed = *here;
    context.emit(std::move(update));
  };
  if (const auto admission = admit(context, job.command); !admission) {
    refuse(admission.error());
    return;
  }
  if (job.abort_requested->load()) {
    refuse({ErrorCode::kFailedPrecondition, "aborted before it began"});
    return;
  }
  auto migration = context.hypervisor.start_migration(job.command.vm, std::get<Migrate>(job.command.operation));
  if (!migration) {
    refuse(migration.error());
    return;
  }
  Watch(context, job, std::move(*migration)).run();
}

}  // namespace proteus::act
