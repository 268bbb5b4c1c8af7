#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/kpi.h"
#include "common/units.h"

namespace proteus {

constexpr std::uint32_t kNoParent = 0xffffffff;

/// Something that is measured. Labels are what a controller must know of it and no figure can say.
///
/// host:    name = host id; labels: machine (uname -m), kernel, hypervisor (e.g. "QEMU 7.2.17"), libvirt, cpu_model,
///          migrate_uri (how others reach it, e.g. "tcp://10.99.0.1"), libvirt_uri (p2p destination, e.g.
///          "qemu+tcp://h1/system"), capability.<name> = "yes" or "no: reason", for each of: poll, trace, psi,
///          cpu_quota, vcpu_hotplug, balloon, migrate, dirty_rate
/// vm:      name = libvirt name, uuid; labels: unmovable = reason (absent if it may move), group.* from the domain's
/// metadata
/// vcpu:    name = vCPU number, parent = VM
/// vm_pair: parent = VM that was preempted, name = uuid of the VM that took the CPU ("host" for any other thread)
/// tap:     name = device, parent = VM;  disk: name = target (vda), parent = VM
/// vm_disk: name = block device of the host (sda), parent = VM;  vm_exit: name = reason, parent = VM
/// hook:    name = BPF program, parent = host
/// cpu, node, package, host_disk: name = number or device, parent = host;  drop_reason: name = reason, parent = host
struct Entity {
  EntityKind kind = EntityKind::kHost;
  std::uint32_t parent = kNoParent;  ///< index in Catalog::entities
  std::string name;
  std::string uuid;  ///< of a VM; else empty
  std::map<std::string, std::string> labels;
  bool operator==(const Entity&) const = default;
};

struct Series {
  std::uint32_t entity = 0;  ///< index in Catalog::entities
  Kpi kpi{};
  std::uint8_t bucket = 0;  ///< of a histogram; else 0
  bool operator==(const Series&) const = default;
};

/// Names the columns of the frames that carry its version. entities[0] is the host itself.
struct Catalog {
  HostId host;
  std::uint64_t boot_id = 0;  ///< random, new at each start of the agent
  std::uint32_t version = 0;  ///< grows by one with each change within a boot_id
  std::vector<Entity> entities;
  std::vector<Series> series;
};

/// One tick of one host. Invariant: present.size() == values.size() == catalog.series.size().
struct Frame {
  std::uint64_t boot_id = 0;
  std::uint32_t catalog_version = 0;
  std::uint64_t sequence = 0;         ///< 1, 2, 3 … within a boot_id
  Timestamp time;                     ///< wall clock of the host when the tick began
  std::vector<std::uint8_t> present;  ///< 1 if measured
  std::vector<std::int64_t> values;   ///< base unit of the KPI; 0 where absent
  bool operator==(const Frame&) const = default;
};

/// A frame with the catalog that explains it; how telemetry moves inside both processes.
struct Sample {
  std::shared_ptr<const Catalog> catalog;
  Frame frame;
};

}  // namespace proteus
