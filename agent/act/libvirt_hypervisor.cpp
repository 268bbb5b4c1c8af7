#include "agent/act/libvirt_hypervisor.h"

#include <fmt/core.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <algorithm>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace proteus::act {
namespace {

/// What libvirt reads and writes as "no quota" where the control group says "max".
constexpr std::int64_t kQuotaUnlimitedUs = 17592186044415;

template <auto Free>
struct Release {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using ConnectHandle = std::unique_ptr<std::remove_pointer_t<virConnectPtr>, Release<virConnectClose>>;
using DomainHandle = std::unique_ptr<std::remove_pointer_t<virDomainPtr>, Release<virDomainFree>>;

ErrorCode code_of(int virt_code) {
  switch (virt_code) {
    case VIR_ERR_NO_DOMAIN: return ErrorCode::kNotFound;
    case VIR_ERR_OPERATION_INVALID:
    case VIR_ERR_OPERATION_DENIED:
    case VIR_ERR_MIGRATE_UNSAFE: return ErrorCode::kFailedPrecondition;
    case VIR_ERR_INVALID_ARG:
    case VIR_ERR_OVERFLOW: return ErrorCode::kInvalidArgument;
    case VIR_ERR_NO_SUPPORT:
    case VIR_ERR_CONFIG_UNSUPPORTED:
    case VIR_ERR_OPERATION_UNSUPPORTED:
    case VIR_ERR_ARGUMENT_UNSUPPORTED: return ErrorCode::kUnsupported;
    case VIR_ERR_AUTH_FAILED:
    case VIR_ERR_AUTH_CANCELLED:
    case VIR_ERR_AUTH_UNAVAILABLE:
    case VIR_ERR_ACCESS_DENIED: return ErrorCode::kPermissionDenied;
    case VIR_ERR_OPERATION_TIMEOUT:
    case VIR_ERR_OPERATION_ABORTED: return ErrorCode::kDeadlineExceeded;
    case VIR_ERR_NO_CONNECT:
    case VIR_ERR_INVALID_CONN:
    case VIR_ERR_RPC:
    case VIR_ERR_SYSTEM_ERROR:
    case VIR_ERR_RESOURCE_BUSY:
    case VIR_ERR_AGENT_UNRESPONSIVE: return ErrorCode::kUnavailable;
    default: return ErrorCode::kInternal;
  }
}

/// The calling thread's last libvirt error, in our terms.
Error last_error(const std::string& what) {
  const virErrorPtr error = virGetLastError();
  if (error == nullptr || error->message == nullptr) return {ErrorCode::kInternal, what + ": libvirt gave no reason"};
  return {code_of(error->code), what + ": " + error->message};
}

Result<ConnectHandle> open(const std::string& uri) {
  ConnectHandle connection(virConnectOpen(uri.c_str()));
  if (!connection) {
    Error error = last_error("connect to " + uri);
    error.code = ErrorCode::kUnavailable;  // whatever libvirt calls it, the host cannot be asked now
    return error;
  }
  return connection;
}

Result<DomainHandle> find(virConnectPtr connection, const VmId& vm) {
  DomainHandle domain(virDomainLookupByUUIDString(connection, vm.value.c_str()));
  if (!domain) return last_error("look up domain " + vm.value);
  return domain;
}

/// libvirt's typed parameters, owned.
class Parameters {
 public:
  Parameters() = default;
  Parameters(virTypedParameterPtr values, int count) : values_(values), count_(count), capacity_(count) {}
  ~Parameters() { virTypedParamsFree(values_, count_); }
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;

  bool add(const char* name, const std::string& value) {
    return virTypedParamsAddString(&values_, &count_, &capacity_, name, value.c_str()) == 0;
  }
  bool add(const char* name, unsigned long long value) {
    return virTypedParamsAddULLong(&values_, &count_, &capacity_, name, value) == 0;
  }
  bool add_signed(const char* name, long long value) {
    return virTypedParamsAddLLong(&values_, &count_, &capacity_, name, value) == 0;
  }
  /// nullopt if absent or not an integer.
  std::optional<std::int64_t> get(const char* name) const {
    const virTypedParameterPtr found = virTypedParamsGet(values_, count_, name);
    if (found == nullptr) return std::nullopt;
    switch (found->type) {
      case VIR_TYPED_PARAM_INT: return found->value.i;
      case VIR_TYPED_PARAM_UINT: return found->value.ui;
      case VIR_TYPED_PARAM_LLONG: return found->value.l;
      case VIR_TYPED_PARAM_ULLONG: return static_cast<std::int64_t>(found->value.ul);
      default: return std::nullopt;
    }
  }
  virTypedParameterPtr values() const { return values_; }
  int count() const { return count_; }

