#include "controller/config.h"

#include <fmt/core.h>
#include <unistd.h>

#include <array>

#include "common/toml_document.h"

namespace proteus::controller {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::string_view kIdCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

std::string machine_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "controller";
  return name.data();
}

/// The tables that decide: [forecast], [view], [drs]. Read from the configuration file and from the journal alike.
void read_pipeline(TomlDocument::Table& root, PipelineOptions& options) {
  auto forecast = root.table("forecast");
  forecast::EngineOptions& engine = options.view.forecast;
  forecast.read_duration("step", engine.step, milliseconds(100), hours(1));
  forecast.read("horizon_steps", engine.horizon_steps, 1, 1440);
  forecast.read("history_steps", engine.history_steps, 10, 100'000);
  forecast.read_duration("season", engine.season, seconds(1), hours(24 * 7));
  forecast.read("min_history_steps", engine.min_history_steps, 2, 1000);
  forecast.read("refit_every_steps", engine.refit_every_steps, 1, 10'000);
  if (engine.season < engine.step * 2) forecast.problem("season", "'season' must be at least two steps");

  auto view = root.table("view");
  view.read_duration("staleness", options.view.staleness, seconds(1), hours(1));
  view.read_duration("curve_half_life", options.view.curve_half_life, minutes(1), hours(24 * 365));
  view.read_duration("forget_after", options.view.forget_after, seconds(10), hours(24 * 30));

  auto drs = root.table("drs");
  drs::ExecutorOptions& executor = options.executor;
  drs.read_duration("accept_timeout", executor.accept_timeout, milliseconds(100), minutes(5));
  drs.read_duration("reshape_deadline", executor.reshape_deadline, seconds(1), hours(1));
  drs.read_duration("migrate_deadline", executor.migrate_deadline, seconds(1), hours(24));
  drs.read_duration("approval_lifetime", executor.approval_lifetime, seconds(1), hours(24 * 7));
  drs.read_duration("inspect_interval", executor.inspect_interval, milliseconds(100), minutes(5));
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
  root.read("log_level", config.log_level);
  if (config.id.empty() || config.id.size() > 128 || config.id.find_first_not_of(kIdCharacters) != std::string::npos) {
    root.problem("id", "'id' must be 1 to 128 letters, digits, dots, dashes or underscores");
  }

  auto listen = root.table("listen");
  listen.read("telemetry", config.telemetry_listen);
  listen.read("command", config.command_listen);

  auto keys = root.table("keys");
  keys.read("secret", config.secret_key);
  keys.read("authorized_agents", config.authorized_agents);

  auto store = root.table("store");
  store.read("directory", config.store.directory);
  store.read_duration("raw_retention", config.store.raw_retention, minutes(1), hours(24 * 365));
  store.read_duration("journal_retention", config.store.journal_retention, hours(1), hours(24 * 3650));

  auto api = root.table("api");
  api.read("address", config.api.address);
  api.read("port", config.api.port, 0, 65535);
  api.read("token_file", config.api_token_file);
  api.read("tls_certificate", config.api.tls_certificate);
  api.read("tls_key", config.api.tls_key);
  if (config.api.tls_certificate.empty() != config.api.tls_key.empty()) {
    api.problem("tls_key", "'tls_certificate' and 'tls_key' go together");
  }

  read_pipeline(root, config.pipeline);
  config.pipeline.executor.controller = config.id;
  if (Status done = document.finish(); !done) return done.error();
  return config;
}

std::string pipeline_options_toml(const PipelineOptions& options) {
  const forecast::EngineOptions& engine = options.view.forecast;
  const drs::ExecutorOptions& executor = options.executor;
  const auto ns = [](Nanoseconds value) { return fmt::format("\"{}ns\"", value.count()); };
  return fmt::format(
      "controller = \"{}\"\n"
      "[forecast]\nstep = {}\nhorizon_steps = {}\nhistory_steps = {}\nseason = {}\nmin_history_steps = {}\n"
      "refit_every_steps = {}\n"
      "[view]\nstaleness = {}\ncurve_half_life = {}\nforget_after = {}\n"
      "[drs]\naccept_timeout = {}\nreshape_deadline = {}\nmigrate_deadline = {}\napproval_lifetime = {}\n"
      "inspect_interval = {}\n",
      executor.controller, ns(engine.step), engine.horizon_steps, engine.history_steps, ns(engine.season),
      engine.min_history_steps, engine.refit_every_steps, ns(options.view.staleness), ns(options.view.curve_half_life),
      ns(options.view.forget_after), ns(executor.accept_timeout), ns(executor.reshape_deadline),
      ns(executor.migrate_deadline), ns(executor.approval_lifetime), ns(executor.inspect_interval));
}

Result<PipelineOptions> parse_pipeline_options(std::string_view toml_text) {
  TomlDocument document(toml_text, "journalled options");
  auto root = document.root();
  PipelineOptions options;
  root.read("controller", options.executor.controller);
  read_pipeline(root, options);
  if (Status done = document.finish(); !done) return done.error();
  return options;
}

}  // namespace proteus::controller
