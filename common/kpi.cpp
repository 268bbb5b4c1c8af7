#include "common/kpi.h"

#include <algorithm>
#include <array>
#include <cstdlib>

namespace proteus {
namespace {

using enum KpiKind;

constexpr std::int64_t kMicrosecond = 1000;

// name, unit, kind, scope, lane, quantum, source
constexpr std::array kTable = {
    KpiInfo{Kpi::kCpuRunTimeNs, "cpu_run_time_ns", "ns", kCounter, EntityKind::kVcpu, Lane::kPoll, kMicrosecond,
            "task se.sum_exec_runtime"},
    KpiInfo{Kpi::kRunQueueWaitNs, "run_queue_wait_ns", "ns", kCounter, EntityKind::kVcpu, Lane::kPoll, kMicrosecond,
            "task sched_info.run_delay"},
    KpiInfo{Kpi::kRunQueueLatencyNs, "run_queue_latency_ns", "ns", kHistogram, EntityKind::kVm, Lane::kTrace, 1,
            "sched_switch, step of sched_info.run_delay"},
    KpiInfo{Kpi::kPreemptedByCount, "preempted_by_count", "1", kCounter, EntityKind::kVmPair, Lane::kTrace, 1,
            "sched_switch, outgoing thread still runnable"},
    KpiInfo{
        Kpi::kCpuThrottledTimeNs, "cpu_throttled_time_ns", "ns", kCounter, EntityKind::kVm, Lane::kFile, kMicrosecond,
        "cgroup cpu.stat of the VM and its vCPUs, or the vCPUs' waits that sched_switch saw begin with the VM's own "
        "quota if they grew more"},
    KpiInfo{Kpi::kDispatchesCount, "dispatches_count", "1", kCounter, EntityKind::kVcpu, Lane::kPoll, 1,
            "task sched_info.pcount"},
    KpiInfo{Kpi::kContextSwitchesVoluntaryCount, "context_switches_voluntary_count", "1", kCounter, EntityKind::kVcpu,
            Lane::kPoll, 1, "task nvcsw"},
    KpiInfo{Kpi::kContextSwitchesForcedCount, "context_switches_forced_count", "1", kCounter, EntityKind::kVcpu,
            Lane::kPoll, 1, "task nivcsw"},
    KpiInfo{Kpi::kCpuMigrationsCount, "cpu_migrations_count", "1", kCounter, EntityKind::kVcpu, Lane::kPoll, 1,
            "task se.nr_migrations"},
    KpiInfo{Kpi::kEmulatorTimeNs, "emulator_time_ns", "ns", kCounter, EntityKind::kVm, Lane::kPoll, kMicrosecond,
            "task se.sum_exec_runtime, threads that are not vCPUs"},
    KpiInfo{Kpi::kCpuSliceNs, "cpu_slice_ns", "ns", kHistogram, EntityKind::kVm, Lane::kTrace, 1,
            "sched_switch, step of se.sum_exec_runtime"},
    KpiInfo{Kpi::kGuestTimeNs, "guest_time_ns", "ns", kCounter, EntityKind::kVcpu, Lane::kPoll, kMicrosecond,
            "task gtime"},
    KpiInfo{Kpi::kCpuPressureSomeNs, "cpu_pressure_some_ns", "ns", kCounter, EntityKind::kVm, Lane::kFile, kMicrosecond,
            "cgroup cpu.pressure, some total"},
    KpiInfo{Kpi::kCyclesCount, "cycles_count", "1", kCounter, EntityKind::kVm, Lane::kTrace, 1,
            "perf_event of each CPU, stepped at sched_switch; needs a PMU"},
    KpiInfo{Kpi::kInstructionsCount, "instructions_count", "1", kCounter, EntityKind::kVm, Lane::kTrace, 1,
            "perf_event of each CPU, stepped at sched_switch; needs a PMU"},
    KpiInfo{Kpi::kLlcMissesCount, "llc_misses_count", "1", kCounter, EntityKind::kVm, Lane::kTrace, 1,
            "perf_event of each CPU, stepped at sched_switch; needs a PMU"},
    KpiInfo{Kpi::kLlcOccupancyBytes, "llc_occupancy_bytes", "bytes", kGauge, EntityKind::kVm, Lane::kFile, 1,
            "resctrl mon_data llc_occupancy, every 10 ticks"},
    KpiInfo{Kpi::kMemoryBandwidthBytes, "memory_bandwidth_bytes", "bytes", kCounter, EntityKind::kVm, Lane::kFile, 1,
            "resctrl mon_data mbm_total_bytes, every 10 ticks"},
    KpiInfo{Kpi::kMemoryResidentBytes, "memory_resident_bytes", "bytes", kGauge, EntityKind::kVm, Lane::kPoll, 1,
            "task mm rss_stat, and hugetlb_usage"},
    KpiInfo{Kpi::kPageFaultsMajorCount, "page_faults_major_count", "1", kCounter, EntityKind::kVm, Lane::kPoll, 1,
            "task maj_flt, all threads"},
    KpiInfo{Kpi::kPageFaultsMinorCount, "page_faults_minor_count", "1", kCounter, EntityKind::kVm, Lane::kPoll, 1,
            "task min_flt, all threads"},
    KpiInfo{Kpi::kMemoryDirtyBytesPerS, "memory_dirty_bytes_per_s", "bytes/s", kGauge, EntityKind::kVm, Lane::kSlow, 1,
            "libvirt virDomainStartDirtyRateCalc"},
    KpiInfo{Kpi::kBalloonBytes, "balloon_bytes", "bytes", kGauge, EntityKind::kVm, Lane::kSlow, 1,
            "libvirt balloon.current"},
    KpiInfo{Kpi::kGuestMemoryUsableBytes, "guest_memory_usable_bytes", "bytes", kGauge, EntityKind::kVm, Lane::kSlow, 1,
            "virtio-balloon statistics, usable"},
    KpiInfo{Kpi::kMemoryWorkingSetBytes, "memory_working_set_bytes", "bytes", kGauge, EntityKind::kVm, Lane::kFile, 1,
            "DAMON, each VM in turn; where the host has none cgroup memory.stat, active_anon (absent where memory was "
            "never "
            "short), every 30 ticks, or 10 where it is"},
    KpiInfo{Kpi::kMemoryPressureSomeNs, "memory_pressure_some_ns", "ns", kCounter, EntityKind::kVm, Lane::kFile,
            kMicrosecond, "cgroup memory.pressure, some total"},
    KpiInfo{Kpi::kMemoryPressureFullNs, "memory_pressure_full_ns", "ns", kCounter, EntityKind::kVm, Lane::kFile,
            kMicrosecond, "cgroup memory.pressure, full total"},
    KpiInfo{Kpi::kWorkingsetRefaultsCount, "workingset_refaults_count", "pages", kCounter, EntityKind::kVm, Lane::kFile,
            1, "cgroup memory.stat, every 30 ticks, or 10 where memory is short"},
    KpiInfo{Kpi::kMemorySwapBytes, "memory_swap_bytes", "bytes", kGauge, EntityKind::kVm, Lane::kFile, 1,
            "cgroup memory.swap.current, or swap of memory.stat; every 30 ticks, or 10 where memory is short"},
    KpiInfo{Kpi::kReclaimLatencyNs, "reclaim_latency_ns", "ns", kHistogram, EntityKind::kVm, Lane::kTrace, 1,
            "mm_vmscan_direct_reclaim and mm_vmscan_memcg_reclaim, begin to end"},
    KpiInfo{Kpi::kKsmMergedPages, "ksm_merged_pages", "pages", kGauge, EntityKind::kVm, Lane::kPoll, 1,
            "task mm ksm_merging_pages"},
    KpiInfo{Kpi::kBlockReadBytes, "block_read_bytes", "bytes", kCounter, EntityKind::kDisk, Lane::kSlow, 1,
            "libvirt block.N.rd.bytes: what the guest asked for; block_device_read_bytes is what reached a disk of the "
            "host"},
    KpiInfo{Kpi::kBlockWriteBytes, "block_write_bytes", "bytes", kCounter, EntityKind::kDisk, Lane::kSlow, 1,
            "libvirt block.N.wr.bytes: what the guest asked for; block_device_write_bytes is what reached a disk of "
            "the host"},
    KpiInfo{Kpi::kBlockOpsCount, "block_ops_count", "1", kCounter, EntityKind::kDisk, Lane::kSlow, 1,
            "libvirt block.N.rd.reqs + wr.reqs"},
    KpiInfo{Kpi::kGuestFlushesCount, "guest_flushes_count", "1", kCounter, EntityKind::kDisk, Lane::kSlow, 1,
            "libvirt block.N.fl.reqs"},
    KpiInfo{Kpi::kBlockLatencyNs, "block_latency_ns", "ns", kHistogram, EntityKind::kVmDisk, Lane::kTrace, 1,
            "block_rq_complete, since request start_time_ns, by blkcg; of the host's disks: a guest's disk on the "
            "network has none"},
    KpiInfo{Kpi::kBlockDeviceReadBytes, "block_device_read_bytes", "bytes", kCounter, EntityKind::kVmDisk, Lane::kTrace,
            1, "block_rq_complete, by blkcg"},
    KpiInfo{Kpi::kBlockDeviceWriteBytes, "block_device_write_bytes", "bytes", kCounter, EntityKind::kVmDisk,
            Lane::kTrace, 1, "block_rq_complete, by blkcg"},
    KpiInfo{Kpi::kBlockDeviceOpsCount, "block_device_ops_count", "1", kCounter, EntityKind::kVmDisk, Lane::kTrace, 1,
            "block_rq_complete, by blkcg"},
    KpiInfo{Kpi::kIoPressureSomeNs, "io_pressure_some_ns", "ns", kCounter, EntityKind::kVm, Lane::kFile, kMicrosecond,
            "cgroup io.pressure, some total"},
    KpiInfo{Kpi::kBlockTimeNs, "block_time_ns", "ns", kCounter, EntityKind::kDisk, Lane::kSlow, kMicrosecond,
            "libvirt block.N.rd.times + wr.times + fl.times: what requests and flushes took, each for itself"},
    KpiInfo{Kpi::kNetRxBytes, "net_rx_bytes", "bytes", kCounter, EntityKind::kTap, Lane::kFile, 1,
            "procfs net/dev, seen from the guest"},
    KpiInfo{Kpi::kNetTxBytes, "net_tx_bytes", "bytes", kCounter, EntityKind::kTap, Lane::kFile, 1,
            "procfs net/dev, seen from the guest"},
    KpiInfo{Kpi::kNetRxDropsCount, "net_rx_drops_count", "1", kCounter, EntityKind::kTap, Lane::kFile, 1,
            "procfs net/dev, seen from the guest"},
    KpiInfo{Kpi::kNetTxDropsCount, "net_tx_drops_count", "1", kCounter, EntityKind::kTap, Lane::kFile, 1,
            "procfs net/dev, seen from the guest"},
    KpiInfo{Kpi::kNetPacketsCount, "net_packets_count", "1", kCounter, EntityKind::kTap, Lane::kFile, 1,
            "procfs net/dev, both directions"},
    KpiInfo{Kpi::kVhostTimeNs, "vhost_time_ns", "ns", kCounter, EntityKind::kVm, Lane::kPoll, kMicrosecond,
            "task se.sum_exec_runtime, vhost workers"},
    KpiInfo{Kpi::kNetSoftirqTimeNs, "net_softirq_time_ns", "ns", kCounter, EntityKind::kCpu, Lane::kOnDemand,
            kMicrosecond, "softirq_entry to softirq_exit, NET_RX and NET_TX"},
    KpiInfo{Kpi::kPacketDropReasonCount, "packet_drop_reason_count", "1", kCounter, EntityKind::kDropReason,
            Lane::kOnDemand, 1, "kfree_skb, by its reason"},
    KpiInfo{Kpi::kTcpRetransmitsCount, "tcp_retransmits_count", "1", kCounter, EntityKind::kHost, Lane::kFile, 1,
            "procfs net/snmp, RetransSegs"},
    KpiInfo{Kpi::kHostPressureCpuNs, "host_pressure_cpu_ns", "ns", kCounter, EntityKind::kHost, Lane::kFile,
            kMicrosecond, "PSI cpu some total"},
    KpiInfo{Kpi::kHostPressureMemoryNs, "host_pressure_memory_ns", "ns", kCounter, EntityKind::kHost, Lane::kFile,
            kMicrosecond, "PSI memory some total"},
    KpiInfo{Kpi::kHostPressureIoNs, "host_pressure_io_ns", "ns", kCounter, EntityKind::kHost, Lane::kFile, kMicrosecond,
            "PSI io some total"},
    KpiInfo{Kpi::kHostCpuTimeNs, "host_cpu_time_ns", "ns", kCounter, EntityKind::kHost, Lane::kFile, kMicrosecond,
            "CPU time used under the host's root control group, else procfs stat"},
    KpiInfo{Kpi::kHostCpuCapacityMillicores, "host_cpu_capacity_millicores", "millicores", kGauge, EntityKind::kHost,
            Lane::kFile, 1, "online CPUs, or the quota of the root control group if smaller; every 10 ticks"},
    KpiInfo{Kpi::kHostMemoryTotalBytes, "host_memory_total_bytes", "bytes", kGauge, EntityKind::kHost, Lane::kFile, 1,
            "procfs meminfo, or the limit of the root control group if smaller"},
    KpiInfo{Kpi::kHostMemoryAvailableBytes, "host_memory_available_bytes", "bytes", kGauge, EntityKind::kHost,
            Lane::kFile, 1, "procfs meminfo, or the room left under the root control group's limit if smaller"},
    KpiInfo{Kpi::kKsmPagesSharing, "ksm_pages_sharing", "pages", kGauge, EntityKind::kHost, Lane::kFile, 1,
            "sysfs mm/ksm/pages_sharing; every 10 ticks"},
    KpiInfo{Kpi::kAgentCpuTimeNs, "agent_cpu_time_ns", "ns", kCounter, EntityKind::kHost, Lane::kFile, kMicrosecond,
            "getrusage of the agent"},
    KpiInfo{Kpi::kAgentResidentBytes, "agent_resident_bytes", "bytes", kGauge, EntityKind::kHost, Lane::kFile, 1,
            "procfs statm of the agent"},
    KpiInfo{Kpi::kAgentDroppedFramesCount, "agent_dropped_frames_count", "1", kCounter, EntityKind::kHost, Lane::kFile,
            1, "agent's spool and queues"},
    KpiInfo{Kpi::kAgentHookTimeNs, "agent_hook_time_ns", "ns", kCounter, EntityKind::kHook, Lane::kOnDemand, 1,
            "BPF program run statistics, when enabled"},
    KpiInfo{Kpi::kAgentHookRunsCount, "agent_hook_runs_count", "1", kCounter, EntityKind::kHook, Lane::kOnDemand, 1,
            "BPF program run statistics, when enabled"},
    KpiInfo{Kpi::kAgentHookMissesCount, "agent_hook_misses_count", "1", kCounter, EntityKind::kHook, Lane::kFile, 1,
            "events that the program skipped, threads and VMs that it had no room for"},
    KpiInfo{Kpi::kVmState, "vm_state", "1", kGauge, EntityKind::kVm, Lane::kSlow, 1,
            "libvirt virDomainState; on events at once"},
    KpiInfo{Kpi::kVmVcpusCount, "vm_vcpus_count", "1", kGauge, EntityKind::kVm, Lane::kSlow, 1,
            "libvirt, online vCPUs"},
    KpiInfo{Kpi::kVmVcpusMaxCount, "vm_vcpus_max_count", "1", kGauge, EntityKind::kVm, Lane::kSlow, 1,
            "libvirt, maximum vCPUs"},
    KpiInfo{Kpi::kVmCpuQuotaUs, "vm_cpu_quota_us", "us", kGauge, EntityKind::kVm, Lane::kSlow, 1,
            "libvirt vcpu_quota: CPU time per vCPU and period; -1 is unlimited"},
    KpiInfo{Kpi::kVmCpuPeriodUs, "vm_cpu_period_us", "us", kGauge, EntityKind::kVm, Lane::kSlow, 1,
            "libvirt vcpu_period"},
    KpiInfo{Kpi::kVmCpuShares, "vm_cpu_shares", "1", kGauge, EntityKind::kVm, Lane::kSlow, 1, "libvirt cpu_shares"},
    KpiInfo{Kpi::kVmMemoryBytes, "vm_memory_bytes", "bytes", kGauge, EntityKind::kVm, Lane::kSlow, 1,
            "libvirt, current memory (balloon target)"},
    KpiInfo{Kpi::kVmMemoryMaxBytes, "vm_memory_max_bytes", "bytes", kGauge, EntityKind::kVm, Lane::kSlow, 1,
            "libvirt, maximum memory"},
    KpiInfo{Kpi::kKvmExitsCount, "kvm_exits_count", "1", kCounter, EntityKind::kVcpu, Lane::kPoll, 1,
            "kvm_vcpu stat.exits"},
    KpiInfo{Kpi::kHaltPollSuccessNs, "halt_poll_success_ns", "ns", kCounter, EntityKind::kVcpu, Lane::kPoll,
            kMicrosecond, "kvm_vcpu stat.halt_poll_success_ns"},
    KpiInfo{Kpi::kHaltPollFailNs, "halt_poll_fail_ns", "ns", kCounter, EntityKind::kVcpu, Lane::kPoll, kMicrosecond,
            "kvm_vcpu stat.halt_poll_fail_ns"},
    KpiInfo{Kpi::kHaltWaitNs, "halt_wait_ns", "ns", kHistogram, EntityKind::kVcpu, Lane::kPoll, 1,
            "kvm_vcpu stat.halt_wait_hist"},
    KpiInfo{Kpi::kHaltExitsCount, "halt_exits_count", "1", kCounter, EntityKind::kVcpu, Lane::kPoll, 1,
            "kvm_vcpu stat.halt_exits"},
    KpiInfo{Kpi::kHaltWakeupsCount, "halt_wakeups_count", "1", kCounter, EntityKind::kVcpu, Lane::kPoll, 1,
            "kvm_vcpu stat.halt_wakeup"},
    KpiInfo{Kpi::kIoExitsCount, "io_exits_count", "1", kCounter, EntityKind::kVcpu, Lane::kPoll, 1,
            "kvm_vcpu stat.io_exits"},
    KpiInfo{Kpi::kMmioExitsCount, "mmio_exits_count", "1", kCounter, EntityKind::kVcpu, Lane::kPoll, 1,
            "kvm_vcpu stat.mmio_exits"},
    KpiInfo{Kpi::kIrqInjectionsCount, "irq_injections_count", "1", kCounter, EntityKind::kVcpu, Lane::kPoll, 1,
            "kvm_vcpu stat.irq_injections"},
    KpiInfo{Kpi::kHypercallsCount, "hypercalls_count", "1", kCounter, EntityKind::kVcpu, Lane::kPoll, 1,
            "kvm_vcpu stat.hypercalls"},
    KpiInfo{Kpi::kSecondLevelFaultsCount, "second_level_faults_count", "1", kCounter, EntityKind::kVcpu, Lane::kPoll, 1,
            "kvm_vcpu stat.pf_taken"},
    KpiInfo{Kpi::kTlbFlushesCount, "tlb_flushes_count", "1", kCounter, EntityKind::kVcpu, Lane::kPoll, 1,
            "kvm_vcpu stat.tlb_flush"},
    KpiInfo{Kpi::kDirectedYieldsCount, "directed_yields_count", "1", kCounter, EntityKind::kVcpu, Lane::kPoll, 1,
            "kvm_vcpu stat.directed_yield_attempted"},
    KpiInfo{Kpi::kPreemptionReportedCount, "preemption_reported_count", "1", kCounter, EntityKind::kVcpu, Lane::kPoll,
            1, "kvm_vcpu stat.preemption_reported"},
    KpiInfo{Kpi::kMappedPages4k, "mapped_pages_4k", "pages", kGauge, EntityKind::kVm, Lane::kPoll, 1,
            "kvm stat.pages_4k"},
    KpiInfo{Kpi::kMappedPages2m, "mapped_pages_2m", "pages", kGauge, EntityKind::kVm, Lane::kPoll, 1,
            "kvm stat.pages_2m"},
    KpiInfo{Kpi::kKvmExitLatencyNs, "kvm_exit_latency_ns", "ns", kHistogram, EntityKind::kVmExit, Lane::kOnDemand, 1,
            "kvm_exit to kvm_entry, by reason"},
    KpiInfo{Kpi::kUserspaceExitLatencyNs, "userspace_exit_latency_ns", "ns", kHistogram, EntityKind::kVm,
            Lane::kOnDemand, 1, "kvm_userspace_exit to kvm_entry"},
    KpiInfo{Kpi::kCpuUserTimeNs, "cpu_user_time_ns", "ns", kCounter, EntityKind::kCpu, Lane::kFile, 10000000,
            "procfs stat, user and nice, guests included"},
    KpiInfo{Kpi::kCpuSystemTimeNs, "cpu_system_time_ns", "ns", kCounter, EntityKind::kCpu, Lane::kFile, 10000000,
            "procfs stat, system"},
    KpiInfo{Kpi::kCpuIrqTimeNs, "cpu_irq_time_ns", "ns", kCounter, EntityKind::kCpu, Lane::kFile, 10000000,
            "procfs stat, irq and softirq"},
    KpiInfo{Kpi::kCpuIowaitTimeNs, "cpu_iowait_time_ns", "ns", kCounter, EntityKind::kCpu, Lane::kFile, 10000000,
            "procfs stat, iowait"},
    KpiInfo{Kpi::kCpuStealTimeNs, "cpu_steal_time_ns", "ns", kCounter, EntityKind::kCpu, Lane::kFile, 10000000,
            "procfs stat, steal"},
    KpiInfo{Kpi::kCpuIdleTimeNs, "cpu_idle_time_ns", "ns", kCounter, EntityKind::kCpu, Lane::kFile, 10000000,
            "procfs stat, idle"},
    KpiInfo{Kpi::kCpuFrequencyKhz, "cpu_frequency_khz", "kHz", kGauge, EntityKind::kCpu, Lane::kFile, 1,
            "sysfs cpufreq/scaling_cur_freq, every 10 ticks"},
    KpiInfo{Kpi::kThermalThrottlesCount, "thermal_throttles_count", "1", kCounter, EntityKind::kCpu, Lane::kFile, 1,
            "sysfs thermal_throttle, core_throttle_count; only every 10 ticks"},
    KpiInfo{Kpi::kNodeMemoryAvailableBytes, "node_memory_available_bytes", "bytes", kGauge, EntityKind::kNode,
            Lane::kFile, 1, "sysfs node meminfo: free, reclaimable slab and inactive file pages; every 10 ticks"},
    KpiInfo{Kpi::kNumaMissCount, "numa_miss_count", "pages", kCounter, EntityKind::kNode, Lane::kFile, 1,
            "sysfs node numastat, numa_miss; only every 10 ticks"},
    KpiInfo{Kpi::kPackageEnergyUj, "package_energy_uj", "uJ", kCounter, EntityKind::kPackage, Lane::kFile, 1,
            "sysfs powercap energy_uj, its wraps undone; only every 10 ticks"},
    KpiInfo{Kpi::kDiskBusyTimeNs, "disk_busy_time_ns", "ns", kCounter, EntityKind::kHostDisk, Lane::kFile, 1000000,
            "procfs diskstats, time spent doing I/O"},
    KpiInfo{Kpi::kDiskInFlightCount, "disk_in_flight_count", "1", kGauge, EntityKind::kHostDisk, Lane::kFile, 1,
            "procfs diskstats, I/Os in progress"},
};

}  // namespace

std::span<const KpiInfo> kpi_table() {
  return kTable;
}

const KpiInfo* find_kpi(std::uint16_t number) {
  const auto row = std::find_if(kTable.begin(), kTable.end(),
                                [&](const KpiInfo& r) { return static_cast<std::uint16_t>(r.kpi) == number; });
  return row == kTable.end() ? nullptr : &*row;
}

const KpiInfo* find_kpi(std::string_view name) {
  const auto row = std::find_if(kTable.begin(), kTable.end(), [&](const KpiInfo& r) { return r.name == name; });
  return row == kTable.end() ? nullptr : &*row;
}

const KpiInfo& info(Kpi kpi) {
  const KpiInfo* row = find_kpi(static_cast<std::uint16_t>(kpi));
  if (row == nullptr) std::abort();  // every enumerator has a row; a test holds this
  return *row;
}

const char* to_string(KpiKind kind) {
  switch (kind) {
    case kCounter: return "counter";
    case kGauge: return "gauge";
    case kHistogram: return "histogram";
  }
  return "unknown";
}

const char* to_string(EntityKind kind) {
  switch (kind) {
    case EntityKind::kHost: return "host";
    case EntityKind::kVm: return "vm";
    case EntityKind::kVcpu: return "vcpu";
    case EntityKind::kVmPair: return "vm_pair";
    case EntityKind::kTap: return "tap";
    case EntityKind::kDisk: return "disk";
    case EntityKind::kHook: return "hook";
    case EntityKind::kCpu: return "cpu";
    case EntityKind::kNode: return "node";
    case EntityKind::kPackage: return "package";
    case EntityKind::kHostDisk: return "host_disk";
    case EntityKind::kVmDisk: return "vm_disk";
    case EntityKind::kVmExit: return "vm_exit";
    case EntityKind::kDropReason: return "drop_reason";
  }
  return "unknown";
}

const char* to_string(Lane lane) {
  switch (lane) {
    case Lane::kPoll: return "poll";
    case Lane::kFile: return "file";
    case Lane::kTrace: return "trace";
    case Lane::kOnDemand: return "on_demand";
    case Lane::kSlow: return "slow";
  }
  return "unknown";
}

}  // namespace proteus
