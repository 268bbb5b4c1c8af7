#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "agent/act/hypervisor.h"

namespace proteus::fakes {

/// A small hypervisor without guests. It keeps what it is told, moves balloons a step per look, and migrates domains to
/// other FakeHypervisors a step per look at their progress, also when nobody holds the Migration any more.
/// Thread: any.
class FakeHypervisor final : public act::Hypervisor {
 public:
  struct Domain {
    act::DomainDescription description;
    DomainObservation seen;
    std::int32_t vcpus_kept = 0;             ///< the guest gives no vCPU up below this
    std::int64_t balloon_step_bytes = kGiB;  ///< towards the target, per inspect()
    std::int64_t balloon_floor_bytes = 0;    ///< the guest gives no memory up below this
    std::int64_t balloon_target_bytes = 0;
    std::optional<Error> refuses_migration;
  };

  explicit FakeHypervisor(std::string uri) : uri_(std::move(uri)) {}
  /// Makes `other` reachable as a target.
  void connect(FakeHypervisor& other);

  void define(const VmId& vm, Domain domain);
  static Domain running_domain(std::string name, std::int32_t vcpus, std::int64_t memory_bytes);
  void destroy(const VmId& vm);
  bool active(const VmId& vm) const;
  /// Every call fails with this until it is cleared.
  void set_trouble(std::optional<Error> trouble);
  /// Looks at domains are answered no more until it ends.
  void set_hangs(bool hangs);
  /// Looks that wait for that.
  int hung_count() const;
  void set_migration_step_bytes(std::int64_t bytes);
  std::optional<Domain> find(const VmId& vm) const;
  int orders_count() const;

  Result<act::DomainDescription> describe(const VmId& vm) override;
  Result<DomainObservation> inspect(const VmId& vm) override;
  Status set_cpu_quota(const VmId& vm, const SetCpuQuota& quota) override;
  Status set_cpu_shares(const VmId& vm, const SetCpuShares& shares) override;
  Status set_vcpus(const VmId& vm, const SetVcpus& vcpus) override;
  Status set_memory(const VmId& vm, const SetMemory& memory) override;
  Result<std::unique_ptr<act::Migration>> start_migration(const VmId& vm, const Migrate& order) override;
  Result<std::optional<MigrationProgress>> migration_progress(const VmId& vm) override;
  Status abort_migration(const VmId& vm) override;
  Result<std::optional<MigrationProgress>> completed_migration(const std::string& target_libvirt_uri,
                                                               const VmId& vm) override;
  Result<DomainObservation> inspect_at(const std::string& libvirt_uri, const VmId& vm) override;

 private:
  struct Moving {
    FakeHypervisor* target;
    MigrationProgress progress;
    std::shared_ptr<std::optional<Status>> outcome;  // shared with the Migration that asked for it
  };
  Result<Domain*> running(const VmId& vm);
  void end(const VmId& vm, Status outcome);
  void wait_while_it_hangs();

  const std::string uri_;
  mutable std::recursive_mutex mutex_;  // guards all below
  std::map<VmId, Domain> domains_;
  std::map<VmId, Moving> moving_;
  std::map<std::string, FakeHypervisor*> others_;
  std::optional<Error> trouble_;
  std::int64_t migration_step_bytes_ = 100 * kMiB;
  int orders_count_ = 0;

  mutable std::mutex hang_mutex_;  // guards what follows
  std::condition_variable hang_ended_;
  bool hangs_ = false;
  int hung_count_ = 0;
};

}  // namespace proteus::fakes