 private:
  virTypedParameterPtr values_ = nullptr;
  int count_ = 0;
  int capacity_ = 0;
};

MigrationProgress progress_of(const Parameters& job, bool finished) {
  MigrationProgress progress;
  progress.bytes_processed = job.get(VIR_DOMAIN_JOB_DATA_PROCESSED).value_or(0);
  progress.bytes_remaining = job.get(VIR_DOMAIN_JOB_DATA_REMAINING).value_or(0);
  progress.bytes_total = job.get(VIR_DOMAIN_JOB_DATA_TOTAL).value_or(0);
  const std::int64_t pages_per_s = job.get(VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE).value_or(0);
  progress.dirty_bytes_per_s = pages_per_s * job.get(VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE).value_or(4096);
  // The _NET figure excludes what two hosts' clocks disagree by; only a finished job has it.
  const auto net = finished ? job.get(VIR_DOMAIN_JOB_DOWNTIME_NET) : std::nullopt;
  progress.downtime_ms = net.value_or(job.get(VIR_DOMAIN_JOB_DOWNTIME).value_or(0));
  return progress;
}

Result<DomainObservation> observe(virConnectPtr connection, const VmId& vm) {
  DomainObservation seen;
  const auto domain = find(connection, vm);
  if (!domain) {
    if (domain.error().code == ErrorCode::kNotFound) return seen;
    return domain.error();
  }
  virDomainInfo info{};
  if (virDomainGetInfo(domain->get(), &info) != 0) {
    const Error error = last_error("read domain " + vm.value);
    if (error.code == ErrorCode::kNotFound) return seen;
    return error;
  }
  if (virDomainIsActive(domain->get()) != 1) return seen;
  seen.defined_active = true;
  seen.running = info.state == VIR_DOMAIN_RUNNING || info.state == VIR_DOMAIN_BLOCKED;
  seen.memory_bytes = static_cast<std::int64_t>(info.memory) * kKiB;
  seen.vcpus = info.nrVirtCpu;

  int count = 0;
  const std::unique_ptr<char, Release<free>> scheduler(virDomainGetSchedulerType(domain->get(), &count));
  if (scheduler && count > 0) {
    auto* values =
        static_cast<virTypedParameterPtr>(calloc(static_cast<std::size_t>(count), sizeof(virTypedParameter)));
    if (values == nullptr) return Error{ErrorCode::kUnavailable, "out of memory"};
    int filled = count;
    const int status = virDomainGetSchedulerParametersFlags(domain->get(), values, &filled, VIR_DOMAIN_AFFECT_LIVE);
    const Parameters scheduling(values, status == 0 ? filled : 0);
    if (status == 0) {
      const std::int64_t quota_us = scheduling.get(VIR_DOMAIN_SCHEDULER_VCPU_QUOTA).value_or(-1);
      seen.cpu_quota_us = quota_us <= 0 || quota_us >= kQuotaUnlimitedUs ? -1 : quota_us;
      seen.cpu_period_us = scheduling.get(VIR_DOMAIN_SCHEDULER_VCPU_PERIOD).value_or(0);
      seen.cpu_shares = scheduling.get(VIR_DOMAIN_SCHEDULER_CPU_SHARES).value_or(0);
    }
  }
  return seen;
}

/// A migration's call into libvirt. libvirt offers no way to interrupt it but to abort the job, so it runs on a thread
/// that nobody joins: a stopping agent leaves it behind, and the daemon carries the migration on.
class LibvirtMigration final : public Migration {
 public:
  LibvirtMigration(ConnectHandle connection, DomainHandle domain, unsigned int flags,
                   std::shared_ptr<Parameters> parameters, std::string target_uri)
      : shared_(std::make_shared<Shared>()) {
    std::thread([shared = shared_, connection = std::move(connection), domain = std::move(domain), flags,
                 parameters = std::move(parameters), target_uri = std::move(target_uri)]() mutable {
      const int status = virDomainMigrateToURI3(domain.get(), target_uri.c_str(), parameters->values(),
                                                static_cast<unsigned int>(parameters->count()), flags);
      Status outcome = status == 0 ? Status{} : Status{last_error("migrate to " + target_uri)};
      domain.reset();
      connection.reset();
      const std::lock_guard lock(shared->mutex);
      shared->outcome = std::move(outcome);
    }).detach();
  }

  std::optional<Status> outcome() override {
    const std::lock_guard lock(shared_->mutex);
    return shared_->outcome;
  }

