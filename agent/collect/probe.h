#pragma once

#include <string>

#include "common/kpi.h"

namespace proteus::collect {

/// Whether a host can do something, and how or why not, in words for people.
struct Probe {
  bool available = false;
  std::string reason;
  /// "yes", or "no: " and the reason: the form of capability labels.
  std::string label() const { return available ? "yes" : "no: " + reason; }
};

// Each looks below `root`, changes nothing and never blocks for long. Thread: any.

Probe probe_psi(const std::string& root);
/// CPU bandwidth control of control groups, which vcpu_quota needs.
Probe probe_cpu_quota(const std::string& root);
/// Pressure files of single groups, which only the v2 tree has.
Probe probe_group_pressure(const std::string& root);
/// memory.stat of single groups, v1 or v2.
/// by_program: it is read by a kernel program, not from procfs.
Probe probe_ksm_merged(const std::string& root, bool by_program);
/// kpi: one that the memory controller tells of a group.
Probe probe_memory_groups(const std::string& root, Kpi kpi);
/// Whether procfs tells of a thread how long it ran to the nanosecond, how long it waited, and how often.
Probe probe_waits(const std::string& root);
Probe probe_cgroup_version(const std::string& root);
Probe probe_btf(const std::string& root);
Probe probe_kvm_device(const std::string& root);
Probe probe_hardware_kvm(const std::string& root);
Probe probe_vhost(const std::string& root);
Probe probe_kprobes(const std::string& root);
Probe probe_post_copy(const std::string& root);
/// Traffic control kinds that libvirt's interface bandwidth needs: sch_htb, sch_sfq, act_police (for inbound limits).
Probe probe_network_bandwidth(const std::string& root);

}  // namespace proteus::collect
