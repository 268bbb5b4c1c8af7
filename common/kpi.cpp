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
    KpiInfo{Kpi::kCpuThrottledTimeNs, "cpu_throttled_time_ns", "ns", kCounter, EntityKind::kVm, Lane::kFile,
            kMicrosecond,
            "cgroup cpu.stat, or the waits that sched_switch saw begin with the VM's own quota if they grew more"},
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
    KpiInfo{Kpi::kMemoryResidentBytes, "memory_resident_bytes", "bytes", kGauge, EntityKind::kVm, Lane::kPoll, 1,
            "task mm rss_stat"},
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
    KpiInfo{Kpi::kBlockReadBytes, "block_read_bytes", "bytes", kCounter, EntityKind::kDisk, Lane::kSlow, 1,
            "libvirt block.N.rd.bytes"},
    KpiInfo{Kpi::kBlockWriteBytes, "block_write_bytes", "bytes", kCounter, EntityKind::kDisk, Lane::kSlow, 1,
            "libvirt block.N.wr.bytes"},
    KpiInfo{Kpi::kBlockOpsCount, "block_ops_count", "1", kCounter, EntityKind::kDisk, Lane::kSlow, 1,
            "libvirt block.N.rd.reqs + wr.reqs"},
    KpiInfo{Kpi::kGuestFlushesCount, "guest_flushes_count", "1", kCounter, EntityKind::kDisk, Lane::kSlow, 1,
            "libvirt block.N.fl.reqs"},
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
    KpiInfo{Kpi::kHostPressureCpuNs, "host_pressure_cpu_ns", "ns", kCounter, EntityKind::kHost, Lane::kFile,
            kMicrosecond, "PSI cpu some total"},
    KpiInfo{Kpi::kHostPressureMemoryNs, "host_pressure_memory_ns", "ns", kCounter, EntityKind::kHost, Lane::kFile,
            kMicrosecond, "PSI memory some total"},
    KpiInfo{Kpi::kHostPressureIoNs, "host_pressure_io_ns", "ns", kCounter, EntityKind::kHost, Lane::kFile, kMicrosecond,
            "PSI io some total"},
    KpiInfo{Kpi::kHostCpuTimeNs, "host_cpu_time_ns", "ns", kCounter, EntityKind::kHost, Lane::kFile, kMicrosecond,
            "CPU time used under the host's root control group, else procfs stat"},
    KpiInfo{Kpi::kHostCpuCapacityMillicores, "host_cpu_capacity_millicores", "millicores", kGauge, EntityKind::kHost,
            Lane::kFile, 1, "online CPUs, or the quota of the root control group if smaller"},
    KpiInfo{Kpi::kHostMemoryTotalBytes, "host_memory_total_bytes", "bytes", kGauge, EntityKind::kHost, Lane::kFile, 1,
            "procfs meminfo, or the limit of the root control group if smaller"},
    KpiInfo{Kpi::kHostMemoryAvailableBytes, "host_memory_available_bytes", "bytes", kGauge, EntityKind::kHost,
            Lane::kFile, 1, "procfs meminfo, or the room left under the root control group's limit if smaller"},
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
