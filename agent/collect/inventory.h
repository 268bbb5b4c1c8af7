#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/collect/domain_xml.h"
#include "common/ids.h"
#include "common/units.h"

namespace proteus::collect {

/// libvirt's counters of one disk, since the domain started.
struct DiskFacts {
  std::string target;
  std::optional<std::int64_t> read_bytes;
  std::optional<std::int64_t> write_bytes;
  std::optional<std::int64_t> ops_count;
  std::optional<std::int64_t> flushes_count;
  std::optional<std::int64_t> time_ns;
  bool operator==(const DiskFacts&) const = default;
};

/// What libvirt last said of one active domain (running, paused, or incoming in a migration).
struct VmFacts {
  VmId id;
  std::string name;
  DomainDescription description;
  std::optional<std::int64_t> state;  ///< virDomainState
  std::optional<std::int64_t> vcpus_count;
  std::optional<std::int64_t> vcpus_max_count;
  std::optional<std::int64_t> cpu_quota_us;  ///< -1: unlimited
  std::optional<std::int64_t> cpu_period_us;
  std::optional<std::int64_t> cpu_shares;
  std::optional<std::int64_t> memory_bytes;
  std::optional<std::int64_t> memory_max_bytes;
  std::optional<std::int64_t> balloon_bytes;
  std::optional<std::int64_t> guest_memory_usable_bytes;
  std::chrono::steady_clock::time_point guest_memory_told_at;  ///< by the guest
  std::optional<std::int64_t> memory_dirty_bytes_per_s;
  std::chrono::steady_clock::time_point dirty_rate_current_at;  ///< so far nobody waited for a newer one in vain
  /// A measurement was asked for, and none that began since has been told.
  std::optional<std::chrono::steady_clock::time_point> dirty_rate_wanted_at;
  /// When it was found to have gone on; before: it always ran, for all that is known.
  std::chrono::steady_clock::time_point runs_since;
  std::vector<DiskFacts> disks;
  std::chrono::steady_clock::time_point disks_told_at;
  bool can_measure_dirty_rate = false;
  std::chrono::steady_clock::time_point read_at;        ///< when libvirt listed it and told its state
  std::chrono::steady_clock::time_point statistics_at;  ///< when it told memory, dirty rate and disks
};

/// What libvirt told so many slow intervals ago is no longer called current.
inline constexpr int kFactsAgeIntervals = 3;

/// One answer of the inventory, immutable.
struct Inventory {
  std::uint64_t number = 0;  ///< another one with each reading
  /// Another one where what entities are called or labelled by may be another: all but figures and times.
  std::uint64_t names_number = 0;
  bool connected = false;
  std::string trouble;     ///< why not connected
  std::string hypervisor;  ///< for example "QEMU 7.2.17"; empty while never connected
  std::string libvirt;     ///< daemon's version
  /// name -> "yes" or "no: reason", those that libvirt decides; none while not connected
  std::map<std::string, std::string> capabilities;
  /// While not connected: those whose processes run, with what was last known of them; of one that was never asked
  /// about that is its name.
  std::map<VmId, VmFacts> vms;
};

/// Whether entities are called and labelled the same after both.
bool same_names(const Inventory& a, const Inventory& b);

struct InventoryOptions {
  std::string root = "/";  ///< procfs is read below it while libvirt does not answer
  std::string uri;
  Nanoseconds slow_interval = std::chrono::seconds(10);
};

/// Keeps an inventory of the active domains: all of them every slow interval by one bulk call, one domain at once after
/// an event or a refresh(), and what the bulk call leaves out (definition, vCPUs, quotas) once a minute. Runs on a
/// thread of its own ("proteus-libvirt"), and what may have to wait for QEMU on another (domain_statistics.h): a
/// libvirt that hangs makes the inventory old, never the tick late, and a QEMU that hangs only its own VM's figures.
/// Reconnects by itself, waiting 1 s, then twice as long, at most 30 s.
class InventoryReader {
 public:
  static std::unique_ptr<InventoryReader> start(InventoryOptions options);
  /// Closes the connection; waits for a libvirt call in progress.
  virtual ~InventoryReader() = default;

  /// The newest inventory, never null. Thread: any.
  virtual std::shared_ptr<const Inventory> latest() const = 0;
  /// Rereads one VM soon, all if the id is empty. Thread: any; returns at once.
  virtual void refresh(const VmId& vm) = 0;
};

}  // namespace proteus::collect
