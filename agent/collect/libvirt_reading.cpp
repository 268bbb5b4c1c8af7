#include "agent/collect/libvirt_reading.h"

#include <fmt/core.h>
#include <libvirt/virterror.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "agent/collect/shared_filesystem.h"
#include "agent/collect/text_file.h"

namespace proteus::collect {
namespace {

constexpr std::int64_t kBytesPerKib = 1024;
/// What libvirt reports where control groups v2 say "max" (VIR_CGROUP_CPU_QUOTA_MAX in µs).
constexpr std::int64_t kQuotaUnlimited = 17592186044415;

std::string dotted(unsigned long version) {
  return fmt::format("{}.{}.{}", version / 1000000, version / 1000 % 1000, version % 1000);
}

std::optional<std::int64_t> number(const virTypedParameter& p) {
  switch (p.type) {
    case VIR_TYPED_PARAM_INT: return p.value.i;
    case VIR_TYPED_PARAM_UINT: return p.value.ui;
    case VIR_TYPED_PARAM_LLONG: return p.value.l;
    case VIR_TYPED_PARAM_ULLONG: return static_cast<std::int64_t>(p.value.ul);
    default: return std::nullopt;
  }
}

std::optional<std::int64_t> find(const virTypedParameter* params, int count, std::string_view name) {
  for (int i = 0; i < count; ++i) {
    if (name == params[i].field) return number(params[i]);
  }
  return std::nullopt;
}

std::optional<std::string> find_text(const virTypedParameter* params, int count, std::string_view name) {
  for (int i = 0; i < count; ++i) {
    if (name == params[i].field && params[i].type == VIR_TYPED_PARAM_STRING) return params[i].value.s;
  }
  return std::nullopt;
}

std::optional<std::int64_t> scaled(std::optional<std::int64_t> value, std::int64_t factor) {
  if (value) *value *= factor;
  return value;
}

/// Seconds since the epoch; not later than now, whatever the clock has been set to since.
std::chrono::steady_clock::time_point by_wall_clock(std::int64_t second, const Moment& now) {
  const auto ago = now.wall - std::chrono::system_clock::time_point(std::chrono::seconds(second));
  return now.steady - std::max<std::chrono::nanoseconds>(ago, std::chrono::nanoseconds(0));
}

/// Seconds of the monotonic clock, or since 8.2 of the wall clock (QEMU: "migration/dirtyrate: use QEMU_CLOCK_HOST to
/// report start-time"), which no host has been up for.
std::chrono::steady_clock::time_point dirty_rate_began_at(std::int64_t second, const Moment& now) {
  const std::chrono::steady_clock::time_point began{std::chrono::seconds(second)};
  return began <= now.steady ? began : by_wall_clock(second, now);
}

/// A driver that does not know how not to wait.
bool refuses_the_flags() {
  const virError* error = virGetLastError();
  return error != nullptr && (error->code == VIR_ERR_INVALID_ARG || error->code == VIR_ERR_ARGUMENT_UNSUPPORTED);
}

/// Lets QEMU measure the dirty rate for a second; the next statistics have it. Skips domains with a job.
void start_dirty_rate(virDomain* domain) {
  virDomainJobInfo job;
  if (virDomainGetJobInfo(domain, &job) != 0 || job.type != VIR_DOMAIN_JOB_NONE) return;
  virDomainStartDirtyRateCalc(domain, 1, 0);  // refused where unsupported: the figure then stays absent
}

/// Of a domain that is busy they are named without figures: then none.
std::optional<std::vector<DiskFacts>> disks_of(const virDomainStatsRecord& record) {
  const auto count = find(record.params, record.nparams, "block.count");
  if (!count) return std::nullopt;
  std::vector<DiskFacts> disks;
  bool has_figures = false;
  for (std::int64_t i = 0; i < *count; ++i) {
    const std::string prefix = fmt::format("block.{}.", i);
    const auto get = [&](const char* key) { return find(record.params, record.nparams, prefix + key); };
    const auto name = find_text(record.params, record.nparams, prefix + "name");
    if (!name) continue;
    DiskFacts disk{.target = *name,
                   .read_bytes = get("rd.bytes"),
                   .write_bytes = get("wr.bytes"),
                   .ops_count = {},
                   .flushes_count = get("fl.reqs"),
                   .time_ns = {}};
    const auto reads = get("rd.reqs");
    const auto writes = get("wr.reqs");
    if (reads && writes) disk.ops_count = *reads + *writes;
    const auto read_ns = get("rd.times");
    const auto write_ns = get("wr.times");
    if (read_ns && write_ns) disk.time_ns = *read_ns + *write_ns + get("fl.times").value_or(0);
    has_figures |= (disk.read_bytes || disk.write_bytes || disk.ops_count || disk.flushes_count || disk.time_ns);
    disks.push_back(std::move(disk));
  }
  if (!has_figures && *count > 0) return std::nullopt;
  return disks;
}

/// One call for all, which `get` makes with the flags given to it. Errors: libvirt's.
template <typename Get>
Status read_statistics_by(Get get, std::map<VmId, DomainStatistics>& statistics) {
  constexpr unsigned kGroups =
      VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_BALLOON | VIR_DOMAIN_STATS_BLOCK | VIR_DOMAIN_STATS_DIRTYRATE;
  const Moment asked_at{std::chrono::steady_clock::now(), std::chrono::system_clock::now()};
  virDomainStatsRecordPtr* list = nullptr;
  int count = get(kGroups, &list, VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);
  if (count < 0 && refuses_the_flags()) count = get(kGroups, &list, 0);
  if (count < 0) return libvirt_error("read domain statistics");
  const Records records(list);
  for (int i = 0; i < count; ++i) statistics[domain_id(list[i]->dom)] = statistics_of(*list[i], asked_at);
  return {};
}

Status read_statistics_of(std::vector<virDomainPtr> domains, std::map<VmId, DomainStatistics>& statistics) {
  domains.push_back(nullptr);
  return read_statistics_by(
      [&](unsigned groups, virDomainStatsRecordPtr** records, unsigned flags) {
        return virDomainListGetStats(domains.data(), groups, records, flags);
      },
      statistics);
}

Status read_statistics_of_active(virConnect* connection, std::map<VmId, DomainStatistics>& statistics) {
  return read_statistics_by(
      [&](unsigned groups, virDomainStatsRecordPtr** records, unsigned flags) {
        return virConnectGetAllDomainStats(connection, groups, records,
                                           flags | VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE);
      },
      statistics);
}

class LibvirtStatistics final : public StatisticsSource {
 public:
  explicit LibvirtStatistics(std::string uri) : uri_(std::move(uri)) {}

