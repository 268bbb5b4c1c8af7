#include "tests/fakes/fake_hypervisor.h"

#include <algorithm>

namespace proteus::fakes {
namespace {

constexpr std::int64_t kDowntimeMs = 42;

class FakeMigration final : public act::Migration {
 public:
  explicit FakeMigration(std::shared_ptr<std::optional<Status>> outcome) : outcome_(std::move(outcome)) {}
  std::optional<Status> outcome() override { return *outcome_; }

 private:
  std::shared_ptr<std::optional<Status>> outcome_;
};

}  // namespace

void FakeHypervisor::connect(FakeHypervisor& other) {
  others_[other.uri_] = &other;
}

void FakeHypervisor::define(const VmId& vm, Domain domain) {
  const std::lock_guard lock(mutex_);
  domains_[vm] = std::move(domain);
}

FakeHypervisor::Domain FakeHypervisor::running_domain(std::string name, std::int32_t vcpus, std::int64_t memory_bytes) {
  Domain domain;
  domain.description = {std::move(name), true, true, 2 * vcpus, memory_bytes};
  domain.seen = {true, true, vcpus, -1, 100000, 1024, memory_bytes};
  domain.balloon_target_bytes = memory_bytes;
  return domain;
}

void FakeHypervisor::destroy(const VmId& vm) {
  const std::lock_guard lock(mutex_);
  domains_.erase(vm);
  if (moving_.contains(vm)) end(vm, Error{ErrorCode::kInternal, "domain is no longer running"});
}

bool FakeHypervisor::active(const VmId& vm) const {
  const std::lock_guard lock(mutex_);
  const auto found = domains_.find(vm);
  return found != domains_.end() && found->second.seen.defined_active;
}

void FakeHypervisor::set_trouble(std::optional<Error> trouble) {
  const std::lock_guard lock(mutex_);
  trouble_ = std::move(trouble);
}

void FakeHypervisor::set_hangs(bool hangs) {
  const std::lock_guard lock(hang_mutex_);
  hangs_ = hangs;
  hang_ended_.notify_all();
}

int FakeHypervisor::hung_count() const {
  const std::lock_guard lock(hang_mutex_);
  return hung_count_;
}

void FakeHypervisor::wait_while_it_hangs() {
  std::unique_lock lock(hang_mutex_);
  ++hung_count_;
  hang_ended_.wait(lock, [this] { return !hangs_; });
  --hung_count_;
}

void FakeHypervisor::set_migration_step_bytes(std::int64_t bytes) {
  const std::lock_guard lock(mutex_);
  migration_step_bytes_ = bytes;
}

std::optional<FakeHypervisor::Domain> FakeHypervisor::find(const VmId& vm) const {
  const std::lock_guard lock(mutex_);
  const auto found = domains_.find(vm);
  return found == domains_.end() ? std::nullopt : std::optional<Domain>(found->second);
}

int FakeHypervisor::orders_count() const {
  const std::lock_guard lock(mutex_);
  return orders_count_;
}

Result<FakeHypervisor::Domain*> FakeHypervisor::running(const VmId& vm) {
  if (trouble_) return *trouble_;
  const auto found = domains_.find(vm);
  if (found == domains_.end()) return Error{ErrorCode::kNotFound, "no such domain"};
  if (!found->second.seen.defined_active) return Error{ErrorCode::kFailedPrecondition, "domain is not running"};
  ++orders_count_;
  return &found->second;
}

Result<act::DomainDescription> FakeHypervisor::describe(const VmId& vm) {
  wait_while_it_hangs();
  const std::lock_guard lock(mutex_);
  if (trouble_) return *trouble_;
  const auto found = domains_.find(vm);
  if (found == domains_.end()) return Error{ErrorCode::kNotFound, "no such domain"};
  return found->second.description;
}

Result<DomainObservation> FakeHypervisor::inspect(const VmId& vm) {
  wait_while_it_hangs();
  const std::lock_guard lock(mutex_);
  if (trouble_) return *trouble_;
  const auto found = domains_.find(vm);
  if (found == domains_.end() || !found->second.seen.defined_active) return DomainObservation{};
  Domain& domain = found->second;
  const std::int64_t target = std::max(domain.balloon_target_bytes, domain.balloon_floor_bytes);
  const std::int64_t way = target - domain.seen.memory_bytes;
  domain.seen.memory_bytes += std::clamp(way, -domain.balloon_step_bytes, domain.balloon_step_bytes);
  return domain.seen;
}

Status FakeHypervisor::set_cpu_quota(const VmId& vm, const SetCpuQuota& quota) {
  const std::lock_guard lock(mutex_);
  const auto domain = running(vm);
  if (!domain) return domain.error();
  (*domain)->seen.cpu_quota_us = quota.quota_us;
  (*domain)->seen.cpu_period_us = quota.period_us;
  return {};
}

Status FakeHypervisor::set_cpu_shares(const VmId& vm, const SetCpuShares& shares) {
  const std::lock_guard lock(mutex_);
  const auto domain = running(vm);
  if (!domain) return domain.error();
  (*domain)->seen.cpu_shares = shares.shares;
  return {};
}

Status FakeHypervisor::set_vcpus(const VmId& vm, const SetVcpus& vcpus) {
  const std::lock_guard lock(mutex_);
  const auto domain = running(vm);
  if (!domain) return domain.error();
  (*domain)->seen.vcpus = std::max(vcpus.count, (*domain)->vcpus_kept);
  return {};
}

Status FakeHypervisor::set_memory(const VmId& vm, const SetMemory& memory) {
  const std::lock_guard lock(mutex_);
  const auto domain = running(vm);
  if (!domain) return domain.error();
  (*domain)->balloon_target_bytes = memory.bytes;
  return {};
}

Result<std::unique_ptr<act::Migration>> FakeHypervisor::start_migration(const VmId& vm, const Migrate& order) {
  const std::lock_guard lock(mutex_);
  const auto domain = running(vm);
  if (!domain) return domain.error();
  if (moving_.contains(vm)) return Error{ErrorCode::kUnavailable, "another job is active"};
  auto outcome = std::make_shared<std::optional<Status>>();
  const auto target = others_.find(order.target_libvirt_uri);
  if ((*domain)->refuses_migration) {
    *outcome = *(*domain)->refuses_migration;
  } else if (target == others_.end()) {
    *outcome = Error{ErrorCode::kUnavailable, "cannot connect to " + order.target_libvirt_uri};
  } else {
    const std::int64_t bytes = (*domain)->seen.memory_bytes;
    moving_[vm] = {target->second, {0, bytes, bytes, 0, 0}, outcome};
  }
  return std::unique_ptr<act::Migration>(std::make_unique<FakeMigration>(std::move(outcome)));
}

Result<std::optional<MigrationProgress>> FakeHypervisor::migration_progress(const VmId& vm) {
  const std::lock_guard lock(mutex_);
  if (trouble_) return *trouble_;
  const auto found = moving_.find(vm);
  if (found == moving_.end()) return std::optional<MigrationProgress>{};
  MigrationProgress& progress = found->second.progress;
  const std::int64_t step = std::min(progress.bytes_remaining, migration_step_bytes_);
  progress.bytes_processed += step;
  progress.bytes_remaining -= step;
  const MigrationProgress now = progress;
  if (now.bytes_remaining == 0) {
    FakeHypervisor* target = found->second.target;
    target->define(vm, domains_.at(vm));
    domains_.erase(vm);
    end(vm, {});
  }
  return std::optional<MigrationProgress>{now};
}

void FakeHypervisor::end(const VmId& vm, Status outcome) {
  const auto found = moving_.find(vm);
  *found->second.outcome = std::move(outcome);
  moving_.erase(found);
}

Status FakeHypervisor::abort_migration(const VmId& vm) {
  const std::lock_guard lock(mutex_);
  if (trouble_) return *trouble_;
  if (!moving_.contains(vm)) return Error{ErrorCode::kFailedPrecondition, "no job is active"};
  end(vm, Error{ErrorCode::kDeadlineExceeded, "operation aborted"});
  return {};
}

Result<std::optional<MigrationProgress>> FakeHypervisor::completed_migration(const std::string& target_libvirt_uri,
                                                                             const VmId& vm) {
  const std::lock_guard lock(mutex_);
  const auto target = others_.find(target_libvirt_uri);
  if (target == others_.end()) return Error{ErrorCode::kUnavailable, "cannot connect to " + target_libvirt_uri};
  const auto domain = target->second->find(vm);
  if (!domain) return Error{ErrorCode::kNotFound, "no such domain"};
  const std::int64_t bytes = domain->seen.memory_bytes;
  return std::optional<MigrationProgress>{MigrationProgress{bytes, 0, bytes, 0, kDowntimeMs}};
}

Result<DomainObservation> FakeHypervisor::inspect_at(const std::string& libvirt_uri, const VmId& vm) {
  const std::lock_guard lock(mutex_);
  const auto other = others_.find(libvirt_uri);
  if (other == others_.end()) return Error{ErrorCode::kUnavailable, "cannot connect to " + libvirt_uri};
  return other->second->inspect(vm);
}

}  // namespace proteus::fakes
