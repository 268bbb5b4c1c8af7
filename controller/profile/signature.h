#pragma once

#include "controller/profile/fingerprint.h"

namespace proteus::profile {

/// What a VM's performance depends on: how much it asks of each resource, and how long it waits for it. Means over the
/// last minutes, the older the less. Waiting is in one unit: cores' worth of vCPUs that wait, s waited per s.
struct Signature {
  double seconds = 0;    ///< behind it, faded; 0: nothing is known of the VM
  double run_cores = 0;  ///< run time of its vCPUs
  double cpu_wait = 0;   ///< for a CPU of the host, not for its own quota
  double memory_stall = 0;
  double storage_requests_per_s = 0;
  double storage_bytes_per_request = 0;
  double storage_factor = 1;  ///< how much longer its requests take than others' on the same host
  /// Requests that its vCPUs may be waiting for, each counted by how much longer the VM's take than others' on the same
  /// host: no more wait at once than there are vCPUs, however many are in flight.
  double storage_lean_per_s = 0;
  double storage_wait = 0;
  double network_bytes_per_s = 0;
  double packets_per_s = 0;
  double packets_dropped_per_s = 0;
  double exits_per_s = 0;  ///< to user space
  bool operator==(const Signature&) const = default;

  /// kCpu, kMemory, kStorage or kNetwork: what it spends most of its time with; kCpu if next to nothing.
  Resource bound_by() const;
};
/// "CPU-bound", "I/O-bound" …
const char* bound_name(Resource resource);

/// A dropped packet holds its connection up for about the least time after which TCP sends again.
constexpr double kDropCost_s = 0.2;

/// A prediction: what a VM waits for one resource of a host.
struct Expected {
  double wait = 0;        ///< cores' worth of vCPUs
  double wait_error = 0;  ///< standard error, from the curve's
  double response = 0;    ///< the host's answer at that load, in the resource's unit
  double response_error = 0;
};

/// On a host whose VMs, this one included, make so many requests each second. vcpus: no more wait.
Expected expected_storage(const Signature& vm, const HostCurve& host, double requests_per_s, double vcpus);
/// On a host whose VMs' interfaces, this one's included, carry so much.
Expected expected_network(const Signature& vm, const HostCurve& host, double bytes_per_s, double vcpus);
/// On a host of this CPU utilisation.
Expected expected_exits(const Signature& vm, const HostCurve& host, double utilisation);

/// Learns a VM's signature from its telemetry. Thread: owned by one.
class SignatureLearner {
 public:
  /// A tick of the VM, all of it sums over the tick. Absent figures are 0.
  struct Tick {
    double seconds = 0;
    double run_s = 0;
    double cpu_wait_s = 0;
    double memory_stall_s = 0;
    double network_bytes = 0;
    double packets = 0;
    double packets_dropped = 0;
    double exits = 0;
  };
  void observe(const Tick& tick);
  /// What became known of its disks since this was called last, which may be many ticks.
  struct StorageTick {
    double seconds = 0;
    double requests = 0;
    double bytes = 0;
    double request_time_s = 0;   ///< of all its requests, those side by side each for itself
    double host_response_s = 0;  ///< what a request takes on its host, by the curve; 0: not known
    double vcpus = 1;
  };
  void observe(const StorageTick& tick);
  Signature signature() const;

 private:
  Tick sums_;
  StorageTick storage_;      ///< host_response_s: Σ requests · response
  double storage_wait_ = 0;  ///< s
};

}  // namespace proteus::profile