  Result<std::map<VmId, DomainStatistics>> ask(const StatisticsQuestion& question) override {
    if (const Status connected = connect_again(); !connected) return connected.error();
    if (question.all) {
      std::map<VmId, DomainStatistics> statistics;
      if (question.except.empty() && read_statistics_of_active(connection_.get(), statistics)) return statistics;
      auto active = active_domains(connection_.get());
      if (!active) return active.error();
      std::erase_if(*active, [&](const Domain& domain) { return question.except.contains(domain_id(domain.get())); });
      return read_statistics(*active);
    }
    std::vector<Domain> domains;
    for (const VmId& id : question.vms) {
      if (Domain domain = look_up(id)) domains.push_back(std::move(domain));
    }
    return read_statistics(domains);
  }

  void measure(const std::set<VmId>& vms) override {
    if (!connect_again()) return;
    for (const VmId& id : vms) {
      if (const Domain domain = look_up(id)) start_dirty_rate(domain.get());
    }
  }

 private:
  Domain look_up(const VmId& id) { return Domain(virDomainLookupByUUIDString(connection_.get(), id.value.c_str())); }

  Status connect_again() {
    if (connection_ && virConnectIsAlive(connection_.get()) == 1) return {};
    auto connected = connect(uri_);
    if (!connected) return connected.error();
    connection_ = std::move(*connected);
    return {};
  }

