#pragma once

#include <libvirt/libvirt.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
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

struct FreeRecords {
  void operator()(virDomainStatsRecordPtr* records) const { virDomainStatsRecordListFree(records); }
};
using Records = std::unique_ptr<virDomainStatsRecordPtr, FreeRecords>;

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
/// The same with their states, by one call that asks no QEMU. Each call for a domain writes its UUID down for the log
/// first, whatever is logged, so that few are made. Errors: libvirt's.
class DomainList {
 public:
  struct Row {
    virDomain* domain;  ///< the list's
    VmId id;
    std::optional<std::int64_t> state;  ///< virDomainState
  };
  static Result<DomainList> read(virConnect* connection);
  const std::vector<Row>& rows() const { return rows_; }

 private:
  Records records_;
  std::vector<Domain> domains_;  ///< of a driver that tells no statistics
  std::vector<Row> rows_;
};
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
/// What else than its XML a description depends on: what is mounted on this host. (And symbolic links to disks: one
/// that is turned under a VM that runs is seen with the domain's next event.)
std::uint64_t definition_seed();
/// The domain's XML into facts.description, unless it is the one of which `hash` was told, with the same seed; then its
/// hash.
Status read_description(virDomain* domain, std::uint64_t seed, std::uint64_t& hash, VmFacts& facts);

VmId domain_id(virDomain* domain);

}  // namespace proteus::collect
