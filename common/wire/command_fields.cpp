#include "common/wire/command_fields.h"

#include <type_traits>

namespace proteus::wire {
namespace {

capnp::Text::Reader text(const std::string& s) {
  return {s.data(), s.size()};
}

constexpr std::uint8_t kNoCondition = 0;
constexpr std::uint8_t kMustBeActive = 1;
constexpr std::uint8_t kMustNotBeActive = 2;

}  // namespace

std::string read_text(capnp::Text::Reader from) {
  return std::string(from.begin(), from.size());
}

void fill(schema::Operation::Builder to, const Operation& from) {
  std::visit(
      [&to](const auto& op) {
        using T = std::decay_t<decltype(op)>;
        if constexpr (std::is_same_v<T, SetCpuQuota>) {
          auto quota = to.initSetCpuQuota();
          quota.setQuotaUs(op.quota_us);
          quota.setPeriodUs(op.period_us);
        } else if constexpr (std::is_same_v<T, SetCpuShares>) {
          to.setSetCpuShares(op.shares);
        } else if constexpr (std::is_same_v<T, SetVcpus>) {
          to.setSetVcpus(op.count);
        } else if constexpr (std::is_same_v<T, SetMemory>) {
          to.setSetMemory(op.bytes);
        } else if constexpr (std::is_same_v<T, Migrate>) {
          auto migrate = to.initMigrate();
          if (!op.target.empty()) migrate.setTarget(text(op.target.value));
          if (!op.target_libvirt_uri.empty()) migrate.setTargetLibvirtUri(text(op.target_libvirt_uri));
          if (!op.migrate_uri.empty()) migrate.setMigrateUri(text(op.migrate_uri));
          migrate.setBandwidthBytesPerS(op.bandwidth_bytes_per_s);
          migrate.setDowntimeMsMax(op.downtime_ms_max);
          migrate.setAutoConverge(op.auto_converge);
          migrate.setPostCopyAllowed(op.post_copy_allowed);
        } else if constexpr (std::is_same_v<T, Reserve>) {
          auto reserve = to.initReserve();
          reserve.setMemoryBytes(op.memory_bytes);
          reserve.setCpuMillicores(op.cpu_millicores);
        } else if constexpr (std::is_same_v<T, Release>) {
          to.setRelease(op.reservation);
        } else if constexpr (std::is_same_v<T, Abort>) {
          to.setAbort(op.action);
        } else {
          static_assert(std::is_same_v<T, Inspect>);
          to.setInspect();
        }
      },
      from);
}

Result<Operation> read(schema::Operation::Reader from) {
  using Which = schema::Operation::Which;
  switch (from.which()) {
    case Which::SET_CPU_QUOTA:
      return Operation{SetCpuQuota{from.getSetCpuQuota().getQuotaUs(), from.getSetCpuQuota().getPeriodUs()}};
    case Which::SET_CPU_SHARES: return Operation{SetCpuShares{from.getSetCpuShares()}};
    case Which::SET_VCPUS: return Operation{SetVcpus{from.getSetVcpus()}};
    case Which::SET_MEMORY: return Operation{SetMemory{from.getSetMemory()}};
    case Which::MIGRATE: {
      const auto migrate = from.getMigrate();
      return Operation{Migrate{.target = HostId(read_text(migrate.getTarget())),
                               .target_libvirt_uri = read_text(migrate.getTargetLibvirtUri()),
                               .migrate_uri = read_text(migrate.getMigrateUri()),
                               .bandwidth_bytes_per_s = migrate.getBandwidthBytesPerS(),
                               .downtime_ms_max = migrate.getDowntimeMsMax(),
                               .auto_converge = migrate.getAutoConverge(),
                               .post_copy_allowed = migrate.getPostCopyAllowed()}};
    }
    case Which::RESERVE:
      return Operation{Reserve{from.getReserve().getMemoryBytes(), from.getReserve().getCpuMillicores()}};
    case Which::RELEASE: return Operation{Release{from.getRelease()}};
    case Which::ABORT: return Operation{Abort{from.getAbort()}};
    case Which::INSPECT: return Operation{Inspect{}};
  }
  return Error{ErrorCode::kCorrupt, "operation of an unknown kind"};
}

void fill(schema::Command::Builder to, const Command& from) {
  to.setId(from.id);
  to.setAction(from.action);
  to.setTerm(from.term);
  if (!from.controller.empty()) to.setController(text(from.controller));
  if (!from.host.empty()) to.setHost(text(from.host.value));
  if (!from.vm.empty()) to.setVm(text(from.vm.value));
  to.setIssuedNs(to_unix_ns(from.issued));
  to.setDeadlineNs(to_unix_ns(from.deadline));
  if (from.require_running) to.setRequireRunning(*from.require_running ? kMustBeActive : kMustNotBeActive);
  if (from.require_value) to.getRequireValue().setValue(*from.require_value);
  fill(to.initOperation(), from.operation);
}

Result<Command> read(schema::Command::Reader from) {
  Command to;
  to.id = from.getId();
  to.action = from.getAction();
  to.term = from.getTerm();
  to.controller = read_text(from.getController());
  to.host = HostId(read_text(from.getHost()));
  to.vm = VmId(read_text(from.getVm()));
  to.issued = from_unix_ns(from.getIssuedNs());
  to.deadline = from_unix_ns(from.getDeadlineNs());
  switch (from.getRequireRunning()) {
    case kNoCondition: break;
    case kMustBeActive: to.require_running = true; break;
    case kMustNotBeActive: to.require_running = false; break;
    default: return Error{ErrorCode::kCorrupt, "command with an unknown condition on the domain's state"};
  }
  switch (from.getRequireValue().which()) {
    case schema::Command::RequireValue::NONE: break;
    case schema::Command::RequireValue::VALUE: to.require_value = from.getRequireValue().getValue(); break;
    default: return Error{ErrorCode::kCorrupt, "command with an unknown condition on the present value"};
  }
  auto operation = read(from.getOperation());
  if (!operation) return operation.error();
  to.operation = std::move(*operation);
  return to;
}

void fill(schema::MigrationProgress::Builder to, const MigrationProgress& from) {
  to.setBytesProcessed(from.bytes_processed);
  to.setBytesRemaining(from.bytes_remaining);
  to.setBytesTotal(from.bytes_total);
  to.setDirtyBytesPerS(from.dirty_bytes_per_s);
  to.setDowntimeMs(from.downtime_ms);
}

MigrationProgress read(schema::MigrationProgress::Reader from) {
  return {.bytes_processed = from.getBytesProcessed(),
          .bytes_remaining = from.getBytesRemaining(),
          .bytes_total = from.getBytesTotal(),
          .dirty_bytes_per_s = from.getDirtyBytesPerS(),
          .downtime_ms = from.getDowntimeMs()};
}

void fill(schema::DomainObservation::Builder to, const DomainObservation& from) {
  to.setActive(from.defined_active);
  to.setRunning(from.running);
  to.setVcpus(from.vcpus);
  to.setCpuQuotaUs(from.cpu_quota_us);
  to.setCpuPeriodUs(from.cpu_period_us);
  to.setCpuShares(from.cpu_shares);
  to.setMemoryBytes(from.memory_bytes);
}

DomainObservation read(schema::DomainObservation::Reader from) {
  return {.defined_active = from.getActive(),
          .running = from.getRunning(),
          .vcpus = from.getVcpus(),
          .cpu_quota_us = from.getCpuQuotaUs(),
          .cpu_period_us = from.getCpuPeriodUs(),
          .cpu_shares = from.getCpuShares(),
          .memory_bytes = from.getMemoryBytes()};
}

void fill(schema::Update::Builder to, const Update& from) {
  to.setCommand(from.command);
  to.setAction(from.action);
  to.setTerm(from.term);
  if (!from.host.empty()) to.setHost(text(from.host.value));
  if (!from.vm.empty()) to.setVm(text(from.vm.value));
  to.setState(static_cast<std::uint8_t>(from.state));
  to.setTimeNs(to_unix_ns(from.time));
  if (!from.message.empty()) to.setMessage(text(from.message));
  if (from.migration) fill(to.initMigration(), *from.migration);
  if (from.observed) fill(to.initObserved(), *from.observed);
}

Result<Update> read(schema::Update::Reader from) {
  Update to;
  to.command = from.getCommand();
  to.action = from.getAction();
  to.term = from.getTerm();
  to.host = HostId(read_text(from.getHost()));
  to.vm = VmId(read_text(from.getVm()));
  if (from.getState() > static_cast<std::uint8_t>(CommandState::kRefused)) {
    return Error{ErrorCode::kCorrupt, "update with an unknown state"};
  }
  to.state = static_cast<CommandState>(from.getState());
  to.time = from_unix_ns(from.getTimeNs());
  to.message = read_text(from.getMessage());
  if (from.hasMigration()) to.migration = read(from.getMigration());
  if (from.hasObserved()) to.observed = read(from.getObserved());
  return to;
}

}  // namespace proteus::wire
