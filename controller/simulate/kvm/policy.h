#pragma once

#include <chrono>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <vector>

#include "controller/simulate/kvm/cluster.h"
#include "controller/simulate/kvm/tick.h"

namespace proteus::simulate::kvm {

/// What a policy sees and may do at one step, and nothing more: samples before this tick, the state of the cluster,
/// what the last tick brought. Lives for one step.
class Console {
 public:
  /// last: of the tick before; without VMs or hosts at the first.
  Console(Cluster& cluster, const TickOutcome& last) : cluster_(cluster), last_(last) {}

  int tick() const { return cluster_.tick(); }
  std::size_t vm_count() const { return cluster_.vms().size(); }
  std::size_t host_count() const { return cluster_.hosts().size(); }
  const VmState& vm(int v) const { return cluster_.vms()[static_cast<std::size_t>(v)]; }
  const HostState& host(int h) const { return cluster_.hosts()[static_cast<std::size_t>(h)]; }
  const HostClass& host_class(int h) const { return *cluster_.workload().hosts[static_cast<std::size_t>(h)]; }
  int vcpus(int v) const { return spec(v).vcpus; }
  double provisioned_mib(int v) const { return spec(v).memory_mib; }
  VmClass vm_class(int v) const { return spec(v).vm_class; }
  double value(int v) const { return spec(v).value; }
  bool pinned(int v) const { return spec(v).pinned; }
  int group(int v) const { return spec(v).group; }
  int partner(int v) const { return spec(v).partner; }
  bool scalable(int v) const { return spec(v).scalable; }
  const Names& names() const { return cluster_.workload().names; }

  /// Cores are counted in cores of so many MHz.
  double core_mhz() const {
    const Workload& workload = cluster_.workload();
    return workload.core_mhz > 0 ? workload.core_mhz : workload.hosts.front()->core_mhz;
  }
  Timestamp time(int at) const {
    return cluster_.workload().begins + std::chrono::seconds(kTick_s) * (at - kFirstTick);
  }

  /// A VM that is older than what is known of it.
  bool there_at_first(int v) const { return spec(v).arrives == kFirstTick; }
  /// The first tick of which a policy may see a VM's samples.
  int first_sample(int v) const { return spec(v).arrives == kFirstTick ? spec(v).known_from : spec(v).arrives; }
  /// at: in [first_sample(v), tick()); outside of it the program is wrong and ends.
  double sample(int v, Series series, int at) const {
    if (at >= tick() || at < first_sample(v)) std::abort();
    return cluster_.workload().sample(static_cast<std::size_t>(v), series, at);
  }
  /// Of the last tick; nothing for a VM that arrives now.
  double newest(int v, Series series) const { return first_sample(v) < tick() ? sample(v, series, tick() - 1) : 0; }
  const TickOutcome& last() const { return last_; }

  Refusal migration_refusal(int v, int h) const { return cluster_.migration_refusal(v, h); }
  bool anti_affinity_kept(int v, int h) const { return cluster_.anti_affinity_kept(v, h); }
  bool migrate(int v, int h);
  bool sleep(int h);
  bool wake(int h);
  void set_balloon(int v, double ceiling_mib);
  bool start_helper(int v, int h);
  void end_helper(int v) { cluster_.end_helper(v); }

  int refused() const { return refused_; }
  int reshapes() const { return reshapes_; }
  int helpers() const { return helpers_; }

 private:
  const Vm& spec(int v) const { return cluster_.workload().vms[static_cast<std::size_t>(v)]; }
  bool count(Refusal refusal);

  Cluster& cluster_;
  const TickOutcome& last_;
  int refused_ = 0;
  int reshapes_ = 0;
  int helpers_ = 0;
};

/// Decides for a cluster, one step at a time. May remember; knows no clock but the steps. Thread: owned by one.
class Policy {
 public:
  virtual ~Policy() = default;
  /// Where to put a VM that arrives now; nothing: the default rule decides.
  virtual std::optional<int> place(const Console& /*console*/, int /*vm*/) { return std::nullopt; }
  virtual void decide(Console& console) = 0;
  /// Scalable VMs may get helpers from now on, before the first step. False: the policy knows of none.
  virtual bool use_helpers() { return false; }
};

}  // namespace proteus::simulate::kvm
