// proteus-controller.
//
//   thread     owns                          reads                        writes
//   zap        the list of admitted keys     ZAP requests                 admission
//   receive    telemetry socket              agents; acks <- ingest       messages -> ingest; acks
//   ingest     decoders                      messages                     store; acks -> receive; samples -> pipeline
//   command    command socket                agents; commands <- pipeline agents; events -> pipeline
//   pipeline   decisions, drs                samples, events, requests    journal; commands -> command; snapshot -> api
//   forecast-N series of some VMs            rounds of demand             forecasts -> pipeline
//   renewal    the next run's pipeline       store, forecasts             journal; that pipeline -> pipeline
//   api, pool  HTTP server                   snapshot, store              requests -> pipeline
//   main       signals, retention            the clock                    store
//
//   agents ══▶ receive ─▶ ingest ──samples──▶ pipeline ──commands──▶ command ══▶ agents
//                                              ▲    ▲                   │
//                         api ────requests─────┘    └──────events───────┘

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <set>
#include <thread>
#include <zmq.hpp>

#include "common/log.h"
#include "common/signals.h"
#include "common/standard_output.h"
#include "common/usage_line.h"
#include "common/wire/curve.h"
#include "common/wire/keygen.h"
#include "common/wire/socket.h"
#include "common/wire/zap_handler.h"
#include "controller/config.h"
#include "controller/controller.h"
#include "controller/retention_clock.h"

