#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/result.h"
#include "controller/simulate/planetlab/machines.h"
#include "controller/simulate/planetlab/metrics.h"
#include "controller/simulate/planetlab/sharing.h"
#include "controller/simulate/trace/csv.h"

namespace proteus::simulate::planetlab {

/// kCloudsim: a VM that asks for nothing is removed for good, as the program does. kKeep: VMs stay.
enum class Mode : std::uint8_t { kCloudsim, kKeep };
const char* to_string(Mode mode);

/// A VM of the cluster, as a policy may see it.
struct Vm {
  std::string name;  ///< its trace's
  VmType type;
  std::size_t host = kHosts;  ///< kHosts: nowhere, not placed yet or gone
  bool migrating = false;
  double requested = 0;         ///< MIPS, at the newest refresh
  std::vector<double> history;  ///< share of its own MIPS at each control step so far, newest last

  bool alive() const { return host < kHosts; }
  double migration_s() const { return type.ram_mb / kMigrationMbPerS; }

  /// Half of a 1 Gbit/s link.
  static constexpr double kMigrationMbPerS = 62.5;
};

/// A host of the cluster, likewise.
struct Host {
  struct Slot {
    std::size_t vm;
    bool incoming;  ///< it still runs elsewhere
  };
  HostType type;
  std::vector<Slot> vms;   ///< in order of arrival
  double utilisation = 0;  ///< 0 … 1 at the newest refresh; 0: off
};

struct Move {
  std::size_t vm;
  std::size_t target;
};

/// The 800 hosts and a day's VMs: who runs where, what each gets, and what it costs. Time goes forward only.
/// Thread: owned by one.
class Cluster {
 public:
  /// Errors: kInvalidArgument if the traces do not have 288 samples of 0 … 100, or there are too many to be placed.
  static Result<Cluster> create(const TraceTable& traces, Mode mode);

  std::size_t vm_count() const { return vms_.size(); }
  const Vm& vm(std::size_t i) const { return vms_[i]; }
  const Host& host(std::size_t i) const { return hosts_[i]; }
  std::size_t active_hosts() const;
  std::size_t vms_alive() const;
  const Accounts& accounts() const { return accounts_; }

  /// Before time begins: puts a VM that is nowhere on a host.
  void place(std::size_t vm, std::size_t host);
  /// Goes on to t (seconds), charges the energy, and records; then removes what is dead. At a control step the VMs'
  /// histories grow by one.
  void advance(double t, bool control_step);
  /// Begins a migration now; the VM may be on its way to another host already, and ends on the later one.
  void start(const Move& move);
  /// Ends those of `moves` that take so long (seconds), in their order, and shares all hosts anew.
  void finish(const std::vector<Move>& moves, double migration_s);

 private:
  Cluster(const TraceTable& traces, Mode mode);

  double demand(std::size_t vm, double t) const;
  void refresh(std::size_t host);
  void refresh_all();
  void remove_dead();

  Mode mode_;
  std::vector<double> demand_;  ///< share of the VM's MIPS: VM by VM, kSamples + 1 each
  std::vector<Host> hosts_;
  std::vector<double> previous_utilisation_;
  std::vector<Vm> vms_;
  Accounts accounts_;
  std::vector<Share> shares_;  ///< of the host being refreshed
  double t_ = 0;
};

}  // namespace proteus::simulate::planetlab