  const std::string uri_;
  Connection connection_;
};

}  // namespace

Error libvirt_error(const std::string& what) {
  const virError* error = virGetLastError();
  if (error == nullptr || error->code == VIR_ERR_OK)
    return Error{ErrorCode::kInternal, what + ": unknown libvirt error"};
  ErrorCode code = ErrorCode::kInternal;
  switch (error->code) {
    case VIR_ERR_NO_DOMAIN: code = ErrorCode::kNotFound; break;
    case VIR_ERR_AUTH_FAILED:
    case VIR_ERR_ACCESS_DENIED: code = ErrorCode::kPermissionDenied; break;
    case VIR_ERR_NO_SUPPORT:
    case VIR_ERR_OPERATION_UNSUPPORTED: code = ErrorCode::kUnsupported; break;
    case VIR_ERR_OPERATION_INVALID: code = ErrorCode::kFailedPrecondition; break;
    case VIR_ERR_SYSTEM_ERROR:
    case VIR_ERR_RPC:
    case VIR_ERR_NO_CONNECT:
    case VIR_ERR_INVALID_CONN: code = ErrorCode::kUnavailable; break;
    default: break;
  }
  return Error{code, fmt::format("{}: {}", what, error->message == nullptr ? "no message" : error->message)};
}

Result<Connection> connect(const std::string& uri) {
  // Errors are returned, not printed by the library.
  virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});
  Connection connection(virConnectOpen(uri.c_str()));
  if (!connection) {
    const Error error = libvirt_error("connect to " + uri);
    connection.reset(virConnectOpenReadOnly(uri.c_str()));
    if (!connection) return error;
  }
  return connection;
}

std::string hypervisor_version(virConnect* connection) {
  unsigned long version = 0;
  const char* type = virConnectGetType(connection);
  if (type == nullptr || virConnectGetVersion(connection, &version) != 0) return type == nullptr ? "unknown" : type;
  return fmt::format("{} {}", type, dotted(version));
}

std::string daemon_version(virConnect* connection) {
  unsigned long version = 0;
  if (virConnectGetLibVersion(connection, &version) != 0) return "unknown";
  return dotted(version);
}

std::map<std::string, std::string> libvirt_capabilities(virConnect* connection) {
  std::map<std::string, std::string> capabilities;
  const char* type = virConnectGetType(connection);
  const bool is_qemu = type != nullptr && std::strcmp(type, "QEMU") == 0;
  const std::string other = fmt::format("no: libvirt's {} driver cannot do it", type == nullptr ? "unknown" : type);
  for (const char* name : {"vcpu_hotplug", "balloon"}) capabilities[name] = is_qemu ? "yes" : other;

  unsigned long libvirt = 0;
  unsigned long qemu = 0;
  virConnectGetLibVersion(connection, &libvirt);
  virConnectGetVersion(connection, &qemu);
  if (!is_qemu) {
    capabilities["dirty_rate"] = other;
  } else if (libvirt < 7002000 || qemu < 5002000) {
    capabilities["dirty_rate"] = "no: needs libvirt 7.2 and QEMU 5.2";
  } else {
    capabilities["dirty_rate"] = "yes";
  }

  const std::unique_ptr<char, void (*)(void*)> xml(virConnectGetCapabilities(connection), std::free);
  const bool live = xml != nullptr && std::strstr(xml.get(), "<live/>") != nullptr;
  capabilities["migrate"] = live ? "yes" : "no: libvirt does not announce live migration";
  return capabilities;
}

