#pragma once

#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "common/units.h"
#include "controller/simulate/kvm/workload.h"

namespace proteus::simulate::scenario {

inline constexpr int kHistoryTicksMax = kvm::kFirstTick;
inline constexpr int kTicksMax = kvm::kTraceTicks - kvm::kFirstTick;
inline constexpr std::size_t kHostsMax = 2000;
inline constexpr std::size_t kVmsMax = 10000;

struct Host {
  std::string name;
  int cores = 16;
  double core_mhz = 2500;
  double memory_mib = 65536;
  double disk_kbs = 512000;
  double disk_latency_ms = 0.25;  ///< at rest
  double network_kbs = 1220700;   ///< 10 Gbit/s
  double idle_w = 100;
  double peak_w = 300;
};

struct Vm {
  std::string name;
  int vcpus = 1;
  double memory_mib = 2048;
  kvm::VmClass vm_class = kvm::VmClass::kSilver;
  bool pinned = false;
  bool scalable = false;
  std::string host;   ///< where it is at first; empty: wherever there is most room
  std::string apart;  ///< two VMs with the same word here never share a host
  std::string talks_to;
  std::map<std::string, std::string> tags;
  // Ticks from the first decision; before it, of one that is there at first: when its demand is first known.
  int from = -kHistoryTicksMax;
  int until = kvm::kNever;  ///< kNever: to the end
  /// [series][tick from the history's begin], in the units of kvm::Series; memory: what the guest uses, MiB.
  std::array<std::vector<float>, kvm::kSeriesCount> demand;
};

/// Whether hosts and VMs may be called so: rules of policy files match names as patterns, and traces are CSV.
bool is_good_name(std::string_view name);

/// A cluster, its VMs and what they ask for. Values are within what kvm/ models; whoever makes one sees to it.
struct Scenario {
  std::string name;
  int history_ticks = kvm::kDayTicks;  ///< known when the first decision is made
  int ticks = kvm::kDayTicks;          ///< simulated
  double core_mhz = 2500;              ///< what is a core where demand is given in cores
  /// When the first decision is made, for rules about times; 2024-01-01, a Monday, at midnight.
  Timestamp begins{std::chrono::seconds(1704067200)};
  std::vector<Host> hosts;
  std::vector<Vm> vms;
};

/// A scenario made ready for the model of a cluster in kvm/. Neither copied nor moved: the workload points into it.
class Cluster {
 public:
  /// Sorts hosts and VMs by name. Errors: kInvalidArgument: no host, no VM, two of one name, or a VM that is to be on a
  /// host that there is not.
  static Result<std::unique_ptr<Cluster>> make(Scenario scenario);
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  const kvm::Workload& workload() const { return workload_; }

 private:
  Cluster() = default;
  void add_hosts(const std::vector<Host>& hosts);
  Status add_vms(Scenario& scenario);

  std::map<std::string, kvm::HostClass> classes_;  // by what makes a class; names point to the keys
  kvm::Traces traces_;
  kvm::Workload workload_;
};

}  // namespace proteus::simulate::scenario