namespace proteus::controller {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr std::time_t kRetentionIntervalS = 60;
constexpr const char* kDefaultConfig = "/etc/proteus/controller.toml";
constexpr const char* kFooter =
    "Exit codes: 0 ended as asked; 1 failed while running or could not start; 2 wrong usage or configuration.\n"
    "See proteusctl for looking at and steering a running controller.";

int fail(int code, const std::string& message) {
  std::fprintf(stderr, "proteus-controller: %s\n", message.c_str());
  return code;
}

struct Loaded {
  Config config;
  std::string policy_toml;
  std::string calendar_toml;
  ham::Policy policy;
  std::string learned;  ///< ham::learning::Agent::save(); empty: none
};

Result<Loaded> load(const std::string& config_file) {
  const Result<std::string> text = read_config_file(config_file);
  if (!text) return text.error();
  Result<Config> config = parse_config(*text, config_file);
  if (!config) return config.error();
  Result<std::string> policy_toml = read_config_file(config->policy_file);
  if (!policy_toml) return policy_toml.error();
  Result<ham::Policy> policy = ham::parse_policy(*policy_toml, config->policy_file);
  if (!policy) return policy.error();
  std::string calendar_toml;
  if (!config->calendar_file.empty()) {
    Result<std::string> calendar = read_config_file(config->calendar_file);
    if (!calendar) return calendar.error();
    if (Status read = set_calendar(*calendar, config->calendar_file, config->pipeline); !read) return read.error();
    calendar_toml = std::move(*calendar);
  }
  std::string learned;
  if (!config->learning_file.empty()) {
    Result<std::string> bytes = read_config_file(config->learning_file);
    if (!bytes) return bytes.error();
    if (Status read = ham::learning::Agent().restore(*bytes); !read) {
      return with_context(read.error(), config->learning_file);
    }
    learned = std::move(*bytes);
  }
  return Loaded{std::move(*config), std::move(*policy_toml), std::move(calendar_toml), std::move(*policy),
                std::move(learned)};
}

/// believed: what the clock was the last time.
void expire(store::Store& store, Timestamp now, RetentionClock& retention, bool& believed) {
  const bool before = believed;
  believed = retention.believes(now, std::chrono::steady_clock::now().time_since_epoch());
  if (before && !believed) {
    log::warning(
        "this machine's clock has jumped, or is far from what is stored: nothing expires until it has gone on for a "
        "day");
  }
  if (!believed) return;
  if (Status expired = store.expire(now); !expired) log::warning("retention: {}", expired.error().message);
}

/// A file that is wrong stays wrong until somebody mends it; one that is not there, or cannot be read, may still come.
int exit_of(const Error& error) {
  return error.code == ErrorCode::kInvalidArgument || error.code == ErrorCode::kCorrupt ? kExitUsage : kExitFailed;
}

/// Where agents connect.
std::set<std::uint16_t> ports_of(const Config& config) {
  std::set<std::uint16_t> ports;
  for (const std::string& endpoint : {config.telemetry_listen, config.command_listen}) {
    if (const auto port = wire::port_of(endpoint)) ports.insert(*port);
  }
  return ports;
}

int run(const std::string& config_file) {
  Result<Loaded> loaded = load(config_file);
  if (!loaded) return fail(exit_of(loaded.error()), loaded.error().message);
  const Config& config = loaded->config;
  if (Status ready = log::init("proteus-controller", config.log_level); !ready)
    return fail(kExitUsage, ready.error().message);

  const sigset_t signals = block_signals();
  wire::raise_file_limit();  // each agent holds two descriptors
  const SystemClock clock;
  Result<wire::KeyPair> keys = wire::read_key_pair(config.secret_key);
  if (!keys) return fail(kExitFailed, keys.error().message);
  Result<std::unique_ptr<wire::AuthorizedKeys>> authorized = wire::AuthorizedKeys::load(config.authorized_agents);
  if (!authorized) return fail(kExitFailed, authorized.error().message);
  Result<std::string> token = api::load_or_create_token(config.api_token_file);
  if (!token) return fail(kExitFailed, token.error().message);
  Result<std::unique_ptr<store::Store>> store = store::Store::open(config.store);
  if (!store) {
    const char* advice =
        store.error().code == ErrorCode::kCorrupt
            ? "; it is left as it is: put a copy of it back, or move it away to begin with an empty one"
            : "";
    return fail(kExitFailed, store.error().message + advice);
  }

  Result<std::vector<store::JournalEntry>> newest = (*store)->journal_tail(1);
  if (!newest) return fail(kExitFailed, newest.error().message);
  RetentionClock retention(newest->empty() ? std::nullopt : std::optional(newest->front().time));

  Queues queues;
  ControllerOptions options{
      config.id,     loaded->policy_toml,           loaded->calendar_toml, config.pipeline,           config.cycle,
      config.gather, config.forecast_save_interval, loaded->learned,       config.store.raw_retention};
  Result<std::unique_ptr<Controller>> controller =
      Controller::create(std::move(options), std::move(loaded->policy), **store, clock, queues);
  if (!controller) return fail(kExitFailed, controller.error().message);

  zmq::context_t context;
  wire::ZapHandler zap(context, **authorized, ports_of(config));
  ingest::IngestOptions ingest_options;
  ingest_options.endpoint = config.telemetry_listen;
  ingest_options.keys = *keys;
  ingest_options.host_stored_bytes_per_day = config.host_bytes_per_day;
  Result<std::unique_ptr<ingest::Ingest>> ingest =
      ingest::Ingest::start(context, ingest_options, **authorized, **store, clock, queues.samples);
  if (!ingest) return fail(kExitFailed, ingest.error().message);
  ingest::AgentLinkOptions link_options;
  link_options.endpoint = config.command_listen;
  link_options.keys = *keys;
  link_options.controller = config.id;
  link_options.term = (*controller)->term();
  Result<std::unique_ptr<ingest::AgentLink>> link =
      ingest::AgentLink::start(context, link_options, **authorized, clock, queues.events);
  if (!link) return fail(kExitFailed, link.error().message);

  const Controller::Surroundings surroundings{**link, [&] { return (*ingest)->status(); },
                                              [&] { return zap.refused_count(); }, [&] { return zap.surplus_count(); },
                                              [&] { return (*link)->dropped_count(); }};
  std::thread pipeline([&] {
    pthread_setname_np(pthread_self(), "pipeline");
    (*controller)->run(surroundings);
  });
  api::ServerOptions api_options = config.api;
  api_options.token = *token;
  Result<std::unique_ptr<api::Server>> api = api::Server::start(api_options, **controller, clock);
  if (api) {
    log::info("{} leads with term {}; telemetry {}, commands {}, API {}:{}", config.id, (*controller)->term(),
              config.telemetry_listen, config.command_listen, config.api.address, (*api)->port());
    const timespec interval{kRetentionIntervalS, 0};
    int signal = -1;
    bool believed = true;
    while ((signal = sigtimedwait(&signals, nullptr, &interval)) < 0) {
      expire(**store, clock.now(), retention, believed);
      if (Status saved = (*controller)->save_forecasts(clock.now()); !saved)
        log::warning("forecasts: {}", saved.error().message);
    }
    log::info("signal {}: ending", signal);
    (*api)->stop();
  }
  queues.requests.close();
  pipeline.join();
  if (Status saved = (*controller)->save_forecasts(clock.now(), true); !saved)
    log::warning("forecasts: {}", saved.error().message);
  link->reset();
  ingest->reset();
  if (!api) return fail(kExitFailed, api.error().message);
  return 0;
}

int main_of(int argc, char** argv) {
  CLI::App app{"Forecasts what a cluster's virtual machines will need, and has its hosts' agents provide it.",
               "proteus-controller"};
  app.footer(kFooter);
  app.set_version_flag("--version", "proteus-controller " PROTEUS_VERSION);
  std::string config_file = kDefaultConfig;
  bool check_only = false;
  std::string key_folder;
  std::string key_name = "controller";
  app.add_option("--config", config_file, "configuration file")->capture_default_str();
  app.add_flag("--check-config", check_only, "read configuration and policy, say what is wrong with them, and end");
  app.fallthrough();
  app.require_subcommand(0, 1);
  app.add_subcommand("run", "run in the foreground (the default)");
  CLI::App* keygen = app.add_subcommand("keygen", "make controller.key and controller.pub in FOLDER");
  keygen->add_option("FOLDER", key_folder, "where")->required();
  keygen->add_option("--name", key_name, "its name in the public line")->capture_default_str();
  app.failure_message(
      [](const CLI::App*, const CLI::Error& error) { return usage_line("proteus-controller", error.what()); });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (keygen->parsed()) {
    const Result<std::string> line = wire::make_key_files(key_folder, "controller", key_name);
    if (!line) return fail(kExitFailed, line.error().message);
    std::cout << "for [[controller]] in each agent's configuration: public_key = \""
              << line->substr(line->find(' ') + 1) << "\"\n";
    if (::geteuid() == 0) {
      std::cerr << fmt::format(
          "{}/controller.key can be read by root alone: chown it if the controller runs as another\n", key_folder);
    }
    return 0;
  }
  if (check_only) {
    const Result<Loaded> loaded = load(config_file);
    if (!loaded) return fail(exit_of(loaded.error()), loaded.error().message);
    std::cout << config_file << " and " << loaded->config.policy_file << " are good\n";
    const Config& config = loaded->config;
    int code = 0;
    const auto tell = [&](const Error& error) {
      code = std::max(code, fail(exit_of(error), "but what they name is not: " + error.message));
    };
    if (const auto pair = wire::read_key_pair(config.secret_key); !pair) tell(pair.error());
    if (const auto agents = wire::AuthorizedKeys::load(config.authorized_agents); !agents) tell(agents.error());
    if (const Status tls = api::check_tls(config.api); !tls) tell(tls.error());
    return code;
  }
  return run(config_file);
}

}  // namespace
}  // namespace proteus::controller

int main(int argc, char** argv) {
  return proteus::flushed(proteus::controller::main_of(argc, argv), "proteus-controller");
}