Result<std::vector<Domain>> active_domains(virConnect* connection) {
  virDomainPtr* list = nullptr;
  const int count = virConnectListAllDomains(connection, &list, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
  if (count < 0) return libvirt_error("list domains");
  std::vector<Domain> domains;
  for (int i = 0; i < count; ++i) domains.emplace_back(list[i]);
  std::free(list);
  return domains;
}

Result<DomainList> DomainList::read(virConnect* connection) {
  DomainList list;
  virDomainStatsRecordPtr* records = nullptr;
  const int count = virConnectGetAllDomainStats(connection, VIR_DOMAIN_STATS_STATE, &records,
                                                VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE);
  if (count >= 0) {
    list.records_.reset(records);
    for (int i = 0; i < count; ++i) {
      list.rows_.push_back(
          {records[i]->dom, domain_id(records[i]->dom), find(records[i]->params, records[i]->nparams, "state.state")});
    }
    return list;
  }
  auto domains = active_domains(connection);
  if (!domains) return domains.error();
  list.domains_ = std::move(*domains);
  for (const Domain& domain : list.domains_) {
    int state = 0;
    const bool told = virDomainGetState(domain.get(), &state, nullptr, 0) == 0;
    list.rows_.push_back(
        {domain.get(), domain_id(domain.get()), told ? std::optional<std::int64_t>(state) : std::nullopt});
  }
  return list;
}

Status read_states(const std::vector<Domain>& domains, std::map<VmId, VmFacts>& vms) {
  if (domains.empty()) return {};
  const auto take = [&vms](virDomain* domain, std::int64_t state) {
    const auto vm = vms.find(domain_id(domain));
    if (vm == vms.end()) return;
    note_state(vm->second, state, std::chrono::steady_clock::now());
  };
  std::vector<virDomainPtr> list;
  for (const Domain& domain : domains) list.push_back(domain.get());
  list.push_back(nullptr);
  virDomainStatsRecordPtr* records = nullptr;
  const int count = virDomainListGetStats(list.data(), VIR_DOMAIN_STATS_STATE, &records, 0);
  if (count >= 0) {
    for (int i = 0; i < count; ++i) {
      if (const auto state = find(records[i]->params, records[i]->nparams, "state.state"))
        take(records[i]->dom, *state);
    }
    virDomainStatsRecordListFree(records);
    return {};
  }
  const Error error = libvirt_error("read domains' states");
  bool any = false;
  for (const Domain& domain : domains) {
    int state = 0;
    if (virDomainGetState(domain.get(), &state, nullptr, 0) != 0) continue;
    take(domain.get(), state);
    any = true;
  }
  if (!any && error.code != ErrorCode::kNotFound) return error;  // else all are gone
  return {};
}

void read_shape(virDomain* domain, VmFacts& facts) {
  const auto count_or_absent = [](int count) { return count < 0 ? std::nullopt : std::optional<std::int64_t>(count); };
  facts.vcpus_count = count_or_absent(virDomainGetVcpusFlags(domain, VIR_DOMAIN_VCPU_LIVE));
  facts.vcpus_max_count = count_or_absent(
      virDomainGetVcpusFlags(domain, static_cast<unsigned>(VIR_DOMAIN_VCPU_LIVE) | VIR_DOMAIN_VCPU_MAXIMUM));

  facts.cpu_quota_us = facts.cpu_period_us = facts.cpu_shares = std::nullopt;
  int count = 0;
  const std::unique_ptr<char, void (*)(void*)> scheduler(virDomainGetSchedulerType(domain, &count), std::free);
  if (scheduler == nullptr || count <= 0) return;
  std::vector<virTypedParameter> params(static_cast<std::size_t>(count));
  if (virDomainGetSchedulerParametersFlags(domain, params.data(), &count, VIR_DOMAIN_AFFECT_LIVE) != 0) return;
  facts.cpu_shares = find(params.data(), count, VIR_DOMAIN_SCHEDULER_CPU_SHARES);
  facts.cpu_period_us = find(params.data(), count, VIR_DOMAIN_SCHEDULER_VCPU_PERIOD);
  facts.cpu_quota_us = find(params.data(), count, VIR_DOMAIN_SCHEDULER_VCPU_QUOTA);
  if (facts.cpu_quota_us && (*facts.cpu_quota_us <= 0 || *facts.cpu_quota_us >= kQuotaUnlimited))
    facts.cpu_quota_us = -1;
  virTypedParamsClear(params.data(), count);
}

std::uint64_t definition_seed() {
  const std::string mounts = read_file("/proc/self/mountinfo").value_or("");
  return XXH3_64bits(mounts.data(), mounts.size());
}

Status read_description(virDomain* domain, std::uint64_t seed, std::uint64_t& hash, VmFacts& facts) {
  const std::unique_ptr<char, void (*)(void*)> xml(virDomainGetXMLDesc(domain, 0), std::free);
  if (xml == nullptr) return libvirt_error("read a domain's XML");
  const std::uint64_t now = XXH3_64bits_withSeed(xml.get(), std::strlen(xml.get()), seed);
  if (now == hash) return {};
  auto description = parse_domain_xml(xml.get(), [](const std::string& path) { return on_shared_filesystem(path); });
  if (!description) return description.error();
  facts.description = std::move(description).value();
  hash = now;
  return {};
}

DomainStatistics statistics_of(const virDomainStatsRecord& record, const Moment& asked_at) {
  const auto get = [&](const char* name) { return find(record.params, record.nparams, name); };
  DomainStatistics statistics;
  statistics.asked_at = asked_at.steady;
  statistics.state = get("state.state");
  statistics.balloon_bytes = scaled(get("balloon.current"), kBytesPerKib);
  statistics.memory_max_bytes = scaled(get("balloon.maximum"), kBytesPerKib);
  statistics.guest_memory_usable_bytes = scaled(get("balloon.usable"), kBytesPerKib);
  const auto told_s = get("balloon.last-update");
  statistics.guest_memory_told_at = told_s ? by_wall_clock(*told_s, asked_at) : asked_at.steady;
  if (get("dirtyrate.calc_status") == VIR_DOMAIN_DIRTYRATE_MEASURED) {
    statistics.memory_dirty_bytes_per_s = scaled(get("dirtyrate.megabytes_per_second"), kMiB);
    statistics.dirty_rate_began_at = dirty_rate_began_at(get("dirtyrate.calc_start_time").value_or(0), asked_at);
  }
  statistics.disks = disks_of(record);
  statistics.can_measure = get("dirtyrate.calc_status").has_value();
  // of its process, but told beside what QEMU says of the balloon only
  statistics.qemu_answered = get("balloon.rss").has_value();
  return statistics;
}

Result<std::map<VmId, DomainStatistics>> read_statistics(const std::vector<Domain>& domains) {
  std::map<VmId, DomainStatistics> statistics;
  if (domains.empty()) return statistics;
  std::vector<virDomainPtr> list;
  for (const Domain& domain : domains) list.push_back(domain.get());
  const Status together = read_statistics_of(list, statistics);
  if (together) return statistics;
  // One domain of which QEMU does not answer, as it is just ending, fails the call for all.
  for (const Domain& domain : domains) (void)read_statistics_of({domain.get()}, statistics);
  if (statistics.empty()) return together.error();
  return statistics;
}

std::unique_ptr<StatisticsSource> libvirt_statistics(const std::string& uri) {
  return std::make_unique<LibvirtStatistics>(uri);
}

VmId domain_id(virDomain* domain) {
  std::array<unsigned char, VIR_UUID_BUFLEN> uuid{};
  virDomainGetUUID(domain, uuid.data());
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(VIR_UUID_STRING_BUFLEN);
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kDigits[uuid[i] >> 4];
    text += kDigits[uuid[i] & 15];
  }
  return VmId(std::move(text));
}

}  // namespace proteus::collect
