#pragma once

#include <map>
#include <string>

#include "agent/collect/collector.h"
#include "agent/collect/host_devices.h"
#include "agent/collect/host_files.h"
#include "agent/collect/probe.h"
#include "agent/collect/thread_reader.h"
#include "common/kpi.h"

namespace proteus::collect {

/// What decides over the KPIs of a lane, probed once.
struct Findings {
  ThreadLane thread_lane = ThreadLane::kProcfs;
  std::string thread_reason;
  Probe iterator;
  Probe trace;
  Probe kvm;
  std::map<Kpi, std::string> kvm_missing;  ///< see missing_kvm_figures()
  Probe pressure;
  Probe group_pressure;
  Probe vhost;
  Probe block;
  Probe reclaim;
  Probe hardware;
  Probe resctrl;
  Probe damon;
  Probe ksm_merged;
  Probe waits;
  Probe exits;
  Probe softirq;
  Probe drops;
  Probe hook_statistics;
  Probe libvirt;
  std::string hypervisor;
  std::map<std::string, std::string> libvirt_capabilities;
  Probe guests;  ///< which accelerators run here
  HostFigures host;
  HostFiles host_files;
  HostDevices host_devices;
};

/// Tries what an agent with these options would use, loading and unloading its kernel programs. Changes nothing.
/// Takes up to a few seconds. Thread: any; blocks on libvirt.
Findings probe_all(const CollectorOptions& options);

}  // namespace proteus::collect
