#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/collect/pressure_reader.h"
#include "agent/collect/reclaim_trace.h"
#include "agent/collect/tracked_vm.h"
#include "agent/collect/winner_search.h"
#include "agent/collect/working_sets.h"

namespace proteus::collect {

/// Where the figures come from. Null: this host has no such source. All outlive the table.
struct VmSources {
  ThreadReader& threads;
  RunQueueTrace* run_queue = nullptr;
  KvmReader* kvm = nullptr;
  PressureReader* pressure = nullptr;
  BlockTrace* block = nullptr;
  ReclaimTrace* reclaim = nullptr;
  HardwareCounters* hardware = nullptr;
  Resctrl* resctrl = nullptr;
  WorkingSets* working_sets = nullptr;
};

/// Follows the VMs' processes and threads, and gives the kernel lanes what they need to know of them.
/// Cost per tick: one program run (and one stat() per VM where there is no such program); directories are listed only
/// when a thread came or went.
/// Thread: owned by one.
class VmTable {
 public:
  VmTable(std::string root, VmSources sources);
  ~VmTable();

  /// Called with each VM whose number of vCPU threads changed: its static figures have changed with it.
  void on_vcpus_changed(std::function<void(const VmId&)> callback) { vcpus_changed_ = std::move(callback); }

  /// Called with each slot of the run-queue trace whose VM has ended.
  void on_slot_released(std::function<void(std::uint32_t)> callback) { slot_released_ = std::move(callback); }

  /// A source that came later, with its module: each VM's vCPUs are looked for at the next tick. Outlives the table.
  void use(KvmReader& kvm);

  /// One tick: VMs of the inventory appear, others vanish (and give their slots back), counters are read.
  /// Returns true if entities or threads changed since the last tick.
  bool update(const Inventory& inventory);

  const std::map<VmId, TrackedVm>& vms() const { return vms_; }
  /// How often the winner took the CPU from the VM, which has a slot.
  std::int64_t preemptions(const TrackedVm& vm, const Winner& winner) const {
    return sources_.run_queue->preemptions(*vm.slot, winner.slot);
  }
  /// VMs and groups for which the kernel programs had no room, so far.
  std::int64_t refused_count() const { return refused_count_; }

 private:
  bool follow(const Inventory& inventory);
  void drop(const VmId& id, TrackedVm& vm);
  bool find_processes();
  void begin_process(TrackedVm& vm, pid_t pid);
  void end_process(TrackedVm& vm);
  bool watch(TrackedVm& vm);
  void tell_vcpus(const TrackedVm& vm);
  void watch_others();
  bool scan_threads(TrackedVm& vm);
  bool follow_threads();
  void read_threads();
  void account(TrackedVm& vm, TrackedThread& thread, const std::optional<ThreadFigures>& now);
  bool find_kvm(TrackedVm& vm);
  bool follow_taps();
  bool find_vhost(TrackedVm& vm);
  void read_kvm();
  void find_groups(TrackedVm& vm);
  void read_groups();
  void update_groups(TrackedVm& vm);
  void forget_detached();
  void read_devices(bool& changed);
  void read_throttled(TrackedVm& vm);
  void read_slot(TrackedVm& vm);
  void read_resctrl(TrackedVm& vm);
  void read_working_sets();

  const std::string root_;
  VmSources sources_;
  std::optional<std::map<pid_t, std::vector<pid_t>>> vhost_kthreads_;  ///< of this tick, if somebody asked for them
  std::function<void(const VmId&)> vcpus_changed_;
  std::function<void(std::uint32_t)> slot_released_;
  std::map<VmId, TrackedVm> vms_;
  std::uint64_t tick_ = 0;
  std::int64_t refused_count_ = 0;
  std::uint32_t last_number_ = 0;
  std::uint64_t followed_number_ = 0;  ///< of the last inventory
  WinnerSearch winners_;
  bool said_full_ = false;
  bool slot_came_free_ = false;
  // reused from tick to tick
  std::vector<ThreadKey> keys_;
  std::vector<std::optional<ThreadFigures>> figures_;
  std::vector<kvm_vcpu_place> places_;
  std::vector<std::optional<kvm_counters>> kvm_figures_;
  std::vector<pressure_request> pressure_requests_;
  std::vector<std::optional<group_pressure>> pressures_;
};

}  // namespace proteus::collect
