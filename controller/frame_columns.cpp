#include "controller/frame_columns.h"

#include <algorithm>

namespace proteus::controller {

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
  for (std::size_t column = 0; column < catalog.series.size(); ++column) {
    const Series& series = catalog.series[column];
    const Entity& entity = entities[series.entity];
    if (entity.kind == EntityKind::kHost) {
      if (series.kpi == Kpi::kHostCpuTimeNs) host.cpu_time.column = column;
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
      if (vcpu == vm.vcpus.end()) vcpu = vm.vcpus.insert(vm.vcpus.end(), VmColumns::Vcpu{entity.name, {}, {}});
      if (series.kpi == Kpi::kCpuRunTimeNs) vcpu->run.column = column;
      if (series.kpi == Kpi::kRunQueueWaitNs) vcpu->wait.column = column;
    } else if (entity.kind == EntityKind::kDisk) {
      if (series.kpi == Kpi::kBlockReadBytes) vm.disks[entity.name][0].column = column;
      if (series.kpi == Kpi::kBlockWriteBytes) vm.disks[entity.name][1].column = column;
    } else if (entity.kind == EntityKind::kTap) {
      if (series.kpi == Kpi::kNetRxBytes) vm.taps[entity.name][0].column = column;
      if (series.kpi == Kpi::kNetTxBytes) vm.taps[entity.name][1].column = column;
    } else if (entity.kind == EntityKind::kVm) {
      switch (series.kpi) {
        case Kpi::kRunQueueLatencyNs:
          vm.latency.resize(kHistogramBucketCount);
          vm.latency[series.bucket].column = column;
          break;
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
  host.cpu_time.last = before.cpu_time.last;
  for (VmColumns& vm : host.vms) {
    const auto old =
        std::find_if(before.vms.begin(), before.vms.end(), [&](const VmColumns& was) { return was.vm == vm.vm; });
    if (old == before.vms.end()) continue;
    for (auto& vcpu : vm.vcpus) {
      for (const auto& was : old->vcpus) {
        if (was.name != vcpu.name) continue;
        vcpu.run.last = was.run.last;
        vcpu.wait.last = was.wait.last;
      }
    }
    const auto carry = [](auto& now, const auto& was) {
      for (auto& [name, counters] : now) {
        const auto found = was.find(name);
        if (found == was.end()) continue;
        for (std::size_t i = 0; i < counters.size(); ++i) counters[i].last = found->second[i].last;
      }
    };
    carry(vm.disks, old->disks);
    carry(vm.taps, old->taps);
    for (std::size_t b = 0; b < std::min(vm.latency.size(), old->latency.size()); ++b)
      vm.latency[b].last = old->latency[b].last;
    vm.throttled.last = old->throttled.last;
    vm.last_disk_change = old->last_disk_change;
  }
  return host;
}

}  // namespace proteus::controller