 private:
  /// Shared because the call may outlive this object.
  struct Shared {
    std::mutex mutex;  // guards outcome
    std::optional<Status> outcome;
  };
  std::shared_ptr<Shared> shared_;
};

}  // namespace

/// The shared connection.
class LibvirtHypervisor::Connection {
 public:
  /// A reference of the caller's own to the connection, opened anew if the last one broke.
  Result<ConnectHandle> get(const std::string& uri) {
    const std::lock_guard lock(mutex_);
    if (connection_ && virConnectIsAlive(connection_.get()) != 1) connection_.reset();
    if (!connection_) {
      auto opened = open(uri);
      if (!opened) return opened.error();
      connection_ = std::move(*opened);
    }
    if (virConnectRef(connection_.get()) != 0) return last_error("hold the connection");
    return ConnectHandle(connection_.get());
  }

  Result<DomainHandle> domain(const std::string& uri, const VmId& vm) {
    const auto connection = get(uri);
    if (!connection) return connection.error();
    return find(connection->get(), vm);  // a domain holds its connection
  }

 private:
  std::mutex mutex_;  // guards connection_
  ConnectHandle connection_;
};

LibvirtHypervisor::LibvirtHypervisor(std::string uri)
    : uri_(std::move(uri)), connection_(std::make_unique<Connection>()) {
  virInitialize();
  // libvirt's default handler prints every error to standard error; ours return them.
  virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});
}

LibvirtHypervisor::~LibvirtHypervisor() = default;

Result<DomainDescription> LibvirtHypervisor::describe(const VmId& vm) {
  const auto domain = connection_->domain(uri_, vm);
  if (!domain) return domain.error();
  DomainDescription description;
  description.name = virDomainGetName(domain->get());
  description.active = virDomainIsActive(domain->get()) == 1;
  description.persistent = virDomainIsPersistent(domain->get()) == 1;
  if (description.active) description.vcpus_max = std::max(0, virDomainGetMaxVcpus(domain->get()));
  description.memory_bytes_max = static_cast<std::int64_t>(virDomainGetMaxMemory(domain->get())) * kKiB;
  return description;
}

Result<DomainObservation> LibvirtHypervisor::inspect(const VmId& vm) {
  const auto connection = connection_->get(uri_);
  if (!connection) return connection.error();
  return observe(connection->get(), vm);
}

Status LibvirtHypervisor::set_cpu_quota(const VmId& vm, const SetCpuQuota& quota) {
  const auto domain = connection_->domain(uri_, vm);
  if (!domain) return domain.error();
  Parameters parameters;
  if (!parameters.add(VIR_DOMAIN_SCHEDULER_VCPU_PERIOD, static_cast<unsigned long long>(quota.period_us)) ||
      !parameters.add_signed(VIR_DOMAIN_SCHEDULER_VCPU_QUOTA, quota.quota_us) ||
      virDomainSetSchedulerParametersFlags(domain->get(), parameters.values(), parameters.count(),
                                           VIR_DOMAIN_AFFECT_LIVE) != 0) {
    return last_error("set CPU quota");
  }
  return {};
}

Status LibvirtHypervisor::set_cpu_shares(const VmId& vm, const SetCpuShares& shares) {
  const auto domain = connection_->domain(uri_, vm);
  if (!domain) return domain.error();
  Parameters parameters;
  if (!parameters.add(VIR_DOMAIN_SCHEDULER_CPU_SHARES, static_cast<unsigned long long>(shares.shares)) ||
      virDomainSetSchedulerParametersFlags(domain->get(), parameters.values(), parameters.count(),
                                           VIR_DOMAIN_AFFECT_LIVE) != 0) {
    return last_error("set CPU shares");
  }
  return {};
}

Status LibvirtHypervisor::set_vcpus(const VmId& vm, const SetVcpus& vcpus) {
  const auto domain = connection_->domain(uri_, vm);
  if (!domain) return domain.error();
  if (virDomainSetVcpusFlags(domain->get(), static_cast<unsigned int>(vcpus.count), VIR_DOMAIN_AFFECT_LIVE) != 0) {
    return last_error("set vCPUs");
  }
  return {};
}

Status LibvirtHypervisor::set_memory(const VmId& vm, const SetMemory& memory) {
  const auto domain = connection_->domain(uri_, vm);
  if (!domain) return domain.error();
  if (virDomainSetMemoryFlags(domain->get(), static_cast<unsigned long>(memory.bytes / kKiB), VIR_DOMAIN_AFFECT_LIVE) !=
      0) {
    return last_error("set memory");
  }
  return {};
}

