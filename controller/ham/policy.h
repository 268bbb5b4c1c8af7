#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "common/units.h"

namespace proteus::ham {

/// observe: score only. recommend: journal a plan, never act. approve: act on what a person approves. automatic: act.
enum class Automation : std::uint8_t { kObserve, kRecommend, kApprove, kAutomatic };
const char* to_string(Automation level);

/// Which kinds of action candidates may hold. "Do nothing" is always one.
struct Strategies {
  bool reshape = true;  ///< quota, shares, vCPUs, balloon on the VM's present host
  bool migrate = true;
  /// Empties hosts that cost more power than their VMs cost elsewhere, so that they may sleep; wakes them when they
  /// are needed.
  bool consolidate = false;
  bool spawn = true;  ///< helpers of VMs that a helper rule is about; advice alone, the drs has no means to start them
  // None: the static strategy.
};

/// Prices, all in the policy's currency (default: cents).
struct Prices {
  double contention_per_core_hour = 100;  ///< one core's worth of vCPUs is runnable and does not run, for an hour
  double shortfall_per_core_hour = 200;   ///< demand for one core is left undone by a limit or a full host; on top
  double memory_shortage_per_gib_hour = 400;
  double storage_wait_per_core_hour = 50;  ///< one core's worth of vCPUs waits for storage, for an hour
  double network_wait_per_core_hour = 50;  ///< the same for packets that were dropped
  double exit_wait_per_core_hour = 50;     ///< the same for exits to user space
  double memory_wait_per_core_hour = 100;  ///< some task of a host stalls for want of memory, for an hour
  double capacity_per_core_hour = 1;       ///< one core allocated beyond the p99 demand, for an hour
  double imbalance_per_host_hour = 2;      ///< a host whose p90 demand uses up its headroom exactly; linear beyond
  double migration_per_gib = 0.5;          ///< bytes copied: link and CPU of both hosts
  double action_fixed = 0.05;              ///< any change at all: risk and audit
  double downtime_per_second = 2;
  double rule_violation_per_hour = 1000;  ///< a hard rule that is broken now, per VM in the wrong place
  double energy_per_kwh = 0;              ///< of hosts whose power is known
  /// A VM that waits for CPU, or lacks it, by more than a twentieth, whatever its value; with value rules only.
  double waiting_per_vm_hour = 0;
  double crowding_per_host_hour = 0;  ///< memory promised beyond memory_comfort, by as much as the host has
};

struct VmRule {
  std::set<std::string> vms;  ///< names or UUIDs, globs allowed; "@key=glob" means VMs whose tag `key` matches
  int line = 0;               ///< in the policy file, for messages
  std::string name;           ///< rule's own name, as explained
};
struct AffinityRule : VmRule {
  bool apart = false;  ///< anti-affinity
  bool hard = true;
  bool by_fault_domain = false;  ///< together in, or apart over, fault domains instead of hosts
  double price_per_hour = 10;    ///< of a violation, if soft
};
struct PinRule : VmRule {
  std::set<std::string> hosts;  ///< names, globs allowed; the only ones that the VMs may be on
};
struct ExcludeRule : VmRule {};  ///< never touched
struct SizeRule : VmRule {
  int vcpus_min = 1;
  int vcpus_max = 1 << 20;
  double cpu_cores_min = 0.05;  ///< of the quota
  double cpu_cores_max = 1e9;
  std::int64_t memory_bytes_min = 64 * kMiB;
  std::int64_t memory_bytes_max = std::int64_t{1} << 60;
};
/// CPU and memory that are these VMs' own, used or not.
struct ReservationRule : VmRule {
  double cpu_cores = 0;
  std::int64_t memory_bytes = 0;
};
/// Whose waiting counts more (or less) than others'.
struct PriorityRule : VmRule {
  double weight = 1;
};
/// What an hour of these VMs' work is worth: paid for as far as it is not done. Rules that match add up.
struct ValueRule : VmRule {
  double per_vcpu_hour = 0;
  double per_gib_hour = 0;  ///< of the largest memory that they may have
};
/// When VMs may be changed. Times of day are minutes after midnight, UTC.
struct WindowRule : VmRule {
  bool forbid = false;        ///< never within the window; else: only within it (or another that allows)
  bool migrate_only = true;   ///< else reshapes as well
  unsigned days = 0b1111111;  ///< bit 0: Monday
  int from_minute = 0;
  int to_minute = 24 * 60;  ///< before from_minute: the window passes midnight, and belongs to the day it begins on
};
/// A helper, a micro-VM, may do a part of these VMs' work on any host: at most one for each VM. Of several rules that
/// are about a VM the first holds.
struct HelperRule : VmRule {
  int vcpus = 1;
  std::int64_t memory_bytes = 512 * kMiB;  ///< what it takes of its host's, the hypervisor's own included
  double share = 0.5;                      ///< of its VM's CPU demand, what it does at most
  double overhead = 1.1;                   ///< CPU that it takes for a unit of what its VM would take
  double price = 0.5;                      ///< of starting one
  double price_per_hour = 0;               ///< of having one
  double gain_floor = 0;  ///< least gain of starting one within the payback time, in place of Limits::gain_floor
  int most = 16;          ///< at a time, of all VMs of this rule
  Nanoseconds ready_after = std::chrono::seconds(10);
};
struct AutomationRule : VmRule {
  Automation level = Automation::kAutomatic;
};

struct HostRule {
  std::set<std::string> hosts;  ///< names, globs allowed; "@group" means a host group's
  int line = 0;
  std::string name;
};
/// Gives a set of hosts a name, for `hosts = ["@name"]` in other rules.
struct HostGroup : HostRule {};
/// Hosts that fail together: one rack, one power feed.
struct FaultDomain : HostRule {};
/// Another headroom than the cluster's for some hosts; of several the largest holds.
struct HeadroomRule : HostRule {
  double cpu = -1;  ///< share; < 0: the cluster's
  double memory = -1;
};
/// Power of hosts that do not report it.
struct PowerRule : HostRule {
  double idle_watts = 0;
  double peak_watts = 0;
};

struct Limits {
  Nanoseconds cooldown = std::chrono::minutes(5);  ///< per VM, after an action ended
  int concurrent_migrations = 2;                   ///< in the cluster
  int concurrent_migrations_per_host = 1;          ///< in or out
  bool settle_hosts = true;  ///< a host that takes part in a running migration is left alone until it has ended
  int moves_per_hour = 60;
  int moves_per_hour_per_host = 60;  ///< in and out
  int moves_per_hour_per_vm = 60;
  double cpu_headroom = 0.10;     ///< share of capacity to be kept free of p90 demand at a migration's target
  double memory_headroom = 0.10;  ///< share of memory kept free, always
  Nanoseconds payback = std::chrono::minutes(10);  ///< time over which an action's one-off price is spread
  /// The same for emptying a host that is to sleep, which is meant for longer; 0: as payback.
  Nanoseconds sleep_payback = std::chrono::seconds(0);
  Nanoseconds awake_min = std::chrono::seconds(0);  ///< a host that was woken is not emptied to sleep for so long
  double slowdown_free = 0.05;  ///< share of its performance that a VM may lose before value is lost
  /// Share of a host's memory that its VMs' balloon targets may add up to; then room is counted by what guests hold and
  /// may need, and targets are set so that they cannot all grow at once. 0: room is counted by targets.
  double memory_promise = 0;
  /// Guests of a host that may outgrow what they may need (p99) at the same time: no more have to fit under
  /// memory_promise together; 0: any number.
  int memory_bursts = 0;
  double memory_comfort = 0.85;  ///< share of a host's memory beyond which its guests may find no room to grow
  double gain_min = 0.10;  ///< least gain per hour, share of the present cost of the hosts (a reshape: VM) that change
  double gain_floor = 0;   ///< least gain within the payback time beside that, in currency: one migration, or many
  double emptying_floor = 0;  ///< the same within sleep_payback, for each VM that leaves a host so that it may sleep
  Nanoseconds lookahead = std::chrono::seconds(0);            ///< how much of the forecast counts; 0: all of it
  std::int64_t migration_bandwidth_bytes_per_s = 112 * kMiB;  ///< cap given to each migration; predictions assume it
  std::int64_t downtime_ms_max = 300;                         ///< given to each migration
  int spare_hosts = 1;  ///< empty hosts that stay awake when others are put to sleep
};

/// The operator's word: a TOML file. Every key has a default; unknown keys are errors with their line.
struct Policy {
  std::string name = "default";
  Automation automation = Automation::kRecommend;
  Strategies strategies;
  Prices prices;
  Limits limits;
  std::vector<AffinityRule> affinity;
  std::vector<PinRule> pins;
  std::vector<ExcludeRule> exclusions;
  std::vector<SizeRule> sizes;
  std::vector<ReservationRule> reservations;
  std::vector<PriorityRule> priorities;
  std::vector<ValueRule> values;
  std::vector<WindowRule> windows;
  std::vector<AutomationRule> automation_rules;
  std::vector<HelperRule> helpers;
  std::vector<HostGroup> host_groups;
  std::vector<FaultDomain> fault_domains;
  std::vector<HeadroomRule> headrooms;
  std::vector<PowerRule> powers;
};

/// Parses and validates. Errors: kInvalidArgument, all problems joined, each with its line ("policy.toml:12: …").
Result<Policy> parse_policy(std::string_view toml_text, std::string_view file_name);

}  // namespace proteus::ham
