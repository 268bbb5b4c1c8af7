#include "controller/frame_columns.h"

#include <algorithm>

namespace proteus::controller {
namespace {

void carry_on(Counter& now, const Counter& was) {
  now.last = was.last;
  now.seen = was.seen;
}

template <typename Counters>
void carry_on_all(Counters& now, const Counters& was) {
  for (std::size_t i = 0; i < std::min(now.size(), was.size()); ++i) carry_on(now[i], was[i]);
}

void carry_on(VmColumns::Vcpu& now, const VmColumns::Vcpu& was) {
  carry_on(now.run, was.run);
  carry_on(now.wait, was.wait);
  carry_on_all(now.exits, was.exits);
}

void carry_on(VmColumns::Disk& now, const VmColumns::Disk& was) {
  carry_on_all(now.bytes, was.bytes);
  carry_on_all(now.requests, was.requests);
  carry_on(now.time, was.time);
}

void carry_on(VmColumns::Tap& now, const VmColumns::Tap& was) {
  carry_on_all(now.bytes, was.bytes);
  carry_on(now.packets, was.packets);
  carry_on_all(now.drops, was.drops);
}

template <typename Devices>
void carry_on_by_name(Devices& now, const Devices& was) {
  for (auto& [name, device] : now) {
    const auto found = was.find(name);
    if (found != was.end()) carry_on(device, found->second);
  }
}

/// Counters of a VM go on from the values last seen, wherever their columns are now.
void carry_on(VmColumns& now, const VmColumns& was) {
  for (VmColumns::Vcpu& vcpu : now.vcpus) {
    for (const VmColumns::Vcpu& old : was.vcpus) {
      if (old.name == vcpu.name) carry_on(vcpu, old);
    }
  }
  carry_on_by_name(now.disks, was.disks);
  carry_on_by_name(now.taps, was.taps);
  carry_on_all(now.latency, was.latency);
  carry_on_all(now.exit_latency, was.exit_latency);
  carry_on(now.throttled, was.throttled);
  carry_on(now.memory_stalled, was.memory_stalled);
  now.last_disk_change = was.last_disk_change;
  now.last_storage_tick = was.last_storage_tick;
}

}  // namespace

HostColumns find_columns(const Catalog& catalog, const HostColumns& before, bool same_boot) {
  HostColumns host;
  std::map<std::uint32_t, std::size_t> vm_of_entity;
  const auto& entities = catalog.entities;
  for (std::uint32_t i = 0; i < entities.size(); ++i) {
    if (entities[i].kind != EntityKind::kVm) continue;
    vm_of_entity[i] = host.vms.size();
    VmColumns& vm = host.vms.emplace_back();
    vm.vm = VmId(entities[i].uuid);
    vm.entity = i;
  }
  for (Column column = 0; column < catalog.series.size(); ++column) {
    const Series& series = catalog.series[column];
    const Entity& entity = entities[series.entity];
    if (entity.kind == EntityKind::kHost) {
      if (series.kpi == Kpi::kHostCpuTimeNs) host.cpu_time.column = column;
      if (series.kpi == Kpi::kHostPressureMemoryNs) host.memory_stalled.column = column;
      if (series.kpi == Kpi::kHostCpuCapacityMillicores) host.capacity = column;
      if (series.kpi == Kpi::kHostMemoryTotalBytes) host.memory_total = column;
      if (series.kpi == Kpi::kHostMemoryAvailableBytes) host.memory_available = column;
      continue;
    }
    const std::uint32_t vm_entity = entity.kind == EntityKind::kVm ? series.entity : entity.parent;
    const auto owner = vm_of_entity.find(vm_entity);
    if (owner == vm_of_entity.end()) continue;
    VmColumns& vm = host.vms[owner->second];
    if (entity.kind == EntityKind::kVcpu) {
      auto vcpu = std::find_if(vm.vcpus.begin(), vm.vcpus.end(), [&](const auto& v) { return v.name == entity.name; });
      if (vcpu == vm.vcpus.end()) vcpu = vm.vcpus.insert(vm.vcpus.end(), VmColumns::Vcpu{entity.name, {}, {}, {}});
      if (series.kpi == Kpi::kCpuRunTimeNs) vcpu->run.column = column;
      if (series.kpi == Kpi::kRunQueueWaitNs) vcpu->wait.column = column;
      if (series.kpi == Kpi::kIoExitsCount) vcpu->exits[0].column = column;
      if (series.kpi == Kpi::kMmioExitsCount) vcpu->exits[1].column = column;
    } else if (entity.kind == EntityKind::kDisk) {
      VmColumns::Disk& disk = vm.disks[entity.name];
      if (series.kpi == Kpi::kBlockReadBytes) disk.bytes[0].column = column;
      if (series.kpi == Kpi::kBlockWriteBytes) disk.bytes[1].column = column;
      if (series.kpi == Kpi::kBlockOpsCount) disk.requests[0].column = column;
      if (series.kpi == Kpi::kGuestFlushesCount) disk.requests[1].column = column;
      if (series.kpi == Kpi::kBlockTimeNs) disk.time.column = column;
    } else if (entity.kind == EntityKind::kTap) {
      VmColumns::Tap& tap = vm.taps[entity.name];
      if (series.kpi == Kpi::kNetRxBytes) tap.bytes[0].column = column;
      if (series.kpi == Kpi::kNetTxBytes) tap.bytes[1].column = column;
      if (series.kpi == Kpi::kNetPacketsCount) tap.packets.column = column;
      if (series.kpi == Kpi::kNetRxDropsCount) tap.drops[0].column = column;
      if (series.kpi == Kpi::kNetTxDropsCount) tap.drops[1].column = column;
    } else if (entity.kind == EntityKind::kVm) {
      switch (series.kpi) {
        case Kpi::kRunQueueLatencyNs:
          vm.latency.resize(kHistogramBucketCount);
          vm.latency[series.bucket].column = column;
          break;
        case Kpi::kUserspaceExitLatencyNs:
          vm.exit_latency.resize(kHistogramBucketCount);
          vm.exit_latency[series.bucket].column = column;
          break;
        case Kpi::kMemoryPressureSomeNs: vm.memory_stalled.column = column; break;
        case Kpi::kCpuThrottledTimeNs: vm.throttled.column = column; break;
        case Kpi::kVmState: vm.state = column; break;
        case Kpi::kVmVcpusCount: vm.vcpus_count = column; break;
        case Kpi::kVmVcpusMaxCount: vm.vcpus_max = column; break;
        case Kpi::kVmCpuQuotaUs: vm.quota = column; break;
        case Kpi::kVmCpuPeriodUs: vm.period = column; break;
        case Kpi::kVmCpuShares: vm.shares = column; break;
        case Kpi::kVmMemoryBytes: vm.memory = column; break;
        case Kpi::kVmMemoryMaxBytes: vm.memory_max = column; break;
        case Kpi::kMemoryResidentBytes: vm.resident = column; break;
        case Kpi::kGuestMemoryUsableBytes: vm.usable = column; break;
        case Kpi::kMemoryDirtyBytesPerS: vm.dirty = column; break;
        default: break;
      }
    }
  }
  if (!same_boot) return host;
  carry_on(host.cpu_time, before.cpu_time);
  carry_on(host.memory_stalled, before.memory_stalled);
  for (VmColumns& vm : host.vms) {
    const auto old =
        std::find_if(before.vms.begin(), before.vms.end(), [&](const VmColumns& was) { return was.vm == vm.vm; });
    if (old != before.vms.end()) carry_on(vm, *old);
  }
  return host;
}

}  // namespace proteus::controller
