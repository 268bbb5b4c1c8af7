#include "agent/collect/check.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/collect/findings.h"
#include "agent/collect/text_file.h"
#include "common/kpi.h"

namespace proteus {
namespace {

using collect::Findings;
using collect::Probe;

/// True for figures that KVM keeps, not the scheduler.
bool is_of_kvm(Kpi kpi) {
  return kpi >= Kpi::kKvmExitsCount && kpi <= Kpi::kMappedPages2m;
}

CheckRow poll_row(const KpiInfo& kpi, const Findings& f) {
  if (is_of_kvm(kpi.kpi)) return kvm_row(kpi, f.kvm, f.kvm_missing);
  CheckRow row{std::string(kpi.name), true, to_string(kpi.lane), std::string(kpi.source)};
  if (kpi.kpi == Kpi::kVhostTimeNs && !f.vhost.available) {
    row.available = false;
    row.reason = f.vhost.reason;
    return row;
  }
  if (kpi.kpi == Kpi::kKsmMergedPages && !f.ksm_merged.available) {
    row.available = false;
    row.reason = f.ksm_merged.reason;
    return row;
  }
  if (f.thread_lane == collect::ThreadLane::kProcfs) {
    row.lane = "file";
    row.reason = "through procfs: " + f.thread_reason;
    if (kpi.kpi == Kpi::kCpuMigrationsCount) {
      row.available = false;
      row.reason = "procfs does not tell; " + f.thread_reason;
    }
    if (!f.waits.available && (kpi.kpi == Kpi::kRunQueueWaitNs || kpi.kpi == Kpi::kDispatchesCount)) {
      row.available = false;
      row.reason = f.waits.reason + "; " + f.thread_reason;
    } else if (!f.waits.available && kpi.kpi == Kpi::kCpuRunTimeNs) {
      row.reason += "; in hundredths of a second, as " + f.waits.reason;
    }
  } else if (f.thread_lane == collect::ThreadLane::kTaskIterator) {
    row.reason = "by a walk over all tasks: " + f.thread_reason;
  }
  return row;
}

/// Figures of the host's parts: available if any part has it.
CheckRow device_row(const KpiInfo& kpi, const Findings& f) {
  CheckRow row{std::string(kpi.name), false, to_string(kpi.lane), std::string(kpi.source)};
  for (const collect::Device& device : f.host_devices.devices()) {
    for (const collect::Figure& figure : device.figures) row.available |= figure.kpi == kpi.kpi && figure.value;
  }
  // What was read before it was given up is not told any more.
  if (kpi.kpi == Kpi::kCpuFrequencyKhz) row.available &= f.host_devices.frequency_is_told();
  if (row.available) return row;
  switch (kpi.kpi) {
    case Kpi::kCpuFrequencyKhz:
      row.reason = f.host_devices.frequency_is_told()
                       ? "no cpufreq in sysfs (a guest, or a kernel without CONFIG_CPU_FREQ)"
                       : "this kernel sleeps 10 ms for each CPU that is asked (x86 before 5.19)";
      break;
    case Kpi::kThermalThrottlesCount:
      row.reason = "no thermal_throttle in sysfs (only Intel's processors have it)";
      break;
    case Kpi::kPackageEnergyUj: row.reason = "no readable powercap zone intel-rapl (no RAPL, or a guest)"; break;
    case Kpi::kNodeMemoryAvailableBytes:
    case Kpi::kNumaMissCount: row.reason = "no NUMA nodes in sysfs (CONFIG_NUMA)"; break;
    case Kpi::kDiskBusyTimeNs:
    case Kpi::kDiskInFlightCount: row.reason = "procfs diskstats shows no disk in use"; break;
    default: row.reason = "procfs stat shows no CPU"; break;
  }
  return row;
}

/// Figures of a VM's control groups: what this host's hierarchies offer to groups below their top.
CheckRow group_row(const KpiInfo& kpi, const Findings& f, const std::string& root) {
  CheckRow row{std::string(kpi.name), false, to_string(kpi.lane), std::string(kpi.source)};
  const Probe probe = kpi.kpi == Kpi::kMemoryWorkingSetBytes || kpi.kpi == Kpi::kWorkingsetRefaultsCount ||
                              kpi.kpi == Kpi::kMemorySwapBytes
                          ? collect::probe_memory_groups(root, kpi.kpi)
                          : f.group_pressure;
  row.available = probe.available;
  row.reason = probe.available ? row.reason + ": " + probe.reason : probe.reason;
  if (kpi.kpi == Kpi::kMemoryWorkingSetBytes) {
    row.available |= f.damon.available;
    row.reason =
        f.damon.available ? "DAMON, each VM in turn" : fmt::format("{} (not by DAMON: {})", row.reason, f.damon.reason);
  }
  return row;
}

/// Whether the agent has any kernel program.
bool has_program(const Findings& f) {
  return f.thread_lane != collect::ThreadLane::kProcfs || f.trace.available || f.kvm.available ||
         f.pressure.available || f.block.available;
}

CheckRow file_row(const KpiInfo& kpi, const Findings& f, const CollectorOptions& options) {
  if (kpi.scope != EntityKind::kHost && kpi.scope != EntityKind::kVm && kpi.scope != EntityKind::kTap &&
      kpi.scope != EntityKind::kHook) {
    return device_row(kpi, f);
  }
  if (kpi.kpi == Kpi::kLlcOccupancyBytes || kpi.kpi == Kpi::kMemoryBandwidthBytes) {
    return {std::string(kpi.name), f.resctrl.available, to_string(kpi.lane),
            f.resctrl.available ? std::string(kpi.source) : f.resctrl.reason};
  }
  if (kpi.scope == EntityKind::kVm && kpi.kpi != Kpi::kCpuThrottledTimeNs) return group_row(kpi, f, options.root);
  CheckRow row{std::string(kpi.name), true, to_string(kpi.lane), std::string(kpi.source)};
  const auto need = [&row](bool available, const std::string& missing) {
    row.available = available;
    if (!available) row.reason = missing;
  };
  const char* no_psi = "no pressure files (CONFIG_PSI, or psi=0 at boot)";
  switch (kpi.kpi) {
    case Kpi::kHostPressureCpuNs: need(f.host.pressure_cpu_ns.has_value(), no_psi); break;
    case Kpi::kHostPressureMemoryNs: need(f.host.pressure_memory_ns.has_value(), no_psi); break;
    case Kpi::kHostPressureIoNs: need(f.host.pressure_io_ns.has_value(), no_psi); break;
    case Kpi::kHostCpuTimeNs:
      need(f.host.cpu_time_ns.has_value(), "neither control groups nor procfs stat tell");
      if (row.available) row.reason = f.host_files.cpu_time_source();
      break;
    case Kpi::kHostCpuCapacityMillicores:
      need(f.host.cpu_capacity_millicores.has_value(), "no list of online CPUs in sysfs");
      if (row.available) row.reason += fmt::format(": {}", *f.host.cpu_capacity_millicores);
      break;
    case Kpi::kHostMemoryTotalBytes: need(f.host.memory_total_bytes.has_value(), "no procfs meminfo"); break;
    case Kpi::kHostMemoryAvailableBytes: need(f.host.memory_available_bytes.has_value(), "no procfs meminfo"); break;
    case Kpi::kCpuThrottledTimeNs: {
      const Probe quota = collect::probe_cpu_quota(options.root);
      need(quota.available, quota.reason);
      break;
    }
    case Kpi::kNetRxBytes:
    case Kpi::kNetTxBytes:
    case Kpi::kNetRxDropsCount:
    case Kpi::kNetTxDropsCount:
    case Kpi::kNetPacketsCount:
      need(collect::read_file(collect::under(options.root, "/proc/net/dev")).has_value(), "no procfs net/dev");
      break;
    case Kpi::kTcpRetransmitsCount: need(f.host.tcp_retransmits_count.has_value(), "no procfs net/snmp"); break;
    case Kpi::kKsmPagesSharing: need(f.host.ksm_pages_sharing.has_value(), "no sysfs mm/ksm (CONFIG_KSM)"); break;
    case Kpi::kAgentHookMissesCount: need(has_program(f), f.trace.reason); break;
    default: break;  // the agent's own figures need nothing
  }
  return row;
}

CheckRow trace_row(const KpiInfo& kpi, const Findings& f, const std::string& root) {
  const Probe* probe = &f.trace;
  if (kpi.kpi == Kpi::kReclaimLatencyNs) probe = &f.reclaim;
  if (kpi.scope == EntityKind::kVmDisk) probe = &f.block;
  if (kpi.kpi >= Kpi::kCyclesCount && kpi.kpi <= Kpi::kLlcMissesCount) probe = &f.hardware;
  CheckRow row{std::string(kpi.name), probe->available, to_string(kpi.lane),
               probe->available ? std::string(kpi.source) : probe->reason};
  if (row.available && probe == &f.block && collect::read_file(collect::under(root, "/sys/fs/cgroup/blkio/tasks"))) {
    row.reason += "; with control groups v1 without what the host's page cache writes back, which is of no group";
  }
  return row;
}

CheckRow on_demand_row(const KpiInfo& kpi, const Findings& f) {
  const auto row = [&kpi](const Probe& probe, const char* question) {
    return CheckRow{
        std::string(kpi.name), probe.available, to_string(kpi.lane),
        probe.available ? fmt::format("{}; ask with: proteus-agent ask {}", probe.reason, question) : probe.reason};
  };
  switch (kpi.kpi) {
    case Kpi::kKvmExitLatencyNs:
    case Kpi::kUserspaceExitLatencyNs: return row(f.exits, "kvm_exits");
    case Kpi::kNetSoftirqTimeNs: return row(f.softirq, "net_softirq");
    case Kpi::kPacketDropReasonCount: return row(f.drops, "packet_drops");
    default: break;
  }
  return {std::string(kpi.name), f.hook_statistics.available, to_string(kpi.lane), f.hook_statistics.reason};
}

CheckRow slow_row(const KpiInfo& kpi, const Findings& f) {
  CheckRow row{std::string(kpi.name), true, to_string(kpi.lane), std::string(kpi.source)};
  if (kpi.kpi == Kpi::kMemoryDirtyBytesPerS && f.libvirt_capabilities.at("dirty_rate") != "yes") {
    row.available = false;
    row.reason = f.libvirt_capabilities.at("dirty_rate").substr(4);
  } else if (kpi.kpi == Kpi::kGuestMemoryUsableBytes) {
    row.reason += "; a guest without <stats period> or without the balloon driver has none";
  }
  return row;
}

/// Figures of a VM or of a part of one.
bool is_of_vm(EntityKind scope) {
  switch (scope) {
    case EntityKind::kVm:
    case EntityKind::kVcpu:
    case EntityKind::kDisk:
    case EntityKind::kTap:
    case EntityKind::kVmPair:
    case EntityKind::kVmDisk:
    case EntityKind::kVmExit: return true;
    default: return false;
  }
}

CheckRow row_of_lane(const KpiInfo& kpi, const Findings& f, const CollectorOptions& options) {
  switch (kpi.lane) {
    case Lane::kPoll: return poll_row(kpi, f);
    case Lane::kFile: return file_row(kpi, f, options);
    case Lane::kTrace: return trace_row(kpi, f, options.root);
    case Lane::kOnDemand: return on_demand_row(kpi, f);
    case Lane::kSlow: return slow_row(kpi, f);
  }
  return {};
}

CheckRow kpi_row(const KpiInfo& kpi, const Findings& f, const CollectorOptions& options) {
  if (!is_of_vm(kpi.scope) || f.libvirt.available) return row_of_lane(kpi, f, options);
  // Disks and taps are known from a VM's definition; VMs, while libvirt does not answer, from their processes.
  const bool by_process = !options.libvirt_uri.empty() && kpi.lane != Lane::kSlow && kpi.scope != EntityKind::kDisk &&
                          kpi.scope != EntityKind::kTap;
  if (!by_process) {
    return {std::string(kpi.name), false, to_string(kpi.lane),
            "no libvirt, which tells what VMs there are: " + f.libvirt.reason};
  }
  CheckRow row = row_of_lane(kpi, f, options);
  if (row.available) row.reason += "; of VMs that are known by their processes, as libvirt does not answer";
  return row;
}

}  // namespace

CheckRow kvm_row(const KpiInfo& kpi, const Probe& kvm, const std::map<Kpi, std::string>& missing) {
  CheckRow row{std::string(kpi.name), kvm.available, to_string(kpi.lane), kvm.reason};
  if (!kvm.available) return row;
  const auto lacks = missing.find(kpi.kpi);
  row.available = lacks == missing.end();
  row.reason = row.available ? std::string(kpi.source) + "; guests under TCG have none" : lacks->second;
  return row;
}

std::vector<CheckRow> run_checks(const CollectorOptions& options) {
  const Findings f = collect::probe_all(options);
  std::vector<CheckRow> rows;
  for (const KpiInfo& kpi : kpi_table()) rows.push_back(kpi_row(kpi, f, options));

  const auto capability = [&rows](std::string name, const Probe& probe) {
    rows.push_back({"capability." + std::move(name), probe.available, {}, probe.reason});
  };
  const std::string& root = options.root;
  capability("btf", collect::probe_btf(root));
  const bool holds = f.thread_lane == collect::ThreadLane::kHeldTasks;
  const bool polls = holds || f.thread_lane == collect::ThreadLane::kSyscallProgram;
  capability("bpf_syscall_program", {polls, polls ? "loads and runs" : f.thread_reason});
  capability("task_kfunc", {polls, polls ? "bpf_task_from_pid" : f.thread_reason});
  capability("held_tasks", {holds, holds ? "a program may hold tasks" : f.thread_reason});
  capability("task_iterator", f.iterator);
  capability("tp_btf", f.trace);
  capability("kvm_counters", f.kvm);
  capability("pressure_totals", f.pressure);
  capability("block_rq_complete", f.block);
  capability("reclaim_hooks", f.reclaim);
  capability("hook_statistics", f.hook_statistics);
  capability("kprobes", collect::probe_kprobes(root));
  capability("hardware_counters", f.hardware);
  capability("resctrl", f.resctrl);
  capability("damon", f.damon);
  capability("kvm_device", collect::probe_kvm_device(root));
  capability("kvm_exit", f.exits);
  capability("psi", collect::probe_psi(root));
  capability("cgroup_v2", collect::probe_cgroup_version(root));
  capability("cpu_quota", collect::probe_cpu_quota(root));
  capability("libvirt", f.libvirt);
  capability("hypervisor", {!f.hypervisor.empty(), f.hypervisor.empty() ? "no libvirt connection" : f.hypervisor});
  capability("guests", f.guests);
  for (const char* name : {"vcpu_hotplug", "balloon", "migrate", "dirty_rate"}) {
    const auto known = f.libvirt_capabilities.find(name);
    if (known == f.libvirt_capabilities.end()) {
      capability(name, {false, "no libvirt connection"});
    } else {
      const bool yes = known->second == "yes";
      capability(name, {yes, yes ? "announced by libvirt" : known->second.substr(4)});
    }
  }
  capability("post_copy", collect::probe_post_copy(root));
  capability("network_bandwidth", collect::probe_network_bandwidth(root));
  return rows;
}

std::string check_table(const std::vector<CheckRow>& rows) {
  std::size_t subject_width = 7;
  for (const CheckRow& row : rows) subject_width = std::max(subject_width, row.subject.size());
  std::string text =
      fmt::format("{:<{}}  {:<3}  {:<9}  {}\n", "SUBJECT", subject_width, "OK", "LANE", "SOURCE OR REASON");
  for (const CheckRow& row : rows) {
    text += fmt::format("{:<{}}  {:<3}  {:<9}  {}\n", row.subject, subject_width, row.available ? "yes" : "no",
                        row.lane.empty() ? "-" : row.lane, row.reason);
  }
  return text;
}

std::string check_json(const std::vector<CheckRow>& rows) {
  auto list = nlohmann::json::array();
  for (const CheckRow& row : rows) {
    list.push_back(
        {{"subject", row.subject}, {"available", row.available}, {"lane", row.lane}, {"reason", row.reason}});
  }
  return list.dump(2) + "\n";
}

}  // namespace proteus
