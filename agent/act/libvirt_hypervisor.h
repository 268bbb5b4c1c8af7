#pragma once

#include <memory>
#include <string>

#include "agent/act/hypervisor.h"

namespace proteus::act {

/// Hypervisor over one libvirt daemon. The only file of this room that includes libvirt; a virError becomes ours here.
///
/// All calls share one connection, opened when first needed and again after it broke; each migration has its own, so
/// that its call, which lasts as long as the migration, takes none of the daemon's few request slots from the others.
/// All changes are live only: what a domain is defined with stays what its owner wrote, and a restart of the guest is
/// the last undo.
/// Thread: any (libvirt serialises per domain; the shared connection is guarded here).
class LibvirtHypervisor final : public Hypervisor {
 public:
  /// uri: e.g. qemu:///system. Does not connect yet.
  explicit LibvirtHypervisor(std::string uri);
  ~LibvirtHypervisor() override;

  Result<DomainDescription> describe(const VmId& vm) override;
  Result<DomainObservation> inspect(const VmId& vm) override;
  Status set_cpu_quota(const VmId& vm, const SetCpuQuota& quota) override;
  Status set_cpu_shares(const VmId& vm, const SetCpuShares& shares) override;
  Status set_vcpus(const VmId& vm, const SetVcpus& vcpus) override;
  Status set_memory(const VmId& vm, const SetMemory& memory) override;
  Result<std::unique_ptr<Migration>> start_migration(const VmId& vm, const Migrate& order) override;
  Result<std::optional<MigrationProgress>> migration_progress(const VmId& vm) override;
  Status abort_migration(const VmId& vm) override;
  Result<std::optional<MigrationProgress>> completed_migration(const std::string& target_libvirt_uri,
                                                               const VmId& vm) override;
  Result<DomainObservation> inspect_at(const std::string& libvirt_uri, const VmId& vm) override;

 private:
  class Connection;
  const std::string uri_;
  const std::unique_ptr<Connection> connection_;
};

}  // namespace proteus::act
