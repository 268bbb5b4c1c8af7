#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/result.h"

namespace proteus::collect {

/// The host's device behind one of a VM's network interfaces.
struct Tap {
  std::string device;
  bool is_macvtap = false;  ///< a host's NIC's other end: it counts as the guest does, a tap as the host
  bool operator==(const Tap&) const = default;
};

/// What a domain's definition says and no figure does.
struct DomainDescription {
  std::string unmovable;                        ///< why it cannot be live-migrated; empty if it may
  std::map<std::string, std::string> groups;    ///< from metadata, see parse_domain_xml()
  std::vector<Tap> taps;                        ///< of its network interfaces, in order of the definition
  std::vector<std::string> disks;               ///< targets such as vda that hold a medium
  std::chrono::seconds memory_stats_period{0};  ///< at which its balloon driver reports; 0: it does not
  bool operator==(const DomainDescription&) const = default;
};

/// True if a local path lies on storage that other hosts see too.
using IsSharedPath = std::function<bool(const std::string& path)>;

/// Reads libvirt's domain XML.
///
/// Unmovable are: passed-through devices (hostdev, interface of type hostdev without teaming, TPM passthrough, host
/// file systems, host serial and parallel ports), disks in local files or block devices that no other host sees, NVDIMM
/// and ivshmem backed by the host, memory encryption, and a processor that is not migratable (migratable='off',
/// invtsc).
///
/// Groups are what rules speak of ("tier db never with tier db"); the operator writes them into the metadata:
///   <metadata><proteus:groups xmlns:proteus="https://proteus.example/1">
///     <proteus:group name="tier" value="db"/>
///   </proteus:groups></metadata>
/// A single group may stand without the enclosing element (libvirt keeps one element per namespace).
///
/// Errors: kCorrupt. Thread: any.
Result<DomainDescription> parse_domain_xml(const std::string& xml, const IsSharedPath& is_shared);

}  // namespace proteus::collect
