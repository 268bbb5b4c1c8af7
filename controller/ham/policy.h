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
  // Neither: the static strategy.
};

/// Prices, all in the policy's currency (default: cents).
struct Prices {
  double contention_per_core_hour = 100;  ///< one core's worth of vCPUs is runnable and does not run, for an hour
  double shortfall_per_core_hour = 200;   ///< demand for one core is left undone by a limit or a full host; on top
  double memory_shortage_per_gib_hour = 400;
  double capacity_per_core_hour = 1;   ///< one core allocated beyond the p99 demand, for an hour
  double imbalance_per_host_hour = 2;  ///< a host whose p90 demand uses up its headroom exactly; linear beyond
  double migration_per_gib = 0.5;      ///< bytes copied: link and CPU of both hosts
  double action_fixed = 0.05;          ///< any change at all: risk and audit
  double downtime_per_second = 2;
  double rule_violation_per_hour = 1000;  ///< a hard rule that is broken now, per VM in the wrong place
};

struct VmRule {
  std::set<std::string> vms;  ///< names or UUIDs, globs allowed; "@key=glob" means VMs whose tag `key` matches
  int line = 0;               ///< in the policy file, for messages
  std::string name;           ///< rule's own name, as explained
};
struct AffinityRule : VmRule {
  bool apart = false;  ///< anti-affinity
  bool hard = true;
  double price_per_hour = 10;  ///< of a violation, if soft
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
struct AutomationRule : VmRule {
  Automation level = Automation::kAutomatic;
};

struct Limits {
  Nanoseconds cooldown = std::chrono::minutes(5);  ///< per VM, after an action ended
  int concurrent_migrations = 2;                   ///< in the cluster
  int concurrent_migrations_per_host = 1;          ///< in or out
  int moves_per_hour = 60;
  double cpu_headroom = 0.10;     ///< share of capacity to be kept free of p90 demand at a migration's target
  double memory_headroom = 0.10;  ///< share of memory kept free, always
  Nanoseconds payback = std::chrono::minutes(10);    ///< time over which an action's one-off price is spread
  double gain_min = 0.10;  ///< least gain per hour, share of the present cost of the hosts (a reshape: VM) that change
  Nanoseconds lookahead = std::chrono::seconds(0);            ///< how much of the forecast counts; 0: all of it
  std::int64_t migration_bandwidth_bytes_per_s = 112 * kMiB;  ///< cap given to each migration; predictions assume it
  std::int64_t downtime_ms_max = 300;                         ///< given to each migration
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
  std::vector<AutomationRule> automation_rules;
};

/// Parses and validates. Errors: kInvalidArgument, all problems joined, each with its line ("policy.toml:12: …").
Result<Policy> parse_policy(std::string_view toml_text, std::string_view file_name);

}  // namespace proteus::ham
