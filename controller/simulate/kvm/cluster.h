#pragma once

#include <cstddef>
#include <limits>
#include <string_view>
#include <vector>

#include "controller/simulate/kvm/workload.h"

namespace proteus::simulate::kvm {

inline constexpr double kVmOverhead_mib = 128;  ///< QEMU's own memory
inline constexpr int kHostMigrationsMax = 4;
inline constexpr double kHelperMemory_mib = 512;
inline constexpr double kAsleep_w = 8;       ///< of a host
inline constexpr double kHelperShare = 0.5;  ///< of its VM's work, what a helper does at most
inline constexpr double kHelperCost = 1.1;   ///< MHz for each MHz of that work, where it does it

/// What a guest touches of its memory and what its kernel takes, MiB.
double memory_need(const Workload& workload, std::size_t vm, int tick);

enum class Power : std::uint8_t { kOn, kAsleep, kWaking };

struct VmState {
  bool present = false;
  int host = kNever;
  double resident_mib = 0;
  double balloon_mib = 0;  ///< ceiling of resident
  double weight = 1;
  double cap_mhz = std::numeric_limits<double>::infinity();
  int down_until = kNever;  ///< tick at which it runs again
  int moved_at = kNever;    ///< tick at which its last migration began
  int moved_from = kNever;  ///< host that it began at
  int moved_to = kNever;    ///< host that it was to end at

  int target = kNever;       ///< host it is migrating to
  int helper = kNever;       ///< host of its helper, a micro-VM that takes part of its CPU demand
  int helper_from = kNever;  ///< first tick in which that works

  double remaining_s = 0;
  double rate_mibs = 0;
  double downtime_s = 0;

  bool migrating() const { return target != kNever; }
  bool down(int tick) const { return tick < down_until; }
  bool helped(int tick) const { return helper != kNever && tick >= helper_from && !down(tick); }
};

struct HostState {
  Power power = Power::kOn;
  std::vector<int> vms;       ///< here, migrating away included; ascending
  std::vector<int> incoming;  ///< migrating to here
  std::vector<int> helped;    ///< VMs whose helper is here; ascending
  int outgoing = 0;           ///< migrations from here
  double used_mib = 0;        ///< resident and overhead of all of these, helpers too
  int vcpus = 0;              ///< of all of these
  int migrations() const { return outgoing + static_cast<int>(incoming.size()); }
};

/// Why an action is not possible.
enum class Refusal : std::uint8_t {
  kNone,
  kPinned,
  kMigrating,
  kDown,
  kHostOff,
  kAntiAffinity,
  kBusy,
  kMemory,
  kSameHost,
  kNotScalable,
  kHelped,
  kNotEmpty,
};

/// What happened to migrations in a tick.
struct MigrationTally {
  int begun = 0;
  double seconds = 0;
  double downtime_s = 0;
  double copied_mib = 0;
};

struct MemoryPressure {
  std::vector<int> killed;
  std::vector<double> excess;  ///< [host] used beyond what it has, as a share of that
};

/// The cluster's state and every change that the benchmark knows. Times are ticks. Thread: owned by one.
class Cluster {
 public:
  /// Places the VMs that are present at first by the default rule.
  explicit Cluster(const Workload& workload);

  const Workload& workload() const { return *workload_; }
  const std::vector<VmState>& vms() const { return vms_; }
  const std::vector<HostState>& hosts() const { return hosts_; }
  /// The tick that is decided or simulated now.
  int tick() const { return tick_; }

  // The steps before a decision, in this order.
  void finish_wakes();
  void depart();
  /// VMs that arrive at this tick and were not initial, in id order.
  std::vector<int> arrivals() const;
  void arrive(int vm, int host);
  /// Wakes the largest host that sleeps, for a VM for which no host is on; it takes the VM at once, which runs when it
  /// is awake.
  int wake_for_arrival();
  /// The default rule: where to put a VM that needs so much memory.
  int default_place(int vm, double memory_mib) const;

  // Decisions.
  Refusal migration_refusal(int vm, int host) const;
  /// Each returns what it was refused for and then changes nothing.
  Refusal migrate(int vm, int host);
  Refusal sleep(int host);
  Refusal wake(int host);
  /// Within the benchmark's bounds, else the nearest bound.
  Refusal set_balloon(int vm, double ceiling_mib);
  void set_weight(int vm, double weight);
  void set_cap(int vm, double cap_mhz);
  /// A helper for a scalable VM, which works from the next tick on until it is ended or the VM departs.
  Refusal start_helper(int vm, int host);
  void end_helper(int vm);
  bool anti_affinity_kept(int vm, int host) const;

  /// Rates and durations of what was begun in this tick.
  MigrationTally start_migrations();

  // The steps of a tick that change the state.
  /// Residents grow to what is needed.
  void settle_memory();
  double memory_needed(int vm) const;
  /// Kills VMs of hosts that are far out of memory, host by host: one that a kill spares an incoming VM feels it in
  /// this tick only if its number is higher.
  MemoryPressure kill_for_memory();
  /// A tick's time passes; migrations that end have moved their VM.
  void advance();

 private:
  void put(int vm, int host);
  void take(int vm, int host);
  void cancel_migration(int vm);
  void set_resident(int vm, double resident_mib);

  const Workload* workload_;
  std::vector<VmState> vms_;
  std::vector<HostState> hosts_;
  std::vector<int> begun_;  ///< migrations of this tick
  std::vector<int> slept_;
  int tick_ = kFirstTick;
};

}  // namespace proteus::simulate::kvm
