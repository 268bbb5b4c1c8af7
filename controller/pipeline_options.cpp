#include "controller/pipeline_options.h"

#include <fmt/core.h>

#include <memory>
#include <string>
#include <utility>

#include "common/log.h"
#include "controller/forecast/global/shipped_weights.h"

namespace proteus::controller {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

std::string id_of(const forecast::EngineOptions& engine) {
  return engine.networks ? fmt::format("{:016x}", forecast::global::weights_id(*engine.networks)) : "";
}

}  // namespace

void read_pipeline_options(TomlDocument::Table& root, PipelineOptions& options) {
  auto forecast = root.table("forecast");
  forecast::EngineOptions& engine = options.view.forecast;
  forecast.read_duration("step", engine.step, milliseconds(100), hours(1));
  forecast.read("horizon_steps", engine.horizon_steps, 1, 1440);
  forecast.read("history_steps", engine.history_steps, 10, 100'000);
  forecast.read_duration("season", engine.season, seconds(1), hours(24 * 7));
  forecast.read("min_history_steps", engine.min_history_steps, 2, 1000);
  forecast.read("refit_every_steps", engine.refit_every_steps, 1, 10'000);
  bool global_model = true;
  forecast.read("global_model", global_model);
  forecast.read("global_weights", options.recorded_networks);
  engine.networks = global_model ? forecast::global::shipped_weights() : nullptr;
  if (engine.season < engine.step * 2) forecast.problem("season", "'season' must be at least two steps");

  auto view = root.table("view");
  view.read_duration("staleness", options.view.staleness, seconds(1), hours(1));
  view.read_duration("curve_half_life", options.view.curve_half_life, minutes(1), hours(24 * 365));
  view.read_duration("forget_after", options.view.forget_after, seconds(10), hours(24 * 30));

  for (auto& host : root.tables("host")) {
    std::string name;
    double speed = 1;
    host.require("name");
    host.read("name", name);
    host.read("cpu_speed", speed, 0.05, 20);
    if (!options.view.cpu_speed.emplace(HostId(name), speed).second) {
      host.problem("name", fmt::format("the host '{}' is there twice", name));
    }
  }

  auto learning = root.table("learning");
  learning.read("enabled", options.learning);
  learning.read("explore", options.explore);

  auto drs = root.table("drs");
  drs::ExecutorOptions& executor = options.executor;
  drs.read_duration("accept_timeout", executor.accept_timeout, milliseconds(100), minutes(5));
  drs.read_duration("reshape_deadline", executor.reshape_deadline, seconds(1), hours(1));
  drs.read_duration("migrate_deadline", executor.migrate_deadline, seconds(1), hours(24));
  drs.read_duration("approval_lifetime", executor.approval_lifetime, seconds(1), hours(24 * 7));
  drs.read_duration("reserve_timeout", executor.reserve_timeout, milliseconds(100), minutes(5));
  drs.read_duration("inspect_interval", executor.inspect_interval, milliseconds(100), minutes(5));
}

void read_networks(TomlDocument::Table& root, PipelineOptions& options) {
  auto forecast = root.table("forecast");
  std::string file;
  forecast.read("weights", file);
  forecast::EngineOptions& engine = options.view.forecast;
  if (file.empty() || !engine.networks) return;
  Result<forecast::global::Weights> read = forecast::global::read_weights(file);
  if (!read) return forecast.problem("weights", read.error().message);
  engine.networks = std::make_shared<const forecast::global::Weights>(std::move(*read));
}

std::string pipeline_options_toml(const PipelineOptions& options) {
  const forecast::EngineOptions& engine = options.view.forecast;
  const drs::ExecutorOptions& executor = options.executor;
  const auto ns = [](Nanoseconds value) { return fmt::format("\"{}ns\"", value.count()); };
  std::string hosts;
  for (const auto& [host, speed] : options.view.cpu_speed) {
    std::string name;  // as a TOML string
    for (const char c : host.value) name += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
    hosts += fmt::format("[[host]]\nname = \"{}\"\ncpu_speed = {:.17g}\n", name, speed);
  }
  return fmt::format(
             "controller = \"{}\"\n"
             "[forecast]\nstep = {}\nhorizon_steps = {}\nhistory_steps = {}\nseason = {}\nmin_history_steps = {}\n"
             "refit_every_steps = {}\nglobal_model = {}\nglobal_weights = \"{}\"\n"
             "[view]\nstaleness = {}\ncurve_half_life = {}\nforget_after = {}\n"
             "[learning]\nenabled = {}\nexplore = {}\n"
             "[drs]\naccept_timeout = {}\nreshape_deadline = {}\nmigrate_deadline = {}\napproval_lifetime = {}\n"
             "inspect_interval = {}\nreserve_timeout = {}\n",
             executor.controller, ns(engine.step), engine.horizon_steps, engine.history_steps, ns(engine.season),
             engine.min_history_steps, engine.refit_every_steps, engine.networks != nullptr, id_of(engine),
             ns(options.view.staleness), ns(options.view.curve_half_life), ns(options.view.forget_after),
             options.learning, options.explore, ns(executor.accept_timeout), ns(executor.reshape_deadline),
             ns(executor.migrate_deadline), ns(executor.approval_lifetime), ns(executor.inspect_interval),
             ns(executor.reserve_timeout)) +
         hosts;
}

void use_networks(std::shared_ptr<const forecast::global::Weights> networks, PipelineOptions& options) {
  forecast::EngineOptions& engine = options.view.forecast;
  if (!engine.networks) return;
  if (networks) engine.networks = std::move(networks);
  if (options.recorded_networks.empty() || options.recorded_networks == id_of(engine)) return;
  log::warning("recorded with other networks ({}) than these ({}): forecasts may differ; --weights FILE gives others",
               options.recorded_networks, id_of(engine));
}

Status set_calendar(std::string_view toml_text, std::string_view file_name, PipelineOptions& options) {
  options.view.forecast.calendar.reset();
  if (toml_text.empty()) return {};
  Result<forecast::Calendar> calendar = forecast::parse_calendar(toml_text, file_name);
  if (!calendar) return calendar.error();
  options.view.forecast.calendar = std::make_shared<const forecast::Calendar>(std::move(*calendar));
  return {};
}

Result<PipelineOptions> parse_pipeline_options(std::string_view toml_text) {
  TomlDocument document(toml_text, "journalled options");
  auto root = document.root();
  PipelineOptions options;
  options.learning = false;  // a run that does not speak of it knew nothing of it
  root.read("controller", options.executor.controller);
  read_pipeline_options(root, options);
  if (Status done = document.finish(); !done) return done.error();
  return options;
}

}  // namespace proteus::controller