Result<std::unique_ptr<Migration>> LibvirtHypervisor::start_migration(const VmId& vm, const Migrate& order) {
  auto connection = open(uri_);
  if (!connection) return connection.error();
  auto domain = find(connection->get(), vm);
  if (!domain) return domain.error();

  unsigned int flags = VIR_MIGRATE_LIVE | VIR_MIGRATE_PEER2PEER | VIR_MIGRATE_ABORT_ON_ERROR;
  if (order.auto_converge) flags |= VIR_MIGRATE_AUTO_CONVERGE;
  const int persistent = virDomainIsPersistent(domain->get());
  if (persistent < 0) return last_error("read domain " + vm.value);
  // A persistent domain moves with its definition, so that it is defined on one host only and no later start or
  // autostart at the source makes two of it. A transient one stays transient.
  if (persistent == 1) flags |= VIR_MIGRATE_PERSIST_DEST | VIR_MIGRATE_UNDEFINE_SOURCE;

  auto parameters = std::make_shared<Parameters>();
  bool added = true;
  if (!order.migrate_uri.empty()) added = parameters->add(VIR_MIGRATE_PARAM_URI, order.migrate_uri);
  if (order.bandwidth_bytes_per_s > 0) {
    const auto mib_per_s =
        static_cast<unsigned long long>(std::max<std::int64_t>(1, order.bandwidth_bytes_per_s / kMiB));
    added = added && parameters->add(VIR_MIGRATE_PARAM_BANDWIDTH, mib_per_s);
  }
  if (!added) return last_error("prepare migration");
  if (virDomainMigrateSetMaxDowntime(domain->get(), static_cast<unsigned long long>(order.downtime_ms_max), 0) != 0) {
    return last_error("set maximum downtime");
  }
  return std::unique_ptr<Migration>(std::make_unique<LibvirtMigration>(
      std::move(*connection), std::move(*domain), flags, std::move(parameters), order.target_libvirt_uri));
}

Result<std::optional<MigrationProgress>> LibvirtHypervisor::migration_progress(const VmId& vm) {
  using Progress = std::optional<MigrationProgress>;
  const auto domain = connection_->domain(uri_, vm);
  if (!domain) {
    if (domain.error().code == ErrorCode::kNotFound) return Progress{};
    return domain.error();
  }
  int type = VIR_DOMAIN_JOB_NONE;
  virTypedParameterPtr values = nullptr;
  int count = 0;
  if (virDomainGetJobStats(domain->get(), &type, &values, &count, 0) != 0) {
    const Error error = last_error("read job of domain " + vm.value);
    // A domain that left or stopped between the two calls has no job.
    if (error.code == ErrorCode::kNotFound || error.code == ErrorCode::kFailedPrecondition) return Progress{};
    return error;
  }
  const Parameters job(values, count);
  if (type != VIR_DOMAIN_JOB_BOUNDED && type != VIR_DOMAIN_JOB_UNBOUNDED) return Progress{};
  const auto operation = job.get(VIR_DOMAIN_JOB_OPERATION);
  if (operation && *operation != VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT) return Progress{};
  return Progress{progress_of(job, false)};
}

Status LibvirtHypervisor::abort_migration(const VmId& vm) {
  const auto domain = connection_->domain(uri_, vm);
  if (!domain) return domain.error();
  if (virDomainAbortJob(domain->get()) != 0) return last_error("abort migration");
  return {};
}

Result<std::optional<MigrationProgress>> LibvirtHypervisor::completed_migration(const std::string& target_libvirt_uri,
                                                                                const VmId& vm) {
  const auto connection = open(target_libvirt_uri);
  if (!connection) return connection.error();
  const auto domain = find(connection->get(), vm);
  if (!domain) return domain.error();
  int type = VIR_DOMAIN_JOB_NONE;
  virTypedParameterPtr values = nullptr;
  int count = 0;
  if (virDomainGetJobStats(domain->get(), &type, &values, &count,
                           VIR_DOMAIN_JOB_STATS_COMPLETED | VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED) != 0) {
    return last_error("read completed job of domain " + vm.value);
  }
  const Parameters job(values, count);
  if (type != VIR_DOMAIN_JOB_COMPLETED) return std::optional<MigrationProgress>{};
  return std::optional<MigrationProgress>{progress_of(job, true)};
}

Result<DomainObservation> LibvirtHypervisor::inspect_at(const std::string& libvirt_uri, const VmId& vm) {
  const auto connection = open(libvirt_uri);
  if (!connection) return connection.error();
  return observe(connection->get(), vm);
}

}  // namespace proteus::act
