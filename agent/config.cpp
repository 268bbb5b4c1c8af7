#include "agent/config.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "common/log_level.h"
#include "common/toml_document.h"
#include "common/wire/curve.h"
#include "common/wire/socket.h"

namespace proteus {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::string_view kIdCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
constexpr std::int64_t kBytesMax = 1024 * 1024 * kGiB;

std::string machine_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "";
  return name.data();
}

void read_optional(TomlDocument::Table& table, std::string_view key, std::optional<std::int64_t>& out,
                   std::int64_t max) {
  if (!table.has(key)) return;
  std::int64_t value = 0;
  table.read(key, value, 0, max);
  out = value;
}

void read_endpoint(TomlDocument::Table& table, std::string_view key, std::string& out) {
  table.require(key);
  table.read(key, out);
  // To listen on all addresses makes sense, to connect to all does not.
  if (table.has(key) && (!wire::valid_endpoint(out) || out.starts_with("tcp://*:"))) {
    table.problem(key, fmt::format("'{}' must be an address like tcp://controller1:7401", key));
  }
}

/// libvirt's form of an address: DRIVER[+TRANSPORT]://[HOST]/[PATH].
bool is_libvirt_uri(std::string_view uri) {
  const std::size_t colon = uri.find("://");
  if (colon == std::string_view::npos) return false;
  const auto is_word = [](std::string_view word) {
    const auto plain = [](unsigned char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    return !word.empty() && std::all_of(word.begin(), word.end(), plain);
  };
  const std::string_view scheme = uri.substr(0, colon);
  const std::size_t plus = scheme.find('+');
  if (!is_word(scheme.substr(0, plus))) return false;
  if (plus != std::string_view::npos && !is_word(scheme.substr(plus + 1))) return false;
  const std::string_view rest = uri.substr(colon + 3);
  const auto printed = [](unsigned char c) { return c > ' ' && c != 127; };
  return rest.find('/') != std::string_view::npos && std::all_of(rest.begin(), rest.end(), printed);
}

void read_libvirt_uri(TomlDocument::Table& table, std::string_view key, std::string& out) {
  table.read(key, out);
  if (out.empty() || is_libvirt_uri(out)) return;
  table.problem(key, fmt::format("'{}' in '{}' is not an address of libvirt: DRIVER[+TRANSPORT]://[HOST]/PATH, such as "
                                 "qemu:///system or qemu+tls://host1/system",
                                 out, key));
}

/// The agent measures and commands the host that it runs on.
void read_own_uri(TomlDocument::Table& table, std::string& out) {
  read_libvirt_uri(table, "uri", out);
  if (!is_libvirt_uri(out)) return;
  const std::string_view rest = std::string_view(out).substr(out.find("://") + 3);
  const std::string_view authority = rest.substr(0, rest.find('/'));
  for (const std::string_view here : {"", "localhost", "127.0.0.1", "[::1]"}) {
    if (authority == here) return;
  }
  table.problem("uri", fmt::format("'{}' in 'uri' names a host: it must be this host's own libvirt, such as "
                                   "qemu:///system; where others reach it is 'peer_uri'",
                                   out));
}

/// What QEMU listens on for a guest's memory: tcp://HOST[:PORT] (libvirt also takes tcp:HOST, as it was once written),
/// rdma://HOST[:PORT] or unix:///PATH.
bool is_migrate_uri(std::string_view uri) {
  const auto printed = [](unsigned char c) { return c > ' ' && c != 127; };
  if (!std::all_of(uri.begin(), uri.end(), printed)) return false;
  if (uri.starts_with("unix:///")) return uri.size() > 8;
  for (const std::string_view scheme : {"tcp://", "rdma://", "tcp:"}) {
    if (!uri.starts_with(scheme)) continue;
    std::string_view place = uri.substr(scheme.size());
    if (place.ends_with('/')) place.remove_suffix(1);
    return !place.empty() && place.front() != ':' && place.find('/') == std::string_view::npos;
  }
  return false;
}

void read_migrate_uri(TomlDocument::Table& table, std::string& out) {
  table.read("migrate_uri", out);
  if (out.empty() || is_migrate_uri(out)) return;
  table.problem("migrate_uri", fmt::format("'{}' in 'migrate_uri' is none of tcp://HOST[:PORT], rdma://HOST[:PORT] and "
                                           "unix:///PATH",
                                           out));
}

void read_controllers(TomlDocument::Table& root, AgentConfig& config) {
  for (auto& table : root.tables("controller")) {
    AgentConfig::Controller controller;
    read_endpoint(table, "telemetry", controller.telemetry);
    read_endpoint(table, "command", controller.command);
    table.require("public_key");
    table.read("public_key", controller.public_key);
    if (table.has("public_key") && !wire::valid_key_text(controller.public_key)) {
      table.problem("public_key", "'public_key' must be the 40 characters that `proteus-controller keygen` printed");
    }
    for (const auto& other : config.controllers) {
      if (other.command == controller.command || other.telemetry == controller.telemetry) {
        table.problem("command", "another [[controller]] has the same address");
      } else if (other.public_key == controller.public_key && !controller.public_key.empty()) {
        table.problem("public_key", "another [[controller]] has the same key");
      }
    }
    config.controllers.push_back(std::move(controller));
  }
}

void read_limits(TomlDocument::Table table, act::LocalLimits& limits) {
  if (table.has("allow")) {
    std::vector<std::string> allowed;
    table.read("allow", allowed);
    const auto is_allowed = [&](const char* what) {
      return std::find(allowed.begin(), allowed.end(), what) != allowed.end();
    };
    limits.allow_reshape = is_allowed("reshape");
    limits.allow_migrate = is_allowed("migrate");
    limits.allow_receive = is_allowed("receive");
    for (const std::string& what : allowed) {
      if (what != "reshape" && what != "migrate" && what != "receive") {
        table.problem("allow", fmt::format("'{}' is none of reshape, migrate, receive", what));
      }
    }
  }
  table.read("protected", limits.protected_vms);
  for (const std::string& glob : limits.protected_vms) {
    // glob(7) would take an open bracket for itself, and protect nothing.
    const std::size_t opened = glob.find('[');
    if (glob.empty() || (opened != std::string::npos && glob.find(']', opened + 2) == std::string::npos)) {
      table.problem("protected", fmt::format("'{}' in 'protected' is no glob", glob));
    }
  }
  table.read("cpu_quota_percent_min", limits.cpu_quota_percent_min, 1, 100);
  table.read("cpu_shares_min", limits.cpu_shares_min, 2, 262144);
  table.read("cpu_shares_max", limits.cpu_shares_max, 2, 262144);
  if (limits.cpu_shares_min > limits.cpu_shares_max) {
    table.problem("cpu_shares_min", "'cpu_shares_min' is above 'cpu_shares_max'");
  }
  table.read("vcpus_min", limits.vcpus_min, 1, 4096);
  std::optional<std::int64_t> vcpus_max;
  read_optional(table, "vcpus_max", vcpus_max, 4096);
  if (vcpus_max) limits.vcpus_max = static_cast<std::int32_t>(*vcpus_max);
  if (limits.vcpus_max && *limits.vcpus_max < limits.vcpus_min) {
    table.problem("vcpus_max", "'vcpus_max' is below 'vcpus_min'");
  }
  table.read_bytes("memory_min", limits.memory_bytes_min, kMiB, kBytesMax);
  table.read("concurrent_migrations_max", limits.concurrent_migrations_max, 1, 64);
  table.read_bytes("migration_bandwidth_max", limits.migration_bandwidth_bytes_per_s_max, 0, kBytesMax);
  table.read_bytes("host_memory_reserve", limits.host_memory_reserve_bytes, 0, kBytesMax);
  if (table.has("incoming_memory_max")) {
    std::int64_t bytes = 0;
    table.read_bytes("incoming_memory_max", bytes, 0, kBytesMax);
    limits.incoming_memory_bytes_max = bytes;
  }
  read_optional(table, "incoming_cpu_millicores_max", limits.incoming_cpu_millicores_max, 1000 * 1000 * 1000);
  table.read_duration("reservation_lifetime", limits.reservation_lifetime, seconds(10), hours(24));
}

}  // namespace

