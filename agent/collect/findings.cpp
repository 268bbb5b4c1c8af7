#include "agent/collect/findings.h"

#include <fmt/core.h>

#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "agent/collect/block_trace.h"
#include "agent/collect/bpf_support.h"
#include "agent/collect/damon.h"
#include "agent/collect/hardware_counters.h"
#include "agent/collect/kvm_exit_trace.h"
#include "agent/collect/kvm_reader.h"
#include "agent/collect/libvirt_reading.h"
#include "agent/collect/net_trace.h"
#include "agent/collect/pressure_reader.h"
#include "agent/collect/reclaim_trace.h"
#include "agent/collect/resctrl.h"
#include "agent/collect/run_queue_trace.h"
#include "agent/collect/text_file.h"
#include "agent/collect/vm_cgroup.h"
#include "agent/collect/vm_process.h"

namespace proteus::collect {
namespace {

/// Which accelerators they use.
Probe probe_guests(const std::vector<Domain>& domains) {
  int kvm = 0;
  int other = 0;
  for (const Domain& domain : domains) {
    const std::unique_ptr<char, void (*)(void*)> xml(virDomainGetXMLDesc(domain.get(), 0), std::free);
    if (xml == nullptr) continue;
    std::string_view(xml.get()).find("type='kvm'") != std::string_view::npos ? ++kvm : ++other;
  }
  return {true, fmt::format("{} active under KVM, {} under TCG or another driver", kvm, other)};
}

template <typename Loaded>
Probe probe_of(const Loaded& loaded, const char* good) {
  return loaded ? Probe{true, good} : Probe{false, loaded.error().message};
}

/// Loads, and unloads, every kernel program but the two of the threads. trace: null if there is none.
void probe_hooks(const CollectorOptions& options, const RunQueueTrace* trace, Findings& f) {
  f.block = probe_of(BlockTrace::create(options.root), "block_rq_complete hook loads");
  f.kvm = probe_of(KvmReader::create(), "kvm-vcpu descriptors are found and read");
  f.kvm_missing = missing_kvm_figures(
      [](const std::string& type, const std::string& member) { return has_kernel_member(type, member, "kvm"); });
  f.pressure = probe_of(PressureReader::create(), "bpf_cgroup_from_id; files are read where it moves");
  f.softirq = probe_of(NetSoftirqTrace::create(), "hooks on soft interrupts load");
  f.drops = probe_of(PacketDropTrace::create(), "kfree_skb hook loads");
  if (trace == nullptr) {
    f.reclaim = f.hardware = f.exits = {false, "needs the run-queue trace: " + f.trace.reason};
    return;
  }
  f.reclaim = probe_of(ReclaimTrace::create(*trace), "hooks around direct and control-group reclaim load");
  f.hardware = probe_of(HardwareCounters::create(*trace), "every CPU counts cycles, instructions, cache misses");
  const auto layout = probe_kvm_exit_layout();
  f.exits = probe_hardware_kvm(options.root);
  if (!f.exits.available) return;
  if (!layout) {
    f.exits = {false, layout.error().message};
    return;
  }
  const char* how = *layout == KvmExitLayout::kReasonFirst ? "kvm_exit(exit_reason, vcpu, isa)"
                    : *layout == KvmExitLayout::kVcpuFirst
                        ? "kvm_exit(vcpu, isa), the reason read from the vCPU"
                        : "kvm_exit(vcpu, isa), the reason from the tracepoint's record";
  f.exits = probe_of(KvmExitTrace::create(*trace, *layout), how);
}

/// What needs no kernel program.
void probe_files(const CollectorOptions& options, Findings& f) {
  const auto resctrl = Resctrl::open(options.root);
  f.resctrl = probe_of(resctrl, "mounted at /sys/fs/resctrl, monitors the last-level cache");
  if (const auto room = resctrl ? resctrl->room() : std::nullopt) {
    f.resctrl.reason += fmt::format("; room for {} VMs beside what is left to others", *room);
  }
  const auto damon = Damon::open(options.root);
  f.damon = probe_of(damon, "watches processes, one at a time");
  if (!damon && damon.error().code == ErrorCode::kFailedPrecondition) {
    f.damon = {true, "in use by an agent that runs, or by another check"};
  }
  f.group_pressure = probe_group_pressure(options.root);
}

void switch_programs_off(Findings& f) {
  for (Probe* probe : {&f.iterator, &f.trace, &f.kvm, &f.pressure, &f.block, &f.reclaim, &f.hardware, &f.exits,
                       &f.softirq, &f.drops, &f.hook_statistics}) {
    *probe = {false, "kernel programs are switched off (kernel_programs)"};
  }
}

/// Loads, and unloads, the programs that the agent would load.
void probe_programs(const CollectorOptions& options, Findings& f) {
  {
    const auto reader = ThreadReader::create(options.root, ThreadLane::kTaskIterator);
    f.iterator = {reader->lane() == ThreadLane::kTaskIterator, reader->reason()};
    if (f.iterator.available) f.iterator.reason = "iter/task program loads";
  }
  auto trace = RunQueueTrace::create();
  f.trace = trace ? Probe{true, fmt::format("sched_switch hook loads; room for {} VMs", trace.value()->slot_count())}
                  : Probe{false, trace.error().message};
  probe_hooks(options, trace ? trace.value().get() : nullptr, f);
  f.hook_statistics =
      probe_of(RunStatistics::enable(),
               "the kernel's run statistics, when hook_statistics or kernel.bpf_stats_enabled turns them on");
}

/// Whether libvirt has made the VMs that run groups which have pressure files: not where it manages version 1 only.
void probe_guests_groups(const std::string& root, const std::vector<Domain>& domains, Probe& pressure) {
  if (!pressure.available) return;
  std::vector<std::string> uuids;
  for (const Domain& domain : domains) {
    char uuid[VIR_UUID_STRING_BUFLEN] = {};
    virDomainGetUUIDString(domain.get(), uuid);
    uuids.emplace_back(uuid);
  }
  std::vector<VmName> names;
  for (std::size_t i = 0; i < domains.size(); ++i) names.push_back({virDomainGetName(domains[i].get()), uuids[i]});
  int without = 0;
  for (const auto& pid : find_vm_processes(root, names)) {
    if (!pid) continue;
    const std::string group = find_vm_groups(root, *pid).unified;
    if (!group.empty() && read_file(group + "/cpu.pressure")) return;
    ++without;
  }
  if (without == 0) return;
  pressure = {false, fmt::format("libvirt has made none of the {} VMs that run a group in the tree of version 2, which "
                                 "alone has pressure files",
                                 without)};
}

}  // namespace

Findings probe_all(const CollectorOptions& options) {
  Findings f{.thread_lane = {},
             .thread_reason = {},
             .iterator = {},
             .trace = {},
             .kvm = {},
             .kvm_missing = {},
             .pressure = {},
             .group_pressure = {},
             .vhost = probe_vhost(options.root),
             .block = {},
             .reclaim = {},
             .hardware = {},
             .resctrl = {},
             .damon = {},
             .ksm_merged = {},
             .waits = probe_waits(options.root),
             .exits = {},
             .softirq = {},
             .drops = {},
             .hook_statistics = {},
             .libvirt = {},
             .hypervisor = {},
             .libvirt_capabilities = {},
             .guests = {},
             .host = {},
             .host_files = HostFiles(options.root),
             .host_devices = HostDevices(options.root)};
  f.host = f.host_files.read();
  {
    const auto reader =
        ThreadReader::create(options.root, options.kernel_programs ? ThreadLane::kHeldTasks : ThreadLane::kProcfs);
    f.thread_lane = reader->lane();
    f.thread_reason = reader->reason();
  }
  f.ksm_merged = probe_ksm_merged(options.root, f.thread_lane != ThreadLane::kProcfs);
  options.kernel_programs ? probe_programs(options, f) : switch_programs_off(f);
  probe_files(options, f);
  f.host_devices.refresh();
  if (options.libvirt_uri.empty()) {
    f.libvirt = {false, "not configured"};
    f.guests = f.libvirt;
    return f;
  }
  auto connection = connect(options.libvirt_uri);
  if (!connection) {
    f.libvirt = {false, connection.error().message};
    f.guests = {false, "no libvirt connection"};
    return f;
  }
  virConnect* c = connection.value().get();
  f.hypervisor = hypervisor_version(c);
  f.libvirt = {true, fmt::format("libvirt {} at {}", daemon_version(c), options.libvirt_uri)};
  f.libvirt_capabilities = libvirt_capabilities(c);
  const auto domains = active_domains(c);
  if (!domains) {
    f.guests = {false, domains.error().message};
    return f;
  }
  f.guests = probe_guests(domains.value());
  probe_guests_groups(options.root, domains.value(), f.group_pressure);
  return f;
}

}  // namespace proteus::collect
