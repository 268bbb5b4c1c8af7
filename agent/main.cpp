// proteus-agent.
//
//   thread           owns                                   reads                            writes
//   collect          collector's kernel programs and files  kernel, procfs                   samples -> publish
//   proteus-libvirt  collector's libvirt connection         libvirt                          (inside collect)
//   proteus-stats    a libvirt connection, for QEMU's word  libvirt, QEMU                    (inside collect)
//   proteus-virevt   libvirt's event loop                   libvirt's events                 (inside collect)
//   publish          telemetry sockets, spool               samples, acknowledgements        controllers, spool
//   command          command sockets, executor, its state   controllers; updates <- workers  jobs -> workers; outcomes
//   inspect          -                                      jobs, libvirt                    updates -> command
//   reshape-1, -2    -                                      jobs, libvirt                    libvirt; updates
//   migrate-1 … N    -                                      jobs, libvirt                    libvirt; updates
//   main             signals                                                                 starts, stops the others
//
//   One more, without a name, per migration: libvirt's call, which lasts as long as the migration and cannot be called
//   back.
//
//   kernel ─▶ collect ──samples──▶ publish ══▶ controllers
//                 ▲
//                 └─ refresh(vm) ── workers ◀──inspect_jobs, reshape_jobs, migrate_jobs── command ◀══ controllers
//                                      └─────────────────job_updates────────────────────────▶┘
//
// The queues are AgentQueues in agent.h; one per arrow with a name.

#include <fmt/chrono.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <map>
#include <random>
#include <zmq.hpp>

#include "agent/act/libvirt_hypervisor.h"
#include "agent/agent.h"
#include "agent/calibrate/calibrate.h"
#include "agent/collect/check.h"
#include "agent/collect/host_files.h"
#include "agent/collect/kvm_exit_trace.h"
#include "agent/collect/questions.h"
#include "agent/config.h"
#include "agent/resident_memory.h"
#include "agent/service_manager.h"
#include "agent/state_directory.h"
#include "agent/stop_deadline.h"
#include "common/log.h"
#include "common/signals.h"
#include "common/standard_output.h"
#include "common/toml_document.h"
#include "common/usage_line.h"
#include "common/wire/curve.h"
#include "common/wire/keygen.h"
#include "common/wire/socket.h"

