#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/telemetry.h"
#include "controller/forecast/engine_pool.h"
#include "controller/ham/cluster_state.h"
#include "controller/ham/decision.h"
#include "controller/profile/fingerprint.h"
#include "controller/profile/host_learner.h"
#include "controller/profile/move_accuracy.h"
#include "controller/profile/saved_state.h"
#include "controller/store/journal.h"

namespace proteus::controller {

struct DiskTick;
struct VmColumns;

struct ViewOptions {
  forecast::EngineOptions forecast;
  Nanoseconds curve_half_life = std::chrono::hours(24);
  Nanoseconds staleness = std::chrono::seconds(10);     ///< of a host's telemetry
  Nanoseconds forget_after = std::chrono::minutes(30);  ///< a VM not seen for this long loses its series
  /// What a core of a host does in a second, relative to other hosts'; absent: 1. CPU demand is kept and forecast in
  /// cores of speed 1, so that a VM's history holds on a slower or faster host.
  std::map<HostId, double> cpu_speed;
  int forecast_workers = 1;  ///< threads; not journalled, since nothing depends on it
};

/// Demand of one vCPU from one tick, in cores: what it would use if nothing held it back. A vCPU that still finds time
/// to idle is served, so its demand is its run time; as run + wait approaches the whole tick, the wait is unserved
/// demand. run, wait, tick > 0: nanoseconds.
double vcpu_demand_cores(double run, double wait, double tick);

/// Frames in, ClusterState out: counters become rates, rates feed the forecast engine and the hosts' response curves.
/// Deterministic. Thread: owned by one (the pipeline's).
class ClusterView {
 public:
  explicit ClusterView(ViewOptions options);
  ~ClusterView();

  /// One frame of a host, in the order of its sequence. received: controller's clock.
  void on_sample(const Sample& sample, Timestamp received);
  /// A VM whose forecasts an earlier run has left: unless a host lists it before long, it is forgotten.
  void expect(const VmId& vm, Timestamp now);
  void on_presence(const HostId& host, bool commandable);
  void set_maintenance(const HostId& host, bool on);
  /// The host sends or receives a VM now. What its VMs wait meanwhile, and a little after, is the migration's doing.
  void on_migrating(const HostId& host, Timestamp now);
  /// An action ended; starts its VM's cooldown, and counts a move if it was a migration. verified: it did what it was
  /// to do.
  void on_action_end(const ham::Action& action, Timestamp when, bool verified);

  /// Actions that ended, as far as decisions look back at them, sorted by VM; and those that another view tells of. Of
  /// VMs that are not known nothing is taken but that they moved.
  std::vector<store::EndedAction> ended() const;
  void restore_ended(const std::vector<store::EndedAction>& ended);
  /// VMs that no host lists any more, sorted; and when another view has seen those that this one expects.
  std::vector<store::MissingVm> missing() const;
  void restore_missing(const std::vector<store::MissingVm>& missing);

  /// Everything a decision looks at, except in_flight and paused, which the drs knows. Written into the memory of a
  /// state that nobody holds any more, where only what has changed is written anew.
  std::shared_ptr<ham::ClusterState> state(Timestamp now);

  forecast::EnginePool& forecasts() { return forecasts_; }
  const forecast::EnginePool& forecasts() const { return forecasts_; }
  /// Speed of the cores that the VM runs on; 1 for an unknown VM.
  double cpu_speed_of(const VmId& vm) const;
  /// What has been learned of hosts and of moves; not of hosts that have been silent for so long that it has faded.
  profile::SavedProfile saved_profile(Timestamp now) const;
  /// Goes on from there; before the first sample.
  void restore_profile(profile::SavedProfile saved, Timestamp now);
  /// Time stamp of a host's newest frame, in the host's clock.
  Timestamp last_frame_time(const HostId& host) const;
  /// Dispatches of a VM's vCPUs by run-queue latency (bucket b: 2^b … 2^(b+1) ns), summed over its hosts since this
  /// object began. Empty for a VM without that lane.
  std::map<VmId, std::vector<std::int64_t>> run_queue_latency() const;
  /// Counts on from what another object has counted. No decision depends on it.
  void take_run_queue_latency(const ClusterView& before);
  std::vector<HostId> maintenance() const;
  /// Empty if no VM has this name or UUID.
  VmId find_vm(const std::string& name_or_uuid) const;

 private:
  struct Host;
  struct Vm;
  struct Written;
  struct Spares;
  void observe_lag(Host& host, Timestamp measured, Timestamp received) const;
  void observe_vm(Host& host, std::size_t index, const Frame& frame, double tick_ns);
  void observe_disks(Host& host, Vm& vm, VmColumns& columns, const DiskTick& tick, Timestamp time);
  void observe_answers(Host& host, const Frame& frame, double tick_ns);
  void observe_waiting(Host& host, double overhead_cores, Timestamp time, double tick_ns);
  void fit_answers(Timestamp now);
  void tell_pressure(Host& host, Timestamp time);
  double cpu_speed(const HostId& host) const;
  Vm& vm_of(const VmId& id);
  void forget(const VmId& id);
  const std::vector<Vm*>& in_order();
  void write(Host& host, Timestamp now, const profile::Evidence& of_class, ham::HostState& state) const;
  void write(Vm& vm, Timestamp now, Written& written, std::size_t index);
  void write_forecasts(Vm& vm, Timestamp now, Written& written, std::size_t index);

  ViewOptions options_;
  forecast::EnginePool forecasts_;
  std::map<HostId, Host> hosts_;
  std::map<VmId, Vm> vms_;
  std::vector<Vm*> in_order_;  // all of vms_, or none: to be listed anew
  std::vector<ham::RecentMove> recent_moves_;
  std::uint64_t serials_ = 0;  // given to catalogs, VMs and their forecasts
  std::shared_ptr<Spares> spares_;
  profile::MoveAccuracy move_accuracy_;
  profile::MoveAccuracy storage_accuracy_{profile::kStorageMoves};
  profile::MoveAccuracy network_accuracy_{profile::kNetworkMoves};
  std::optional<Timestamp> last_fit_;
};

}  // namespace proteus::controller
