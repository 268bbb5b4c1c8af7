#pragma once

#include <libvirt/libvirt.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/collect/domain_statistics.h"
#include "agent/collect/inventory.h"
#include "common/result.h"

namespace proteus::collect {

struct CloseConnection {
  void operator()(virConnect* connection) const { virConnectClose(connection); }
};
using Connection = std::unique_ptr<virConnect, CloseConnection>;

struct FreeDomain {
  void operator()(virDomain* domain) const { virDomainFree(domain); }
};
using Domain = std::unique_ptr<virDomain, FreeDomain>;

/// On both clocks, as QEMU tells times by either.
struct Moment {
  std::chrono::steady_clock::time_point steady;
  std::chrono::system_clock::time_point wall;
};

/// libvirt's last error on this thread as ours.
Error libvirt_error(const std::string& what);

/// Opens a connection (read-only if the user may no more). Blocks.
Result<Connection> connect(const std::string& uri);

/// "QEMU 7.2.17" and the daemon's version.
std::string hypervisor_version(virConnect* connection);
std::string daemon_version(virConnect* connection);
/// cpu_quota, vcpu_hotplug, balloon, migrate, dirty_rate: "yes" or "no: reason".
std::map<std::string, std::string> libvirt_capabilities(virConnect* connection);

/// Running, paused and incoming domains.
Result<std::vector<Domain>> active_domains(virConnect* connection);
/// States of the given domains, into their facts, by one call that asks no QEMU.
Status read_states(const std::vector<Domain>& domains, std::map<VmId, VmFacts>& vms);
/// One record of bulk statistics, which were asked for at that moment.
DomainStatistics statistics_of(const virDomainStatsRecord& record, const Moment& asked_at);
/// Statistics (state, balloon, block, dirty rate) of the given domains by one bulk call, or if that fails by one for
/// each. Busy domains answer with what costs no waiting.
Result<std::map<VmId, DomainStatistics>> read_statistics(const std::vector<Domain>& domains);
/// Answers so, on a connection of its own. A dirty rate is measured for a second; the next answer has it.
std::unique_ptr<StatisticsSource> libvirt_statistics(const std::string& uri);
/// vCPUs, scheduler parameters; none of these calls asks the guest's monitor.
void read_shape(virDomain* domain, VmFacts& facts);
/// The domain's XML into facts.description.
Status read_description(virDomain* domain, VmFacts& facts);

VmId domain_id(virDomain* domain);

}  // namespace proteus::collect