namespace proteus {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr int kExitRefused = 3;
constexpr int kSettledAfterSeconds = 10;
/// For libvirt to answer to what is closed last.
constexpr std::chrono::milliseconds kLibvirtPatience{3000};
constexpr const char* kDefaultConfig = "/etc/proteus/agent.toml";
constexpr const char* kFooter =
    "First steps on a new host:\n"
    "  proteus-agent check                  what this host can measure and do, and why not\n"
    "  proteus-agent keygen /etc/proteus    make this host's key; prints the line for the controller's list\n"
    "  proteus-agent --check-config         is /etc/proteus/agent.toml good?\n"
    "\n"
    "Exit codes: 0 ended as asked; 1 failed while running or could not start; 2 wrong usage or configuration;\n"
    "  3 calibrate: not now, the host is busy or was calibrated just before.";

int fail(int code, const std::string& message) {
  std::fprintf(stderr, "proteus-agent: %s\n", message.c_str());
  return code;
}

Result<AgentConfig> load(const std::string& config_file) {
  const Result<std::string> text = read_config_file(config_file);
  if (!text) return text.error();
  return parse_agent_config(*text, config_file);
}

/// Names one run of the agent; zero is nobody's.
std::uint64_t new_boot_id() {
  std::random_device source;
  std::uint64_t id = 0;
  while (id == 0) id = static_cast<std::uint64_t>(source()) << 32 | source();
  return id;
}

CollectorOptions collector_options(const AgentConfig& config) {
  CollectorOptions options;
  options.host = config.host;
  options.libvirt_uri = config.libvirt_uri;
  options.slow_interval = config.slow_interval;
  options.kernel_programs = config.kernel_programs;
  options.hook_statistics = config.hook_statistics;
  options.questions_path = config.state_directory + "/questions";
  options.calibration_path = calibrate::calibration_path(config.state_directory);
  options.migrate_uri = config.migrate_uri;
  options.libvirt_migration_uri = config.peer_uri;
  return options;
}

/// A file that is wrong stays wrong until somebody mends it; one that is not there, or cannot be read, may still come.
int exit_of(const Error& error) {
  return error.code == ErrorCode::kInvalidArgument ? kExitUsage : kExitFailed;
}

int run(const std::string& config_file) {
  keep_heap_small();
  const Result<AgentConfig> config = load(config_file);
  if (!config) return fail(exit_of(config.error()), config.error().message);
  if (Status ready = log::init("proteus-agent", config->log_level); !ready) {
    return fail(kExitUsage, ready.error().message);
  }
  Result<wire::KeyPair> keys =
      config->controllers.empty() ? Result<wire::KeyPair>(wire::KeyPair{}) : wire::read_key_pair(config->secret_key);
  if (!keys) {
    return fail(kExitFailed, keys.error().message + " (make one with: proteus-agent keygen FOLDER)");
  }
  wire::raise_file_limit();  // each CPU's counters hold three descriptors
  const sigset_t signals = block_signals();
  const Result<std::unique_ptr<StateDirectory>> state = StateDirectory::hold(config->state_directory);
  if (!state) return fail(kExitFailed, state.error().message);

  const std::uint64_t boot_id = new_boot_id();
  const SystemClock clock;
  zmq::context_t context;
  AgentQueues queues;

  // The collector counts what the publisher, made later, drops.
  std::atomic<const Agent*> counted{nullptr};
  CollectorOptions options = collector_options(*config);
  options.dropped_frames_count = [&counted]() -> std::uint64_t {
    const Agent* agent = counted;
    return agent == nullptr ? 0 : agent->dropped_frames();
  };
  const Result<std::unique_ptr<Collector>> collector = Collector::create(std::move(options), boot_id);
  if (!collector) return fail(kExitFailed, collector.error().message);

  act::LibvirtHypervisor hypervisor(config->libvirt_uri);
  const auto memory_available_bytes = []() -> Result<std::int64_t> {
    const auto available = collect::HostFiles("/").read().memory_available_bytes;
    if (!available) return Error{ErrorCode::kUnsupported, "this host does not say how much memory is available"};
    return *available;
  };

  Agent agent(*config, boot_id, std::move(*keys),
              AgentSurroundings{context, clock, **collector, hypervisor, memory_available_bytes}, queues);
  counted = &agent;
  if (Status started = agent.start(); !started) {
    end_process_after(kLibvirtPatience, kExitFailed);
    return fail(kExitFailed, started.error().message);
  }
  log::info("host '{}' measures every {} ms for {} controller(s)", config->host.value,
            std::chrono::duration_cast<std::chrono::milliseconds>(config->tick).count(), config->controllers.size());
  notify_service_manager("READY=1");

  // The first ticks have run by then, and what they need comes back by itself.
  const timespec settled{.tv_sec = kSettledAfterSeconds, .tv_nsec = 0};
  int signal = sigtimedwait(&signals, nullptr, &settled);
  if (signal < 0) {
    const std::size_t released = release_start_up_memory();
    log::debug("{} KiB of start-up's code and constants let go of", released / 1024);
    sigwait(&signals, &signal);
  }
  notify_service_manager("STOPPING=1");
  log::info("signal {}: ending", signal);
  agent.stop();
  end_process_after(kLibvirtPatience, 0);
  return 0;
}

int check(const std::string& config_file, bool config_given, bool json) {
  // A host is looked at before it is configured, too; but a file that was named must be good.
  AgentConfig config;
  if (config_given || ::access(config_file.c_str(), R_OK) == 0) {
    const Result<AgentConfig> loaded = load(config_file);
    if (!loaded) return fail(kExitUsage, loaded.error().message);
    config = *loaded;
  }
  if (Status ready = log::init("proteus-agent", "error"); !ready) return fail(kExitFailed, ready.error().message);
  if (::geteuid() != 0) {
    std::fprintf(stderr,
                 "proteus-agent: not run by root, whose rights kernel programs take: what follows is what this "
                 "user can have\n");
  }
  wire::raise_file_limit();
  const std::vector<CheckRow> rows = run_checks(collector_options(config));
  std::cout << (json ? check_json(rows) + "\n" : check_table(rows));
  return 0;
}

int ask(const std::string& config_file, const std::string& question, int seconds) {
  const Result<AgentConfig> config = load(config_file);
  if (!config) return fail(kExitUsage, config.error().message);
  if (!config->kernel_programs) {
    return fail(kExitFailed, "nothing is watched on demand here: kernel_programs = false in " + config_file);
  }
  if (question == collect::kQuestionNames[static_cast<std::size_t>(collect::Question::kKvmExits)]) {
    const auto can = collect::probe_kvm_exit_layout();
    if (!can) return fail(kExitFailed, question + " cannot be watched here: " + can.error().message);
  }
  const Timestamp now = SystemClock().now();
  const Status asked = collect::AskedQuestions::ask(config->state_directory + "/questions", question,
                                                    std::chrono::seconds(seconds), now);
  if (!asked) {
    return fail(asked.error().code == ErrorCode::kInvalidArgument ? kExitUsage : kExitFailed, asked.error().message);
  }
  std::cout << fmt::format(
      "{}: the agent of this host, once it runs, watches until {:%H:%M:%S} UTC; its log says so, or why it cannot\n",
      question, fmt::gmtime(to_unix_ns(now) / 1'000'000'000 + seconds));
  return 0;
}

int calibrate_host(const std::string& config_file, const std::string& directory, bool json) {
  calibrate::Options options;
  options.directory = directory;
  if (directory.empty()) {
    const Result<AgentConfig> config = load(config_file);
    if (!config) return fail(kExitUsage, config.error().message);
    options.directory = config->state_directory;
  }
  if (::access(options.directory.c_str(), W_OK) != 0) {
    return fail(kExitFailed, options.directory +
                                 " cannot be written to, so neither storage can be measured there nor "
                                 "the results kept");
  }
  const Timestamp now = SystemClock().now();
  if (const Status may = calibrate::may_calibrate(options, now); !may) {
    return fail(kExitRefused, "not calibrated: " + may.error().message);
  }
  const collect::Calibration calibration = calibrate::run_calibration(options, now);
  if (const Status kept = calibrate::keep_calibration(options, calibration); !kept) {
    return fail(kExitFailed, kept.error().message);
  }
  std::cout << (json ? collect::calibration_json(calibration) + "\n" : calibrate::calibration_table(calibration));
  return 0;
}

int keygen(const std::string& folder, std::string name) {
  if (name.empty()) {
    const Result<AgentConfig> defaults = parse_agent_config("", "");
    if (!defaults) return fail(kExitUsage, "this machine's name cannot name a host; give one with --name");
    name = defaults->host.value;
  }
  const Result<std::string> line = wire::make_key_files(folder, "agent", name);
  if (!line) return fail(kExitFailed, line.error().message);
  std::cerr << "for the controller's file of authorized agents:\n";
  std::cout << *line << '\n';
  return 0;
}

int main_of(int argc, char** argv) {
  CLI::App app{"Measures this host and its virtual machines for a Proteus controller, and carries out what it decides.",
               "proteus-agent"};
  app.footer(kFooter);
  app.set_version_flag("--version", "proteus-agent " PROTEUS_VERSION);
  std::string config_file = kDefaultConfig;
  bool check_config = false;
  bool json = false;
  std::string key_folder;
  std::string key_name;
  CLI::Option* config_option = app.add_option("--config", config_file, "configuration file")->capture_default_str();
  app.add_flag("--check-config", check_config, "read the configuration, say what is wrong with it, and end");
  app.fallthrough();
  app.require_subcommand(0, 1);
  app.add_subcommand("run", "run in the foreground (the default)");
  CLI::App* check_command = app.add_subcommand("check", "say what this host can measure and do, and why not the rest");
  check_command->add_flag("--json", json, "for programs");
  std::string question;
  int question_s = 60;
  CLI::App* ask_command = app.add_subcommand("ask", "have the running agent watch what costs too much to watch always");
  ask_command->add_option("QUESTION", question, "kvm_exits, net_softirq or packet_drops")->required();
  ask_command->add_option("--for", question_s, "90, 90s or 5m; at most ten minutes")
      ->transform(CLI::AsNumberWithUnit(std::map<std::string, int>{{"s", 1}, {"m", 60}},
                                        CLI::AsNumberWithUnit::CASE_SENSITIVE, "TIME"))
      ->capture_default_str();
  std::string calibrate_directory;
  CLI::App* calibrate_command = app.add_subcommand(
      "calibrate", "measure for six seconds what this host's CPUs, memory, storage and hypervisor can do");
  calibrate_command->add_flag("--json", json, "for programs");
  calibrate_command->add_option("--directory", calibrate_directory,
                                "on the storage to measure; keeps the results there as calibration.json (default: the "
                                "state directory, where the running agent finds and publishes them)");
  calibrate_command->footer(
      "Each figure is the median of three rounds; spread tells how far they lay apart. Refused (exit code 3) where "
      "the\n"
      "load of the last minute is above half the CPUs, and within ten minutes of the last time.");
  CLI::App* keygen_command = app.add_subcommand("keygen", "make agent.key and agent.pub in FOLDER");
  keygen_command->add_option("FOLDER", key_folder, "where")->required();
  keygen_command->add_option("--name", key_name, "this host's name in the cluster (default: the machine's)");
  app.failure_message(
      [](const CLI::App*, const CLI::Error& error) { return usage_line("proteus-agent", error.what()); });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (keygen_command->parsed()) return keygen(key_folder, key_name);
  if (check_command->parsed()) return check(config_file, config_option->count() > 0, json);
  if (calibrate_command->parsed()) return calibrate_host(config_file, calibrate_directory, json);
  if (ask_command->parsed()) return ask(config_file, question, question_s);
  if (check_config) {
    const Result<AgentConfig> config = load(config_file);
    if (!config) return fail(exit_of(config.error()), config.error().message);
    std::cout << config_file << " is good\n";
    if (config->tick > std::chrono::seconds(3)) {
      std::cerr << "proteus-agent: warning: tick is long: controllers call a host stale after 10 s without telemetry; "
                   "[view] staleness there should be three ticks\n";
    }
    if (config->controllers.empty()) return 0;
    if (const auto keys = wire::read_key_pair(config->secret_key); !keys) {
      return fail(exit_of(keys.error()), "but what it names is not: " + keys.error().message);
    }
    return 0;
  }
  return run(config_file);
}

}  // namespace
}  // namespace proteus

int main(int argc, char** argv) {
  return proteus::flushed(proteus::main_of(argc, argv), "proteus-agent");
}
