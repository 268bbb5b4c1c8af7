#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/command.h"
#include "common/ids.h"
#include "common/units.h"
#include "controller/forecast/forecast.h"
#include "controller/profile/fingerprint.h"
#include "controller/profile/move_accuracy.h"
#include "controller/profile/signature.h"

namespace proteus::ham {

/// What a VM has been given.
struct Allocation {
  std::int32_t vcpus = 1;
  std::int32_t vcpus_max = 1;
  std::int64_t cpu_quota_us = -1;  ///< per vCPU and period; -1 unlimited
  std::int64_t cpu_period_us = 100000;
  std::int64_t cpu_shares = 1024;
  std::int64_t memory_bytes = 0;
  std::int64_t memory_max_bytes = 0;
  bool operator==(const Allocation&) const = default;

  /// Cores that the VM's vCPUs may use at most.
  double cpu_limit_cores() const {
    if (cpu_quota_us < 0 || cpu_period_us <= 0) return vcpus;
    return vcpus * std::min(1.0, static_cast<double>(cpu_quota_us) / static_cast<double>(cpu_period_us));
  }
};

struct Scenarios;

/// A disk or a network link that the VMs of a host share.
struct Device {
  double capacity_bytes_per_s = 0;  ///< 0: unknown; nobody is taken to wait for it
  double rest = 1;                  ///< what an operation takes at rest, relative to the best host of the cluster
  /// Waiting per time of service, by load. Hosts that are alike share it; none: nobody waits.
  std::shared_ptr<const profile::ResponseCurve> wait;
};

struct HostState {
  HostId id;
  profile::Fingerprint fingerprint;
  double core_speed = 1;  ///< what one of its CPUs does; in the unit of all cores of capacity, use and demand
  Device disk;
  Device network;
  std::int64_t memory_available_bytes = 0;
  double cpu_used_cores = 0;        ///< over the last tick, all of the host
  double cpu_overhead_cores = 0;    ///< used by what is not a vCPU (emulators, services), smoothed; adds to forecasts
  double run_queue_wait_ratio = 0;  ///< ns waited for a CPU (not for a quota) / ns run of its VMs, last tick
  bool fresh = false;               ///< telemetry within the staleness limit; else nothing is decided about it
  bool catching_up = false;         ///< what it sends had been held up, or a clock was set: not fresh
  Nanoseconds lag{};                ///< from when its newest telemetry was measured, by its clock, to its receipt
  bool maintenance = false;
  bool commandable = false;           ///< its agent follows this controller, and libvirt answers it
  bool emptying = false;              ///< by the decision before, so that it may sleep (Decision::emptying)
  std::optional<Timestamp> woken_at;  ///< last time that it was woken
  bool asleep = false;                ///< put to sleep to save power; it sends no telemetry and can be woken
  Nanoseconds wake_time = std::chrono::seconds(30);  ///< from asleep until it takes VMs
  double idle_watts = 0;                             ///< measured or known; 0: unknown, a power rule may say
  double peak_watts = 0;
  std::string libvirt_uri;  ///< how a source reaches it for migration
  std::string migrate_uri;
  std::string libvirt_trouble;  ///< why its agent gets no answer from libvirt; empty if it does
};

/// What a VM's vCPUs waited for in the last tick, beside CPUs: cores' worth.
struct Stalls {
  double memory = 0;   ///< the host had to find memory for it
  double storage = 0;  ///< no more than vCPUs, however many requests are in flight
  double network = 0;  ///< packets dropped, each by what it holds up
};

/// What a VM's work came to in the last tick, for whoever compares it with what was expected.
struct Served {
  double performance = 1;     ///< share of its work that got done, whatever held it back, in [0, 1]
  bool kept_waiting = false;  ///< it waited for CPU, or lacked it, by more than a twentieth
  double disk_bytes_per_s = 0;
  double network_bytes_per_s = 0;
};

/// What of a VM may be another in each tick: what is measured, and how its last action ended.
struct VmFigures {
  Allocation allocation;
  bool running = false;
  double cpu_used_cores = 0;    ///< run time of vCPUs per second, last tick
  double cpu_demand_cores = 0;  ///< run + wait beyond what is normal: what it would use if nothing held it back
  double run_queue_wait_ratio = 0;
  Stalls stalls;
  double throttled_ratio = 0;    ///< share of the last tick in which its quota held it back
  profile::Signature signature;  ///< what it depends on, of late
  std::int64_t memory_resident_bytes = 0;
  std::int64_t memory_peak_bytes = 0;             ///< the most that it was seen to use, over days; 0: not known
  std::optional<std::int64_t> dirty_bytes_per_s;  ///< absent: not measured yet
  /// The rates at which it would spend half of its time in I/O, were it on the best host at rest; 0: unknown, then it
  /// is taken not to wait for that.
  double disk_half_bytes_per_s = 0;
  double network_half_bytes_per_s = 0;
  std::optional<Served> served;              ///< none: not measured
  std::optional<Timestamp> last_action_end;  ///< for cooldown
  bool last_action_failed = false;           ///< the one that ended then
};

struct VmState : VmFigures {
  VmId id;
  std::string name;
  HostId host;
  std::optional<std::string> unmovable;       ///< reason
  std::map<std::string, std::string> groups;  ///< operator's tags from the domain's metadata
  /// kMemory is what the guest uses (balloon target − usable): QEMU's resident size never shrinks and would always look
  /// like demand. A resource without forecast is absent.
  std::map<forecast::Resource, forecast::Forecast> forecasts;
  /// The same as in a state before only if the forecasts are; 0: not known.
  std::uint64_t forecasts_version = 0;
};

/// A helper that exists: a micro-VM that does part of a VM's work (HelperRule). What is said of the VM's demand and its
/// forecasts is of all its work, the helper's part included.
struct HelperState {
  VmId vm;
  HostId host;
  Timestamp since;
};

/// An action that is under way; its VM, source and target are spoken for.
struct InFlight {
  ActionId id = 0;
  VmId vm;
  HostId source;
  std::optional<HostId> target;
  bool awaiting_approval = false;
};

/// A migration that has ended. Convertible from its end alone, for whoever knows no more; then it counts in the
/// cluster's budget only.
struct RecentMove {
  RecentMove(Timestamp when) : end(when) {}  // NOLINT(google-explicit-constructor)
  RecentMove(Timestamp when, VmId which, HostId from, HostId to)
      : end(when), vm(std::move(which)), source(std::move(from)), target(std::move(to)) {}
  Timestamp end;
  VmId vm;
  HostId source;
  HostId target;
};

/// Everything that one decision looks at. A value: complete, immutable, without a socket behind it.
/// hosts and vms are sorted by id, so that the same state gives the same decision.
struct ClusterState {
  Timestamp now;
  std::vector<HostState> hosts;
  std::vector<VmState> vms;
  std::vector<HelperState> helpers;  ///< at most one of each VM; more are not looked at
  std::vector<InFlight> in_flight;
  std::vector<RecentMove> recent_moves;  ///< ended in the last hour, oldest first; for budgets
  profile::MoveErrors move_errors;       ///< of predicted waiting for a CPU, as far as moves have been followed
  profile::MoveErrors storage_move_errors{profile::MoveErrors::kStorageFloor_s};  ///< of what requests to storage take
  profile::MoveErrors network_move_errors{profile::MoveErrors::kDropFloor};       ///< of the share of packets dropped
  Nanoseconds migration_time_max{};  ///< a migration that takes longer is aborted; 0: none is
  bool paused = false;               ///< kill switch
  /// What the VMs may do together; without it, paths through their forecasts are taken (score/scenarios.h).
  std::shared_ptr<const Scenarios> scenarios;

  const HostState* find_host(const HostId& id) const;
  const VmState* find_vm(const VmId& id) const;
};

}  // namespace proteus::ham
