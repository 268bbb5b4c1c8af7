#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/act/job.h"
#include "agent/act/leader.h"
#include "agent/act/limits.h"
#include "agent/act/outcome_log.h"
#include "agent/act/reservations.h"
#include "common/command.h"
#include "common/queue.h"

namespace proteus::act {

/// The present in both senses: `wall` for deadlines and what people read, `steady` (CLOCK_MONOTONIC as a Timestamp) for
/// leases, which a corrected clock must not end.
struct Moment {
  Timestamp wall;
  Timestamp steady;
};

/// Jobs wait in one queue per kind of work, so that a long one never delays a short one of another kind.
struct Lanes {
  Queue<Job>& inspect;
  Queue<Job>& reshape;
  Queue<Job>& migrate;
};

struct ExecutorOptions {
  HostId host;
  LocalLimits limits;
  std::string state_directory;
  Nanoseconds lease = std::chrono::seconds(10);
  Nanoseconds resend_interval = std::chrono::seconds(2);
  std::size_t waiting_per_vm_max = 8;
};

/// Decides what becomes of each command: refused, answered from memory, or begun; keeps the order per VM; remembers.
/// It touches neither socket nor hypervisor: commands and updates come in, jobs go to the lanes, updates to `send`.
///
/// A command passes, in this order: host, fence (leader and term), repetition, deadline, local limits, room for it.
/// Then it is written to the outcome log, and only then begun. Commands that change one VM run one after the other, in
/// the order of arrival; reserve, release, abort and inspect wait for nobody. Every update but a refusal by the fence
/// is repeated until the controller acknowledges it. Thread: owned by the command thread.
class Executor {
 public:
  /// send: (peer, update); peer is the index of the configured controller.
  using Send = std::function<void(std::size_t, const Update&)>;

  /// Loads leader and outcomes, puts granted reservations back, and hands jobs that an earlier run left unfinished to
  /// the lanes as adopted. memory_available_bytes: what the host could still give (MemAvailable). Errors: kUnavailable,
  /// kCorrupt (state directory).
  static Result<std::unique_ptr<Executor>> create(ExecutorOptions options, Lanes lanes,
                                                  std::function<Result<std::int64_t>()> memory_available_bytes,
                                                  Send send, Moment now);

  /// A controller says that it leads. Errors: kPermissionDenied (not followed), kUnavailable (cannot be remembered).
  Status on_welcome(std::size_t peer, const std::string& controller, Term term, Moment now);
  void on_command(std::size_t peer, const Command& command, Moment now);
  void on_acknowledged(std::uint64_t command, CommandState state, Moment now);
  /// A worker's word.
  void on_job_update(Update update, Moment now);
  /// The connection to a controller is new: what was under way on the old one may be lost and is due again.
  void on_reconnected(std::size_t peer);
  /// Repeats what is unacknowledged. Call at least every second.
  void on_tick(Moment now);

  const Leader& leader() const { return leader_; }
  const Reservations& reservations() const { return reservations_; }
  /// Commands begun and not ended.
  std::size_t open_count() const { return open_.size(); }
  /// Updates are repeated until they are acknowledged, by on_tick().
  bool has_unacknowledged() const { return !unacknowledged_.empty(); }

 private:
  struct Open {
    Job job;
    Term term = 0;                      ///< to answer in: the newest in which the command came
    std::optional<Update> latest;       ///< what a repeat is answered with
    std::vector<std::uint64_t> aborts;  ///< ids of Abort commands that wait for this one's end
  };
  struct Unacknowledged {
    Update update;
    Timestamp sent;  // steady
  };

  Executor(ExecutorOptions options, Lanes lanes, std::function<Result<std::int64_t>()> memory_available_bytes,
           Send send, Leader leader, std::unique_ptr<OutcomeLog> log)
      : options_(std::move(options)),
        lanes_(lanes),
        memory_available_bytes_(std::move(memory_available_bytes)),
        send_(std::move(send)),
        leader_(std::move(leader)),
        reservations_(options_.limits),
        log_(std::move(log)) {}

  void resume(Moment now);
  Status follow(std::size_t peer, const std::string& controller, Term term, Moment now);
  bool answer_repeat(const Command& command, Moment now);
  Status check_room(const Command& command) const;
  void begin(const Command& command, Moment now);
  void run_here(const Command& command, Moment now);
  Update reserve(const Command& command, Moment now);
  void settle_abort(const Command& command, Moment now);
  void dispatch(const VmId& vm, Moment now);
  void end(Update update, Moment now);
  void tell(const Update& update, Moment now);
  Update word(const Command& command, CommandState state, std::string message, Moment now) const;

  const ExecutorOptions options_;
  const Lanes lanes_;
  const std::function<Result<std::int64_t>()> memory_available_bytes_;
  const Send send_;
  Leader leader_;
  Reservations reservations_;
  const std::unique_ptr<OutcomeLog> log_;
  std::optional<std::size_t> leader_peer_;           ///< none until the leader was heard in this run
  std::map<std::uint64_t, Open> open_;               ///< by command id
  std::map<VmId, std::deque<std::uint64_t>> turns_;  ///< commands that change a VM; the front one is with a worker
  std::map<std::uint64_t, Unacknowledged> unacknowledged_;
  std::map<std::uint64_t, Update> refused_;  ///< by command id; the last 1,000 of this run
};

}  // namespace proteus::act