Result<AgentConfig> parse_agent_config(std::string_view toml_text, std::string_view file_name) {
  TomlDocument document(toml_text, file_name);
  auto root = document.root();
  AgentConfig config;
  config.host = HostId(machine_name());
  root.read("host", config.host.value);
  const std::string& host = config.host.value;
  if (host.empty() || host.size() > 128 || host.find_first_not_of(kIdCharacters) != std::string::npos) {
    root.problem("host", "'host' must be 1 to 128 letters, digits, dots, dashes or underscores");
  }
  root.read("state_directory", config.state_directory);
  if (!config.state_directory.starts_with('/'))
    root.problem("state_directory", "'state_directory' must begin with '/'");
  root.read("secret_key", config.secret_key);
  root.read_duration("tick", config.tick, milliseconds(100), minutes(1));
  read_log_level(root, config.log_level);
  read_controllers(root, config);

  auto libvirt = root.table("libvirt");
  read_own_uri(libvirt, config.libvirt_uri);  // empty: host figures only
  read_libvirt_uri(libvirt, "peer_uri", config.peer_uri);
  read_migrate_uri(libvirt, config.migrate_uri);

  auto collect = root.table("collect");
  collect.read_duration("slow_interval", config.slow_interval, seconds(1), minutes(2));
  collect.read("kernel_programs", config.kernel_programs);
  collect.read("hook_statistics", config.hook_statistics);

  root.table("publish").read_bytes("spool_max", config.spool_bytes_max, kMiB, kBytesMax);
  root.table("command").read_duration("leader_lease", config.leader_lease, seconds(2), minutes(10));
  read_limits(root.table("limits"), config.limits);

  if (auto status = document.finish(); !status) return status.error();
  return config;
}

}  // namespace proteus
