#include "controller/config.h"

#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "common/log_level.h"
#include "common/toml_document.h"
#include "common/wire/socket.h"
#include "controller/api/server.h"

namespace proteus::controller {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::string_view kIdCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

std::string machine_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "controller";
  return name.data();
}

}  // namespace

Result<Config> parse_config(std::string_view toml_text, std::string_view file_name) {
  TomlDocument document(toml_text, file_name);
  auto root = document.root();
  Config config;
  config.id = machine_name();
  config.store.directory = "/var/lib/proteus/store";

  root.read("id", config.id);
  root.read("policy", config.policy_file);
  root.read_duration("cycle", config.cycle, milliseconds(100), hours(1));
  root.read_duration("gather", config.gather, milliseconds(0), seconds(10));
  read_log_level(root, config.log_level);
  if (config.id.empty() || config.id.size() > 128 || config.id.find_first_not_of(kIdCharacters) != std::string::npos) {
    root.problem("id", "'id' must be 1 to 128 letters, digits, dots, dashes or underscores");
  }

  auto listen = root.table("listen");
  listen.read("telemetry", config.telemetry_listen);
  listen.read("command", config.command_listen);
  for (const auto& [key, endpoint] :
       {std::pair("telemetry", config.telemetry_listen), {"command", config.command_listen}}) {
    if (!wire::valid_endpoint(endpoint)) {
      listen.problem(key, fmt::format("'{}' must be an address like tcp://*:7401", key));
    }
  }
  if (config.telemetry_listen == config.command_listen) {
    listen.problem("command", "'telemetry' and 'command' must be two addresses");
  }

  auto keys = root.table("keys");
  keys.read("secret", config.secret_key);
  keys.read("authorized_agents", config.authorized_agents);

  auto store = root.table("store");
  store.read("directory", config.store.directory);
  store.read_bytes("host_bytes_per_day", config.host_bytes_per_day, std::int64_t{1} << 30, std::int64_t{1} << 50);
  store.read_duration("raw_retention", config.store.raw_retention, minutes(1), hours(24 * 365));
  store.read_duration("journal_retention", config.store.journal_retention, hours(1), hours(24 * 3650));
  store.read_duration("series_retention", config.store.page_retention, hours(1), hours(24 * 3650));
  store.read_duration("minute_retention", config.store.minute_retention, hours(1), hours(24 * 3650));
  store.read_duration("hour_retention", config.store.hour_retention, hours(1), hours(24 * 3650));
  // Where there are no values any more, a query by the hour reads roll-ups by the hour alone.
  if (config.store.hour_retention < config.store.minute_retention) {
    store.problem("hour_retention", "'hour_retention' must be at least 'minute_retention'");
  }

  auto api = root.table("api");
  api.read("address", config.api.address);
  api.read("port", config.api.port, 0, 65535);
  api.read("token_file", config.api_token_file);
  api.read("tls_certificate", config.api.tls_certificate);
  api.read("tls_key", config.api.tls_key);
  api.read_bytes("answer_memory_max", config.api.answer_bytes_max, std::int64_t{64} << 20, std::int64_t{1} << 40);
  if (config.api.tls_certificate.empty() && !proteus::api::is_loopback(config.api.address)) {
    api.problem("address",
                fmt::format("'address' is '{}', which others can reach: that takes 'tls_certificate' and 'tls_key'",
                            config.api.address));
  }
  if (config.api.tls_certificate.empty() != config.api.tls_key.empty()) {
    api.problem("tls_key", "'tls_certificate' and 'tls_key' go together");
  }

  read_pipeline_options(root, config.pipeline);
  read_networks(root, config.pipeline);
  auto forecast = root.table("forecast");
  forecast.read("calendar", config.calendar_file);
  forecast.read("workers", config.pipeline.view.forecast_workers, 1, 256);
  forecast.read_duration("save_interval", config.forecast_save_interval, seconds(10), hours(24));
  if (!config.pipeline.recorded_networks.empty()) {
    forecast.problem("global_weights", "'global_weights' is a recording's; networks of your own are 'weights'");
  }
  auto learning = root.table("learning");
  learning.read("model", config.learning_file);
  config.pipeline.executor.controller = config.id;
  if (Status done = document.finish(); !done) return done.error();
  return config;
}

}  // namespace proteus::controller
