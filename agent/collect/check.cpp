#include "agent/collect/check.h"

#include <fmt/core.h>
#include <pthread.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/collect/bpf_support.h"
#include "agent/collect/host_files.h"
#include "agent/collect/libvirt_reading.h"
#include "agent/collect/probe.h"
#include "agent/collect/run_queue_trace.h"
#include "agent/collect/text_file.h"
#include "agent/collect/thread_reader.h"
#include "common/kpi.h"

namespace proteus {
namespace {

using collect::Probe;

/// What decides over the KPIs of a lane, probed once.
struct Findings {
  collect::ThreadLane thread_lane = collect::ThreadLane::kProcfs;
  std::string thread_reason;
  Probe iterator;
  Probe trace;
  Probe hook_statistics;
  Probe libvirt;
  std::string hypervisor;
  std::map<std::string, std::string> libvirt_capabilities;
  Probe guests;  ///< which accelerators run here
  collect::HostFigures host;
  collect::HostFiles host_files;
};

Probe probe_guests(virConnect* connection) {
  auto domains = collect::active_domains(connection);
  if (!domains) return {false, domains.error().message};
  int kvm = 0;
  int other = 0;
  for (const collect::Domain& domain : domains.value()) {
    const std::unique_ptr<char, void (*)(void*)> xml(virDomainGetXMLDesc(domain.get(), 0), std::free);
    if (xml == nullptr) continue;
    std::string_view(xml.get()).find("type='kvm'") != std::string_view::npos ? ++kvm : ++other;
  }
  return {true, fmt::format("{} active under KVM, {} under TCG or another driver", kvm, other)};
}

Findings probe_all(const CollectorOptions& options) {
  Findings f{.thread_lane = {},
             .thread_reason = {},
             .iterator = {},
             .trace = {},
             .hook_statistics = {},
             .libvirt = {},
             .hypervisor = {},
             .libvirt_capabilities = {},
             .guests = {},
             .host = {},
             .host_files = collect::HostFiles(options.root)};
  f.host = f.host_files.read();
  {
    const auto reader = collect::ThreadReader::create(
        options.root, options.kernel_programs ? collect::ThreadLane::kSyscallProgram : collect::ThreadLane::kProcfs);
    f.thread_lane = reader->lane();
    f.thread_reason = reader->reason();
  }
  {
    const auto reader = collect::ThreadReader::create(options.root, collect::ThreadLane::kTaskIterator);
    f.iterator = {reader->lane() == collect::ThreadLane::kTaskIterator, reader->reason()};
    if (f.iterator.available) f.iterator.reason = "iter/task program loads";
  }
  auto trace = collect::RunQueueTrace::create();
  f.trace = trace ? Probe{true, fmt::format("sched_switch hook loads; room for {} VMs", trace.value()->slot_count())}
                  : Probe{false, trace.error().message};
  auto statistics = collect::RunStatistics::enable();
  f.hook_statistics = statistics ? Probe{true,
                                         "the kernel's run statistics, when hook_statistics or "
                                         "kernel.bpf_stats_enabled turns them on"}
                                 : Probe{false, statistics.error().message};
  if (options.libvirt_uri.empty()) {
    f.libvirt = {false, "not configured"};
    f.guests = f.libvirt;
    return f;
  }
  auto connection = collect::connect(options.libvirt_uri);
  if (!connection) {
    f.libvirt = {false, connection.error().message};
    f.guests = {false, "no libvirt connection"};
    return f;
  }
  virConnect* c = connection.value().get();
  f.hypervisor = collect::hypervisor_version(c);
  f.libvirt = {true, fmt::format("libvirt {} at {}", collect::daemon_version(c), options.libvirt_uri)};
  f.libvirt_capabilities = collect::libvirt_capabilities(c);
  f.guests = probe_guests(c);
  return f;
}

CheckRow poll_row(const KpiInfo& kpi, const Findings& f) {
  CheckRow row{std::string(kpi.name), true, to_string(kpi.lane), std::string(kpi.source)};
  if (f.thread_lane == collect::ThreadLane::kProcfs) {
    row.lane = "file";
    row.reason = "through procfs: " + f.thread_reason;
    if (kpi.kpi == Kpi::kCpuMigrationsCount) {
      row.available = false;
      row.reason = "procfs does not tell; " + f.thread_reason;
    }
  } else if (f.thread_lane == collect::ThreadLane::kTaskIterator) {
    row.reason = "by a walk over all tasks: " + f.thread_reason;
  }
  return row;
}

CheckRow file_row(const KpiInfo& kpi, const Findings& f, const CollectorOptions& options) {
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
    case Kpi::kAgentHookMissesCount: need(f.trace.available, f.trace.reason); break;
    default: break;  // the agent's own figures need nothing
  }
  return row;
}

CheckRow slow_row(const KpiInfo& kpi, const Findings& f) {
  CheckRow row{std::string(kpi.name), f.libvirt.available, to_string(kpi.lane), std::string(kpi.source)};
  if (!f.libvirt.available) {
    row.reason = "no libvirt: " + f.libvirt.reason;
  } else if (kpi.kpi == Kpi::kMemoryDirtyBytesPerS && f.libvirt_capabilities.at("dirty_rate") != "yes") {
    row.available = false;
    row.reason = f.libvirt_capabilities.at("dirty_rate").substr(4);
  } else if (kpi.kpi == Kpi::kGuestMemoryUsableBytes) {
    row.reason += "; a guest without <stats period> or without the balloon driver has none";
  }
  return row;
}

CheckRow kpi_row(const KpiInfo& kpi, const Findings& f, const CollectorOptions& options) {
  switch (kpi.lane) {
    case Lane::kPoll: return poll_row(kpi, f);
    case Lane::kFile: return file_row(kpi, f, options);
    case Lane::kTrace:
      return {std::string(kpi.name), f.trace.available, to_string(kpi.lane),
              f.trace.available ? std::string(kpi.source) : f.trace.reason};
    case Lane::kOnDemand:
      return {std::string(kpi.name), f.hook_statistics.available, to_string(kpi.lane), f.hook_statistics.reason};
    case Lane::kSlow: return slow_row(kpi, f);
  }
  return {};
}

}  // namespace

std::vector<CheckRow> run_checks(const CollectorOptions& options) {
  const Findings f = probe_all(options);
  std::vector<CheckRow> rows;
  for (const KpiInfo& kpi : kpi_table()) rows.push_back(kpi_row(kpi, f, options));

  const auto capability = [&rows](std::string name, const Probe& probe) {
    rows.push_back({"capability." + std::move(name), probe.available, {}, probe.reason});
  };
  const std::string& root = options.root;
  capability("btf", collect::probe_btf(root));
  const bool polls = f.thread_lane == collect::ThreadLane::kSyscallProgram;
  capability("bpf_syscall_program", {polls, polls ? "loads and runs" : f.thread_reason});
  capability("task_kfunc", {polls, polls ? "bpf_task_from_pid" : f.thread_reason});
  capability("task_iterator", f.iterator);
  capability("tp_btf", f.trace);
  capability("hook_statistics", f.hook_statistics);
  capability("kprobes", collect::probe_kprobes(root));
  capability("hardware_counters", collect::probe_hardware_counters());
  capability("resctrl", collect::probe_resctrl(root));
  capability("kvm_device", collect::probe_kvm_device(root));
  capability("kvm_exit", collect::probe_kvm_exit(root));
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
