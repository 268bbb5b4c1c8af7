#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/telemetry.h"

namespace proteus::fakes {

/// One VM as a fake host reports it; counters are absolute, as a kernel's are.
struct FakeVm {
  std::string uuid;
  std::string name;
  std::int64_t state = 1;  // running
  std::int64_t run_ns = 0;
  std::int64_t wait_ns = 0;
  std::int64_t throttled_ns = 0;  ///< part of the wait: for the VM's own quota
  std::int64_t vcpus = 1;
  std::int64_t vcpus_max = 2;
  std::int64_t quota_us = -1;
  std::int64_t memory_bytes = 512 * kMiB;
  std::int64_t usable_bytes = 256 * kMiB;
  std::map<std::string, std::string> labels;
  // Of a disk, which it has once it has made a request.
  std::int64_t disk_bytes = 0;
  std::int64_t disk_requests = 0;
  std::int64_t disk_time_ns = 0;
  // Likewise of a tap.
  std::int64_t net_bytes = 0;
  std::int64_t net_packets = 0;
  std::int64_t net_drops = 0;
};

/// A small host that reports what it is told, tick by tick.
class FakeHost {
 public:
  FakeHost(std::string name, double cores, std::int64_t memory_bytes)
      : name_(std::move(name)), cores_(cores), memory_bytes_(memory_bytes) {}

  std::vector<FakeVm> vms;
  std::int64_t cpu_time_ns = 0;
  std::uint64_t boot_id = 7;
  std::map<std::string, std::string> labels;  ///< of the host, beside those that every one has

  /// A frame of what stands now. A changed set of VMs gives a new catalog.
  Sample sample(Timestamp now) {
    std::vector<std::string> key;
    for (const auto& [label, value] : labels) key.push_back(label + "=" + value);
    for (const FakeVm& vm : vms) {
      key.push_back(vm.uuid);
      if (vm.disk_requests > 0) key.push_back("disk");
      if (vm.net_packets > 0) key.push_back("tap");
      for (const auto& [label, value] : vm.labels) key.push_back(label + "=" + value);
    }
    if (catalog_ == nullptr || key != key_ || catalog_->boot_id != boot_id) {
      key_ = key;
      catalog_ = make_catalog();
    }
    Frame frame;
    frame.boot_id = boot_id;
    frame.catalog_version = catalog_->version;
    frame.sequence = ++sequence_;
    frame.time = now;
    frame.values = {cpu_time_ns, static_cast<std::int64_t>(cores_ * 1000), memory_bytes_, memory_bytes_ / 2};
    for (const FakeVm& vm : vms) {
      for (const std::int64_t value :
           {vm.state, vm.vcpus, vm.vcpus_max, vm.quota_us, std::int64_t{100000}, vm.memory_bytes, 2 * vm.memory_bytes,
            vm.usable_bytes, vm.throttled_ns, vm.run_ns, vm.wait_ns}) {
        frame.values.push_back(value);
      }
      if (vm.disk_requests > 0) {
        for (const std::int64_t value : {vm.disk_bytes, vm.disk_requests, vm.disk_time_ns})
          frame.values.push_back(value);
      }
      if (vm.net_packets > 0) {
        for (const std::int64_t value : {vm.net_bytes, vm.net_packets, vm.net_drops}) frame.values.push_back(value);
      }
    }
    frame.present.assign(frame.values.size(), 1);
    return {catalog_, std::move(frame)};
  }

  /// Lets `seconds` pass: each VM runs and waits for the given cores.
  void pass(double seconds, const std::vector<std::pair<double, double>>& run_and_wait) {
    for (std::size_t i = 0; i < vms.size(); ++i) {
      vms[i].run_ns += static_cast<std::int64_t>(run_and_wait[i].first * seconds * 1e9);
      vms[i].wait_ns += static_cast<std::int64_t>(run_and_wait[i].second * seconds * 1e9);
      cpu_time_ns += static_cast<std::int64_t>(run_and_wait[i].first * seconds * 1e9);
    }
  }

 private:
  std::shared_ptr<const Catalog> make_catalog() {
    auto catalog = std::make_shared<Catalog>();
    catalog->host = HostId(name_);
    catalog->boot_id = boot_id;
    catalog->version = ++version_;
    Entity host;
    host.name = name_;
    host.labels = {{"libvirt_uri", "qemu+tcp://" + name_ + "/system"},
                   {"migrate_uri", "tcp://" + name_},
                   {"capability.migrate", "yes"},
                   {"capability.cpu_quota", "yes"},
                   {"capability.vcpu_hotplug", "yes"},
                   {"capability.balloon", "yes"}};
    host.labels.insert(labels.begin(), labels.end());
    catalog->entities.push_back(host);
    for (const Kpi kpi : {Kpi::kHostCpuTimeNs, Kpi::kHostCpuCapacityMillicores, Kpi::kHostMemoryTotalBytes,
                          Kpi::kHostMemoryAvailableBytes}) {
      catalog->series.push_back({0, kpi, 0});
    }
    for (const FakeVm& vm : vms) {
      const auto index = static_cast<std::uint32_t>(catalog->entities.size());
      Entity entity;
      entity.kind = EntityKind::kVm;
      entity.name = vm.name;
      entity.uuid = vm.uuid;
      entity.labels = vm.labels;
      catalog->entities.push_back(entity);
      Entity vcpu;
      vcpu.kind = EntityKind::kVcpu;
      vcpu.parent = index;
      vcpu.name = "0";
      catalog->entities.push_back(vcpu);
      for (const Kpi kpi :
           {Kpi::kVmState, Kpi::kVmVcpusCount, Kpi::kVmVcpusMaxCount, Kpi::kVmCpuQuotaUs, Kpi::kVmCpuPeriodUs,
            Kpi::kVmMemoryBytes, Kpi::kVmMemoryMaxBytes, Kpi::kGuestMemoryUsableBytes, Kpi::kCpuThrottledTimeNs}) {
        catalog->series.push_back({index, kpi, 0});
      }
      catalog->series.push_back({index + 1, Kpi::kCpuRunTimeNs, 0});
      catalog->series.push_back({index + 1, Kpi::kRunQueueWaitNs, 0});
      if (vm.disk_requests > 0) {
        add_device(*catalog, index, EntityKind::kDisk, "vda",
                   {Kpi::kBlockReadBytes, Kpi::kBlockOpsCount, Kpi::kBlockTimeNs});
      }
      if (vm.net_packets > 0) {
        add_device(*catalog, index, EntityKind::kTap, "vnet0",
                   {Kpi::kNetRxBytes, Kpi::kNetPacketsCount, Kpi::kNetRxDropsCount});
      }
    }
    return catalog;
  }

  static void add_device(Catalog& catalog, std::uint32_t vm, EntityKind kind, const char* name,
                         const std::vector<Kpi>& kpis) {
    Entity device;
    device.kind = kind;
    device.parent = vm;
    device.name = name;
    catalog.entities.push_back(device);
    const auto index = static_cast<std::uint32_t>(catalog.entities.size() - 1);
    for (const Kpi kpi : kpis) catalog.series.push_back({index, kpi, 0});
  }

  std::string name_;
  double cores_;
  std::int64_t memory_bytes_;
  std::shared_ptr<const Catalog> catalog_;
  std::vector<std::string> key_;
  std::uint32_t version_ = 0;
  std::uint64_t sequence_ = 0;
};

}  // namespace proteus::fakes
