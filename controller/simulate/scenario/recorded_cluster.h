#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/telemetry.h"
#include "controller/frame_columns.h"
#include "controller/ham/policy.h"
#include "controller/simulate/scenario/scenario.h"
#include "controller/store/journal.h"

namespace proteus::simulate::scenario {

/// Makes a scenario of the telemetry of a cluster: its hosts and VMs as they were, and what VMs asked for, as the means
/// of each tick. While its host sent no telemetry, what a VM asked for before is taken to go on; where a host did and
/// the VM did not run, it asked for nothing. Thread: owned by one.
class RecordedCluster {
 public:
  /// Whatever the controller was told: speeds and power of hosts. Errors: kInvalidArgument.
  Status on_started(const store::Started& started);
  void on_sample(const Sample& sample);

  /// Half of it is history, a day at most, if nothing else is asked for; the newest two weeks at most are taken.
  /// Errors: kInvalidArgument: it covers less than two ticks, or less than the history asked for and a tick.
  Result<Scenario> scenario(std::string name, std::optional<int> history_ticks) const;

 private:
  /// What a VM did in one tick.
  struct Tick {
    double measured_s = 0;
    double cpu_core_s = 0;  ///< of speed 1
    double used_mib_s = 0;
    double used_s = 0;  ///< in which its memory was known
    double disk_bytes = 0;
    double network_bytes = 0;
    HostId host;  ///< the first in it
  };
  struct RecordedVm {
    std::string name;
    std::map<std::string, std::string> tags;
    bool unmovable = false;
    int vcpus = 1;
    std::int64_t memory_bytes = 0;
    std::map<std::int64_t, Tick> ticks;
  };
  struct RecordedHost {
    std::shared_ptr<const Catalog> catalog;
    controller::HostColumns columns;
    std::uint64_t boot_id = 0;
    Timestamp last_time;
    double cores = 0;
    std::int64_t memory_bytes = 0;
    std::set<std::int64_t> ticks;  ///< with telemetry
  };
  void on_vm(const RecordedHost& host, controller::VmColumns& columns, const Frame& frame, double tick_ns);
  bool has_gone(const RecordedVm& vm) const;
  Vm make_vm(const RecordedVm& vm, std::int64_t first_tick, const Scenario& scenario) const;
  Host make_host(const HostId& id, const RecordedHost& host, double core_mhz) const;

  std::map<HostId, double> speeds_;
  std::vector<ham::PowerRule> powers_;
  std::map<HostId, RecordedHost> hosts_;
  std::map<VmId, RecordedVm> vms_;
};

/// A file that proteusctl record has cut. Errors: its reading's; those of RecordedCluster.
Result<Scenario> read_recorded_scenario(const std::string& path, std::optional<int> history_ticks);

}  // namespace proteus::simulate::scenario
