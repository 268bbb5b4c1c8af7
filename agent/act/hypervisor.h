#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "common/command.h"
#include "common/ids.h"
#include "common/result.h"

namespace proteus::act {

/// What the local limits must know of a domain.
struct DomainDescription {
  std::string name;  ///< libvirt's
  bool active = false;
  bool persistent = false;
  std::int32_t vcpus_max = 0;
  std::int64_t memory_bytes_max = 0;
};

/// A live migration that was asked for and goes on by itself. Destroying it does not stop the migration: the hypervisor
/// carries it on, and Hypervisor::migration_progress() shows it to whoever looks next.
class Migration {
 public:
  virtual ~Migration() = default;
  /// nullopt while it goes on; then success (the domain has left this host), or why it did not leave. Does not wait.
  /// Errors: kFailedPrecondition, kUnsupported (the hypervisor refused before moving anything), kNotFound (no such
  /// domain), kUnavailable (target or link), kDeadlineExceeded (aborted), kInternal.
  virtual std::optional<Status> outcome() = 0;
};

/// The few things that Proteus does to domains on one host. Each set_* returns when the hypervisor has taken the order;
/// whether the domain followed is read back with inspect().
/// Errors, of every method: kNotFound (no such domain here), kFailedPrecondition (not active, busy with a job),
/// kInvalidArgument, kUnsupported, kUnavailable (the hypervisor does not answer), kInternal.
/// Thread: any; each method may block for as long as the hypervisor takes.
class Hypervisor {
 public:
  virtual ~Hypervisor() = default;

  virtual Result<DomainDescription> describe(const VmId& vm) = 0;
  /// A domain that is not here is a value (defined_active = false), not an error.
  virtual Result<DomainObservation> inspect(const VmId& vm) = 0;

  virtual Status set_cpu_quota(const VmId& vm, const SetCpuQuota& quota) = 0;
  virtual Status set_cpu_shares(const VmId& vm, const SetCpuShares& shares) = 0;
  /// Unplugging needs the guest's consent, which the hypervisor awaits for some seconds.
  virtual Status set_vcpus(const VmId& vm, const SetVcpus& vcpus) = 0;
  /// Sets the balloon's target; the guest moves towards it in its own time.
  virtual Status set_memory(const VmId& vm, const SetMemory& memory) = 0;

  /// Starts a peer-to-peer live migration, after which the domain is defined on exactly one host. Never uses a flag
  /// that waives the hypervisor's safety checks.
  virtual Result<std::unique_ptr<Migration>> start_migration(const VmId& vm, const Migrate& order) = 0;
  /// Of the outgoing migration that goes on now, whoever started it; nullopt if there is none.
  virtual Result<std::optional<MigrationProgress>> migration_progress(const VmId& vm) = 0;
  /// Asks the outgoing migration to stop; it has stopped when migration_progress() is nullopt.
  virtual Status abort_migration(const VmId& vm) = 0;
  /// Figures of the completed migration, as the target keeps them, downtime measured. nullopt if the target has none.
  virtual Result<std::optional<MigrationProgress>> completed_migration(const std::string& target_libvirt_uri,
                                                                       const VmId& vm) = 0;
  /// inspect() on another host, asked directly.
  virtual Result<DomainObservation> inspect_at(const std::string& libvirt_uri, const VmId& vm) = 0;
};

}  // namespace proteus::act
