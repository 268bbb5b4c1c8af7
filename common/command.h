#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "common/ids.h"
#include "common/units.h"

namespace proteus {

/// CPU time per vCPU and period, as libvirt's vcpu_quota/vcpu_period. quota_us = -1: unlimited.
struct SetCpuQuota {
  std::int64_t quota_us = -1;
  std::int64_t period_us = 100000;
  bool operator==(const SetCpuQuota&) const = default;
};
struct SetCpuShares {
  std::int64_t shares = 1024;
  bool operator==(const SetCpuShares&) const = default;
};
/// Online vCPUs (hot-plug up to the domain's maximum).
struct SetVcpus {
  std::int32_t count = 1;
  bool operator==(const SetVcpus&) const = default;
};
/// Balloon target.
struct SetMemory {
  std::int64_t bytes = 0;
  bool operator==(const SetMemory&) const = default;
};
/// Peer-to-peer live migration, sent to the source host.
struct Migrate {
  HostId target;
  std::string target_libvirt_uri;          ///< e.g. qemu+tcp://h2/system, from the target's catalog
  std::string migrate_uri;                 ///< e.g. tcp://10.99.0.2; empty lets libvirt choose
  std::int64_t bandwidth_bytes_per_s = 0;  ///< 0: hypervisor's default
  std::int64_t downtime_ms_max = 300;
  bool auto_converge = true;
  bool post_copy_allowed = false;
  bool operator==(const Migrate&) const = default;
};
/// Room for an incoming VM, sent to the target host before Migrate; refused if the host's own limits would be crossed.
/// Named by the command's action. Lapses by itself at the command's deadline, so that a controller that dies leaves
/// none.
struct Reserve {
  std::int64_t memory_bytes = 0;
  std::int64_t cpu_millicores = 0;
  bool operator==(const Reserve&) const = default;
};
/// Gives back what Reserve took. Unknown reservations are released with success.
struct Release {
  ActionId reservation = 0;
  bool operator==(const Release&) const = default;
};
/// Stops a running Migrate of this host. With none running it succeeds and changes nothing.
struct Abort {
  ActionId action = 0;
  bool operator==(const Abort&) const = default;
};
/// Reads what the domain is on this host; changes nothing. Answered in Update::observed, also when no such domain
/// exists (defined_active = false); fails only if the hypervisor cannot be asked.
struct Inspect {
  bool operator==(const Inspect&) const = default;
};

using Operation =
    std::variant<SetCpuQuota, SetCpuShares, SetVcpus, SetMemory, Migrate, Reserve, Release, Abort, Inspect>;

/// Deadline of a repeat that only asks what became of a command; see Command.
constexpr Timestamp kAskOnly = from_unix_ns(1);

/// An order from the controller to one agent. Executing it twice equals executing it once: the agent keeps the last
/// update of each id, refusals included, and answers a repeat with it before it checks anything else; a repeat changes
/// nothing about the work under way. A repeat of an id in a newer term is answered in that term, and so are the updates
/// that follow. Hence a repeat whose deadline has passed (kAskOnly) is a question that can never start work: an agent
/// that knows the id answers with what became of it; one that does not refuses it, and by keeping the refusal refuses
/// the original too, should it still be on its way.
/// At most once holds across restarts of the agent: it keeps ids on disk, or refuses what was issued before it started.
struct Command {
  std::uint64_t id = 0;  ///< unique per controller store; several commands may serve one action
  ActionId action = 0;
  Term term = 0;
  std::string controller;  ///< id of the deciding controller; with term, the fence
  HostId host;             ///< who is to execute it; an agent refuses another host's
  VmId vm;
  Timestamp issued;
  Timestamp deadline;                   ///< refused if it arrives later; a running migration is aborted at it
  std::optional<bool> require_running;  ///< precondition: domain is (true) or is not (false) active on this host
  std::optional<std::int64_t>
      require_value;  ///< precondition of Set*: the present value (quota_us, shares, count, bytes)
  Operation operation;
};

enum class CommandState : std::uint8_t {
  kAccepted,   ///< checked and begun
  kRunning,    ///< with progress; may repeat
  kSucceeded,  ///< done and verified on this host
  kFailed,     ///< begun, not done; the message says what the state is now
  kRefused,    ///< not begun: old term, wrong host, precondition, local limit, deadline, another leader
};

const char* to_string(CommandState state);
constexpr bool is_final(CommandState s) {
  return s == CommandState::kSucceeded || s == CommandState::kFailed || s == CommandState::kRefused;
}

struct MigrationProgress {
  std::int64_t bytes_processed = 0;
  std::int64_t bytes_remaining = 0;
  std::int64_t bytes_total = 0;
  std::int64_t dirty_bytes_per_s = 0;
  std::int64_t downtime_ms = 0;  ///< measured when finished, else expected; 0 unknown
  bool operator==(const MigrationProgress&) const = default;
};

/// What a domain is on a host right now.
struct DomainObservation {
  bool defined_active = false;  ///< an active (running or paused) domain with this UUID exists
  bool running = false;         ///< and its vCPUs execute (not paused, not an incoming migration)
  std::int32_t vcpus = 0;
  std::int64_t cpu_quota_us = -1;
  std::int64_t cpu_period_us = 0;
  std::int64_t cpu_shares = 0;
  std::int64_t memory_bytes = 0;
  bool operator==(const DomainObservation&) const = default;
};

/// An agent's word on a command.
struct Update {
  std::uint64_t command = 0;
  ActionId action = 0;
  Term term = 0;
  HostId host;
  VmId vm;
  CommandState state = CommandState::kAccepted;
  Timestamp time;       ///< host's wall clock
  std::string message;  ///< one sentence for people; empty when all is well
  std::optional<MigrationProgress> migration;
  std::optional<DomainObservation> observed;
};

}  // namespace proteus
