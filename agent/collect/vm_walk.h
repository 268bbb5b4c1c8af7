#pragma once

#include <array>
#include <chrono>
#include <string>
#include <utility>

#include "agent/collect/catalog_walk.h"
#include "agent/collect/net_devices.h"
#include "agent/collect/on_demand.h"
#include "agent/collect/vm_table.h"

namespace proteus::collect {

/// What the walk over one VM needs besides the VM.
struct VmWalk {
  const VmTable& table;
  const NetDevices& net_devices;
  std::chrono::steady_clock::time_point oldest_fact;  ///< what libvirt said before it is no longer called current
  bool has_trace = false;
  bool has_reclaim = false;
  bool has_hardware = false;
  bool has_resctrl = false;
  const OnDemand* on_demand = nullptr;  ///< never null
};

template <typename Sink>
void walk_vcpu(Sink& sink, std::uint32_t vm, const TrackedThread& thread) {
  sink.entity([&] { return Entity{EntityKind::kVcpu, vm, std::to_string(*thread.thread.vcpu), {}, {}}; });
  const auto of = [&](auto ThreadFigures::*field) -> std::optional<std::int64_t> {
    if (!thread.figures) return std::nullopt;
    return (*thread.figures).*field;
  };
  sink.value(Kpi::kCpuRunTimeNs, of(&ThreadFigures::run_time_ns));
  sink.value(Kpi::kRunQueueWaitNs, of(&ThreadFigures::run_queue_wait_ns));
  sink.value(Kpi::kDispatchesCount, of(&ThreadFigures::dispatches_count));
  sink.value(Kpi::kGuestTimeNs, of(&ThreadFigures::guest_time_ns));
  sink.value(Kpi::kContextSwitchesVoluntaryCount, of(&ThreadFigures::switches_voluntary_count));
  sink.value(Kpi::kContextSwitchesForcedCount, of(&ThreadFigures::switches_forced_count));
  sink.value(Kpi::kCpuMigrationsCount, of(&ThreadFigures::cpu_migrations_count));
  if (!thread.kvm) return;

  const kvm_counters* kvm = thread.kvm_figures;
  for (const auto& [kpi, which] : std::initializer_list<std::pair<Kpi, kvm_counter>>{
           {Kpi::kKvmExitsCount, KVM_COUNTER_EXITS},
           {Kpi::kHaltPollSuccessNs, KVM_COUNTER_HALT_POLL_SUCCESS_NS},
           {Kpi::kHaltPollFailNs, KVM_COUNTER_HALT_POLL_FAIL_NS},
           {Kpi::kHaltExitsCount, KVM_COUNTER_HALT_EXITS},
           {Kpi::kHaltWakeupsCount, KVM_COUNTER_HALT_WAKEUPS},
           {Kpi::kIoExitsCount, KVM_COUNTER_IO_EXITS},
           {Kpi::kMmioExitsCount, KVM_COUNTER_MMIO_EXITS},
           {Kpi::kIrqInjectionsCount, KVM_COUNTER_IRQ_INJECTIONS},
           {Kpi::kHypercallsCount, KVM_COUNTER_HYPERCALLS},
           {Kpi::kSecondLevelFaultsCount, KVM_COUNTER_SECOND_LEVEL_FAULTS},
           {Kpi::kTlbFlushesCount, KVM_COUNTER_TLB_FLUSHES},
           {Kpi::kDirectedYieldsCount, KVM_COUNTER_DIRECTED_YIELDS},
           {Kpi::kPreemptionReportedCount, KVM_COUNTER_PREEMPTION_REPORTED}}) {
    sink.value(kpi, kvm != nullptr ? counter(*kvm, which) : std::nullopt);
  }
  const auto waits = kvm != nullptr && sink.wants_values() ? halt_waits(*kvm) : std::nullopt;
  sink.histogram(Kpi::kHaltWaitNs, waits ? waits->data() : nullptr);
}

/// The VM's own figures of KVM, which its first vCPU that answers tells.
template <typename Sink>
void walk_kvm(Sink& sink, const TrackedVm& vm) {
  const kvm_counters* kvm = nullptr;
  bool has_kvm = false;
  for (const TrackedThread& t : vm.threads) {
    has_kvm |= t.kvm.has_value();
    if (kvm == nullptr) kvm = t.kvm_figures;
  }
  if (!has_kvm) return;
  sink.value(Kpi::kMappedPages4k, kvm != nullptr ? counter(*kvm, KVM_COUNTER_PAGES_4K) : std::nullopt);
  sink.value(Kpi::kMappedPages2m, kvm != nullptr ? counter(*kvm, KVM_COUNTER_PAGES_2M) : std::nullopt);
}

inline Entity vm_entity(const VmFacts& facts) {
  Entity entity{EntityKind::kVm, 0, facts.name, facts.id.value, {}};
  if (!facts.description.unmovable.empty()) entity.labels["unmovable"] = facts.description.unmovable;
  for (const auto& [name, value] : facts.description.groups) entity.labels["group." + name] = value;
  return entity;
}

/// What libvirt, threads, control groups and hooks say of the VM as a whole.
template <typename Sink>
void walk_vm_figures(Sink& sink, const TrackedVm& vm, const VmWalk& context) {
  const VmFacts& facts = *vm.facts;
  const auto since = [&](std::chrono::steady_clock::time_point read_at, std::optional<std::int64_t> value) {
    return read_at >= context.oldest_fact ? value : std::nullopt;
  };
  const auto fact = [&](std::optional<std::int64_t> value) { return since(facts.read_at, value); };
  const auto statistic = [&](std::optional<std::int64_t> value) { return since(facts.statistics_at, value); };
  const auto counted = [&vm](std::optional<std::int64_t> value) { return vm.counted ? value : std::nullopt; };

  sink.value(Kpi::kVmState, fact(facts.state));
  sink.value(Kpi::kVmVcpusCount, fact(facts.vcpus_count));
  sink.value(Kpi::kVmVcpusMaxCount, fact(facts.vcpus_max_count));
  sink.value(Kpi::kVmCpuQuotaUs, fact(facts.cpu_quota_us));
  sink.value(Kpi::kVmCpuPeriodUs, fact(facts.cpu_period_us));
  sink.value(Kpi::kVmCpuShares, fact(facts.cpu_shares));
  sink.value(Kpi::kVmMemoryBytes, statistic(facts.memory_bytes));
  sink.value(Kpi::kVmMemoryMaxBytes, statistic(facts.memory_max_bytes));
  sink.value(Kpi::kBalloonBytes, statistic(facts.balloon_bytes));
  sink.value(Kpi::kGuestMemoryUsableBytes, statistic(facts.guest_memory_usable_bytes));
  sink.value(Kpi::kMemoryDirtyBytesPerS, statistic(facts.memory_dirty_bytes_per_s));

  sink.value(Kpi::kEmulatorTimeNs, counted(vm.emulator_time_ns));
  sink.value(Kpi::kPageFaultsMajorCount, counted(vm.faults_major_count));
  sink.value(Kpi::kPageFaultsMinorCount, counted(vm.faults_minor_count));
  sink.value(Kpi::kMemoryResidentBytes, counted(vm.resident_bytes));
  sink.value(Kpi::kKsmMergedPages, counted(vm.ksm_merged_pages));
  if (vm.has_vhost) sink.value(Kpi::kVhostTimeNs, counted(vm.vhost_time_ns));
  walk_kvm(sink, vm);

  sink.value(Kpi::kCpuThrottledTimeNs, vm.throttled_time_ns);
  sink.value(Kpi::kCpuPressureSomeNs, vm.cgroup_figures.cpu_pressure_some_ns);
  sink.value(Kpi::kMemoryPressureSomeNs, vm.cgroup_figures.memory_pressure_some_ns);
  sink.value(Kpi::kMemoryPressureFullNs, vm.cgroup_figures.memory_pressure_full_ns);
  sink.value(Kpi::kIoPressureSomeNs, vm.cgroup_figures.io_pressure_some_ns);
  sink.value(Kpi::kMemoryWorkingSetBytes, vm.working_set_bytes);
  sink.value(Kpi::kWorkingsetRefaultsCount, vm.cgroup_figures.refaults_count);
  sink.value(Kpi::kMemorySwapBytes, vm.cgroup_figures.swap_bytes);

  if (context.has_resctrl) {
    sink.value(Kpi::kLlcOccupancyBytes, vm.resctrl.llc_occupancy_bytes);
    sink.value(Kpi::kMemoryBandwidthBytes, vm.resctrl.memory_bandwidth_bytes);
  }
  if (!context.has_trace) return;
  sink.histogram(Kpi::kRunQueueLatencyNs, vm.slot ? vm.waits.data() : nullptr);
  sink.histogram(Kpi::kCpuSliceNs, vm.slot ? vm.slices.data() : nullptr);
  if (context.has_reclaim) sink.histogram(Kpi::kReclaimLatencyNs, vm.slot ? vm.reclaims.data() : nullptr);
  if (context.has_hardware) {
    constexpr std::array kKpis{Kpi::kCyclesCount, Kpi::kInstructionsCount, Kpi::kLlcMissesCount};
    for (std::size_t i = 0; i < kKpis.size(); ++i) {
      sink.value(kKpis[i], vm.slot && vm.hardware ? std::optional((*vm.hardware)[i]) : std::nullopt);
    }
  }
  const ExitFigures* exits = vm.slot ? context.on_demand->exits(*vm.slot) : nullptr;
  if (exits != nullptr) sink.histogram(Kpi::kUserspaceExitLatencyNs, exits->userspace.data());
}

/// While somebody asks: what its vCPUs leave the guest for.
template <typename Sink>
void walk_exits(Sink& sink, std::uint32_t index, const TrackedVm& vm, const VmWalk& context) {
  const ExitFigures* exits = vm.slot ? context.on_demand->exits(*vm.slot) : nullptr;
  if (exits == nullptr) return;
  for (const ExitFigures::Reason& reason : exits->reasons) {
    sink.entity([&] { return Entity{EntityKind::kVmExit, index, reason.name, {}, {}}; });
    sink.histogram(Kpi::kKvmExitLatencyNs, reason.latencies.data());
  }
}

template <typename Sink>
void walk_taps(Sink& sink, std::uint32_t vm, const VmFacts& facts, const NetDevices& net_devices) {
  for (const Tap& tap : facts.description.taps) {
    sink.entity([&] { return Entity{EntityKind::kTap, vm, tap.device, {}, {}}; });
    const auto figures = sink.wants_values() ? net_devices.find(tap) : std::nullopt;
    const auto of = [&](std::int64_t TapFigures::*field) {
      return figures ? std::optional((*figures).*field) : std::nullopt;
    };
    sink.value(Kpi::kNetRxBytes, of(&TapFigures::rx_bytes));
    sink.value(Kpi::kNetTxBytes, of(&TapFigures::tx_bytes));
    sink.value(Kpi::kNetRxDropsCount, of(&TapFigures::rx_drops_count));
    sink.value(Kpi::kNetTxDropsCount, of(&TapFigures::tx_drops_count));
    sink.value(Kpi::kNetPacketsCount, of(&TapFigures::packets_count));
  }
}

/// The VM and all that belongs to it.
template <typename Sink>
void walk_vm(Sink& sink, const TrackedVm& vm, const VmWalk& context) {
  const VmFacts& facts = *vm.facts;
  const std::uint32_t index = sink.entity([&] { return vm_entity(facts); });
  walk_vm_figures(sink, vm, context);
  for (const TrackedThread& thread : vm.threads) {
    if (thread.thread.vcpu) walk_vcpu(sink, index, thread);
  }
  walk_taps(sink, index, facts, context.net_devices);
  walk_exits(sink, index, vm, context);
  // Said again at each tick they would be no measurements: nothing for nine seconds, and then all of ten.
  const bool current = vm.disks_are_new && facts.disks_told_at >= context.oldest_fact;
  for (const DiskFacts& disk : facts.disks) {
    sink.entity([&] { return Entity{EntityKind::kDisk, index, disk.target, {}, {}}; });
    sink.value(Kpi::kBlockReadBytes, current ? disk.read_bytes : std::nullopt);
    sink.value(Kpi::kBlockWriteBytes, current ? disk.write_bytes : std::nullopt);
    sink.value(Kpi::kBlockOpsCount, current ? disk.ops_count : std::nullopt);
    sink.value(Kpi::kGuestFlushesCount, current ? disk.flushes_count : std::nullopt);
    sink.value(Kpi::kBlockTimeNs, current ? disk.time_ns : std::nullopt);
  }
  for (const DeviceFigures& device : vm.devices) {
    sink.entity([&] { return Entity{EntityKind::kVmDisk, index, device.device, {}, {}}; });
    sink.histogram(Kpi::kBlockLatencyNs, device.cell.latencies);
    sink.value(Kpi::kBlockDeviceReadBytes, static_cast<std::int64_t>(device.cell.read_bytes));
    sink.value(Kpi::kBlockDeviceWriteBytes, static_cast<std::int64_t>(device.cell.write_bytes));
    sink.value(Kpi::kBlockDeviceOpsCount, static_cast<std::int64_t>(device.cell.ops_count));
  }
  for (const Winner& winner : vm.winners) {
    sink.entity([&] { return Entity{EntityKind::kVmPair, index, winner.vm ? winner.vm->value : "host", {}, {}}; });
    sink.value(Kpi::kPreemptedByCount, vm.slot ? std::optional(context.table.preemptions(vm, winner)) : std::nullopt);
  }
}

}  // namespace proteus::collect
