#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/command.h"
#include "common/ids.h"
#include "controller/ham/cluster_state.h"
#include "controller/ham/learning/note.h"
#include "controller/ham/policy.h"

namespace proteus::ham {

namespace learning {
class Agent;
}

/// score = performance + utilisation − cost − latency, every term in currency per hour; higher is better.
struct ScoreTerms {
  double performance = 0;  ///< −price of expected contention and memory shortage over the horizon (<= 0)
  double utilisation = 0;  ///< −price of idle allocation and of hosts beyond their headroom (<= 0)
  double cost = 0;     ///< one-off price of the actions spread over the payback time, and soft rules violated (>= 0)
  double latency = 0;  ///< price of contention suffered until the actions take effect, and of downtime (>= 0)
  double total() const { return performance + utilisation - cost - latency; }
  bool operator==(const ScoreTerms&) const = default;
};

/// One change of one VM. The operation is one of SetCpuQuota, SetCpuShares, SetVcpus, SetMemory, Migrate.
struct Action {
  ActionId id = 0;  ///< given by the drs when it is taken up; 0 before
  VmId vm;
  HostId host;  ///< whose agent executes it: where the VM is, or will be once `after` is done
  Operation operation;
  std::optional<std::int64_t> present_value;  ///< precondition for Set*: what it replaces, and what a revert restores
  Reserve reserve;  ///< of a Migrate: room that the drs reserves at the target before it moves the VM; else zeroes
  Automation automation = Automation::kRecommend;  ///< level that applies to this VM
  std::string reason;                              ///< one sentence for people, with figures and units
  Nanoseconds expected_duration{};
  std::int64_t expected_downtime_ms = 0;
  std::optional<double> expected_wait_ratio;  ///< of a Migrate to where the VM stays: ns it waits there / ns it runs
  std::optional<double>
      expected_storage_s;  ///< of the same, if its VM uses storage: s that a request of its takes there
  std::optional<double>
      expected_drop_share;  ///< of the same, if its VM uses the network: share of packets dropped there
  /// Positions in Candidate::actions, all before this one, that must be verified before this one may start (the room it
  /// needs, or the same VM's move). If one of them fails, this one is dropped. Others may run side by side.
  std::vector<std::uint32_t> after;
  std::optional<learning::Note> learned;  ///< what learning saw in the change that it belongs to; of its first action
};

/// A candidate allocation, scored.
struct Candidate {
  std::string label;            ///< for example "migrate web1 h1 -> h2"
  std::vector<Action> actions;  ///< in a feasible order; empty: do nothing
  ScoreTerms score;
};

/// A candidate, or part of one, that a rule forbids.
struct Rejection {
  std::string candidate;
  std::string rule;    ///< name of the rule, for example "headroom", "pin:databases"
  std::string reason;  ///< one sentence with figures
};

/// What one VM was thought to need, and how its present place serves it.
struct Outlook {
  VmId vm;
  HostId host;
  forecast::Quantiles cpu_window_max;  ///< cores
  double cpu_limit_cores = 0;
  std::string model;
  std::optional<Nanoseconds> until_limit;  ///< forecast p90 crosses the VM's own limit in …
};

/// A host that is to be woken or put to sleep.
struct PowerChange {
  HostId host;
  bool awake = true;   ///< what it is to become: true before the actions begin, false once they are done
  std::string reason;  ///< one sentence
};

/// A helper that is to be started or ended; one that is put elsewhere is ended and started.
struct HelperChange {
  VmId vm;
  HostId host;                                     ///< of the helper
  bool start = true;                               ///< else it is to be ended
  std::string reason;                              ///< one sentence
  double gain = 0;                                 ///< expected, currency per hour
  Automation automation = Automation::kRecommend;  ///< level that applies to this VM
};

/// An option that the score finds worth taking and learning does not.
struct Held {
  VmId vm;
  std::string label;
  learning::Note note;
  bool examined = false;  ///< it was looked up whether the rules alone would have taken it: once in a while
  bool occasion = false;  ///< they would have
};

/// What learning did to a decision.
struct LearningPart {
  bool present = false;  ///< a model was there to be asked
  bool acting = false;   ///< and may change decisions
  std::uint64_t revision = 0;
  std::vector<Held> held;       ///< at most 8
  std::uint64_t corrected = 0;  ///< changes looked at whose gain it has changed
  /// Nothing was done: the best change of one VM that was looked at, and what learning thinks of it.
  std::optional<Held> opinion;
  std::string rules_alone;  ///< label of what the rules alone would have chosen, if something held was examined
};

/// The outcome of one cycle, explained. `chosen` may have no actions.
struct Decision {
  std::uint64_t id = 0;  ///< number of the cycle that made it; given by the pipeline
  Timestamp time;
  std::string policy;  ///< name
  Candidate chosen;
  Candidate do_nothing;
  std::vector<Candidate> alternatives;  ///< best first, at most 8
  std::vector<Rejection> rejections;    ///< at most 32
  std::vector<Outlook> outlooks;   ///< of the VMs that candidates touch; if none does, of those nearest to their limit
  std::string summary;             ///< one sentence: why this, or why nothing
  std::vector<HostId> emptying;    ///< hosts that are being emptied to sleep, over several cycles; for the next state
  std::vector<PowerChange> power;  ///< advice: the drs has no means to wake hosts or put them to sleep
  LearningPart learning;
  std::vector<HelperChange> helpers;  ///< advice: the drs has no means to start helpers or end them
};

struct Memory;

/// One cycle of the Hypervisor Adaptation Manager. Pure and deterministic: the same state, policy and seed give the
/// same decision, bit for bit. Never proposes an action for a VM that is in flight, excluded or on a stale host, nor
/// one on a host that takes part in a running migration. An unmovable VM only loses its own migrations: it is still
/// reshaped, and never blocks a plan.
/// learning: corrects the gains of single changes where it may act; notes what it thinks of them in any case. null: the
/// score and the rules alone.
/// memory: makes the decision cheaper, not another one (score/memory.h); null: everything is worked out anew.
Decision decide(const ClusterState& state, const Policy& policy, std::uint64_t seed,
                const learning::Agent* learning = nullptr, Memory* memory = nullptr);

}  // namespace proteus::ham
