// proteusctl: one command of the controller's operators. Single-threaded; everything but `replay`, `simulate`,
// `policy`, `learning train` and `completion` is a request to the controller's HTTP API.

#include <fmt/core.h>
#include <pwd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "common/standard_output.h"
#include "controller/ctl/client.h"
#include "controller/ctl/completion.h"
#include "controller/ctl/destination.h"
#include "controller/ctl/examples.h"
#include "controller/ctl/history_command.h"
#include "controller/ctl/json_text.h"
#include "controller/ctl/learning_command.h"
#include "controller/ctl/plot.h"
#include "controller/ctl/policy_command.h"
#include "controller/ctl/print.h"
#include "controller/ctl/query_command.h"
#include "controller/ctl/replay_command.h"
#include "controller/ctl/request_path.h"
#include "controller/ctl/simulate_command.h"
#include "controller/ctl/svg.h"
#include "controller/ctl/top.h"
#include "controller/ctl/tune_command.h"

namespace proteus::ctl {
namespace {

// Exit codes, as the help text and the manual say.
constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr int kUnreachable = 3;
constexpr int kNotFound = 4;
constexpr int kDifferent = 5;
constexpr int kNotBetter = 6;
constexpr int kInvalidPolicy = 6;

constexpr mode_t kRecordingMode = 0600;  // it holds names of VMs and people

int report(const Error& error) {
  std::cerr << "proteusctl: " << error.message << "\n";
  switch (error.code) {
    case ErrorCode::kInvalidArgument: return kUsage;
    case ErrorCode::kUnavailable: return kUnreachable;
    case ErrorCode::kNotFound: return kNotFound;
    default: return kFailed;
  }
}

std::string user_name() {
  // sudo's user is who asked; the audit trail should not say "root" for everybody.
  if (const char* sudo_user = std::getenv("SUDO_USER")) return sudo_user;
  const passwd* entry = getpwuid(getuid());
  return entry != nullptr ? entry->pw_name : std::to_string(getuid());
}

struct Options {
  ClientOptions client;
  bool json = false;
  std::string vm;
  std::string resource = "cpu";
  bool plot = false;
  std::string svg_file;
  std::string id;
  std::string host;
  std::string on_off;
  int limit = 200;
  bool all = false;
  std::string from;
  std::string to;
  std::vector<std::string> hosts;
  std::vector<std::string> vms;
  std::vector<std::string> kinds;
  std::string file;
  double interval_s = 1;
  int frames = 0;
  std::string shell = "bash";
  ReplayCommand replay;
  SeriesRequest series;
  PolicyCommand policy;
  TuneCommand tune;
  LearningCommand learning;
};

/// Sends requests for one invocation, printing JSON or text.
class Session {
 public:
  Session(Client client, const Options& options) : client_(std::move(client)), options_(options) {}

  template <typename Print>
  int show(const std::string& path, const Print& print) {
    const Result<Json> answer = client_.get(path);
    if (!answer) return report(answer.error());
    if (options_.json) {
      std::cout << json_text(*answer) << "\n";
    } else {
      std::cout << print(*answer);
    }
    return 0;
  }

  /// show() of the cluster as it is: with a word where that is not so any more.
  template <typename Print>
  int show_current(const std::string& path, const Print& print) {
    const int code = show(path, print);
    if (code != 0 || options_.json) return code;
    const Result<Json> status = client_.get("/v1/status");
    const std::string problem = status ? status->at("ingest").value("problem", "") : "";
    if (!problem.empty()) {
      std::cout.flush();
      std::cerr << "proteusctl: this is how it was when the controller last took telemetry; now it takes none: "
                << problem << "\n";
    }
    return code;
  }

  int post(const std::string& path, Json body, const std::string& done) {
    body["by"] = user_name();
    const Result<Json> answer = client_.post(path, body);
    if (!answer) return report(answer.error());
    std::cout << (options_.json ? json_text(*answer) : done) << "\n";
    return 0;
  }

  VmNames names() {
    if (options_.json) return {};
    const Result<Json> vms = client_.get("/v1/vms");
    return vms ? vm_names(*vms) : VmNames{};
  }

  int forecast() {
    const Result<Json> answer =
        client_.get("/v1/vms/" + url_encode(options_.vm) + "/forecast?resource=" + url_encode(options_.resource));
    if (!answer) return report(answer.error());
    if (!options_.svg_file.empty()) {
      if (const Status written = write_text(options_.svg_file, svg_forecast(*answer)); !written) {
        return report(written.error());
      }
    }
    if (options_.json) {
      std::cout << json_text(*answer) << "\n";
    } else if (options_.plot || options_.svg_file.empty()) {
      std::cout << (options_.plot ? plot_forecast(*answer, 100, 20) : print_forecast(*answer));
    } else {
      std::cout << options_.svg_file << " drawn\n";
    }
    return 0;
  }

  int accuracy() {
    return show("/v1/accuracy" + (options_.vm.empty() ? "" : "?vm=" + url_encode(options_.vm)),
                [&](const Json& answer) { return print_accuracy(answer, !options_.vm.empty()); });
  }

  int explain() {
    std::string id = options_.id;
    bool decision = false;
    if (!id.empty() && (id[0] == 'A' || id[0] == 'D' || id[0] == 'a' || id[0] == 'd')) {
      decision = id[0] == 'D' || id[0] == 'd';
      id.erase(0, 1);
    }
    if (id.empty() || id.find_first_not_of("0123456789") != std::string::npos) {
      return report(
          {ErrorCode::kInvalidArgument, "'" + options_.id + "' is not an id: A12 is an action, D345 a decision"});
    }
    const VmNames known = names();
    if (decision) return show("/v1/decisions/" + id, [&](const Json& answer) { return print_decision(answer, known); });
    return show("/v1/actions/" + id, [&](const Json& answer) { return print_action(answer, known); });
  }

  int history() {
    HistoryRequest asked{options_.limit, options_.all,  options_.vms, options_.hosts,
                         options_.kinds, options_.from, options_.to};
    return show(history_path(asked), [&](const Json& entries) {
      if (entries.empty() && asked.selects()) return std::string("nothing in the journal is of what was asked for\n");
      return print_history(entries, names());
    });
  }

  int record() {
    RequestPath path("/v1/record");
    path.add("from", options_.from);
    path.add("to", options_.to);
    path.add("host", options_.hosts);
    return download(path.text(), kRecordingMode);
  }

  /// Nothing measured is "not found", of a query as of an export, whether or not a series was named.
  int query() {
    const Result<Json> answer = client_.get(query_path(options_.series));
    if (!answer) return report(answer.error());
    if (options_.json) {
      std::cout << json_text(*answer) << "\n";
    } else {
      std::cout << print_query(*answer, names_vms_by_uuid(*answer) ? names() : VmNames{});
    }
    return answer->at("lines").empty() ? kNotFound : 0;
  }

  /// Into the file that was named.
  int download(const std::string& path, mode_t mode = 0666) {
    const Result<Client::Downloaded> got = client_.download(path, options_.file, mode);
    if (!got) return report(got.error());
    std::ostream& out = Destination::is_standard_output(options_.file) ? std::cerr : std::cout;
    if (options_.json) {
      out << json_text({{"file", options_.file}, {"bytes", got->bytes}, {"warning", got->warning}}) << "\n";
    } else {
      out << options_.file << ": " << got->bytes << " bytes\n";
      if (!got->warning.empty()) std::cerr << "proteusctl: warning: " << got->warning << "\n";
    }
    if (!got->nothing_measured) return 0;
    std::cout.flush();
    std::cerr << "proteusctl: nothing was measured in that time\n";
    return kNotFound;
  }

  int tune() {
    const Result<bool> better = run_tune(client_, options_.tune, options_.json, std::cout);
    if (!better) return report(better.error());
    return *better ? 0 : kNotBetter;
  }

  int watch() {
    const Status done = top(client_, options_.interval_s, options_.frames);
    return done ? 0 : report(done.error());
  }

 private:
  Client client_;
  const Options& options_;
};

std::string action_number(const std::string& id) {
  return !id.empty() && (id[0] == 'A' || id[0] == 'a') ? id.substr(1) : id;
}

/// A variable that a script forgot to set must not select everything.
const CLI::Validator kNotEmpty([](const std::string& text) { return text.empty() ? "must not be empty" : ""; }, "");

/// An option that takes one value each time it is given, and leaves the word behind it alone.
void repeated(CLI::App* command, const char* name, std::vector<std::string>& values, const char* help) {
  command->add_option(name, values, help)->allow_extra_args(false)->check(kNotEmpty);
}

/// proteusctl policy check|test|diff.
void add_policy_verbs(CLI::App& policy, Options& options) {
  policy.require_subcommand(1);
  const auto verb = [&](const char* name, const char* help) {
    CLI::App* command = policy.add_subcommand(name, help);
    command->add_option("FILE", options.policy.file, "a policy")->required();
    command->add_flag("--json", options.policy.json, "print JSON");
    return command;
  };
  const auto add_recording = [&](CLI::App* command) {
    command->add_option("--record", options.policy.recording, "a recording (proteusctl record)")->required();
    command->add_option("--limit", options.policy.limit, "lines of detail")
        ->check(CLI::Range(1, 1000000))
        ->capture_default_str();
  };
  verb("check", "is the file valid; every problem with its line, else what it holds");
  CLI::App* test = verb("test", "what the policy would have done in a recorded cluster, and what its rules forbade");
  add_recording(test);
  test->add_option("--at", options.policy.at, "explain the decision at this time: 2026-01-31T08:00:00Z");
  CLI::App* diff = verb("diff", "where the decisions of two policies part in the same recorded cluster");
  diff->add_option("OTHER", options.policy.other, "the other policy")->required();
  add_recording(diff);
}

/// proteusctl learning status|train.
void add_learning_verbs(CLI::App& learning, Options& options) {
  learning.require_subcommand(1);
  CLI::App* status =
      learning.add_subcommand("status", "what has been learned of actions' outcomes, and whether it acts");
  status->add_flag("--json", options.json, "print the API's answer as JSON");
  CLI::App* train = learning.add_subcommand(
      "train", "learn from the outcomes in recordings, or in simulated weeks; needs no controller");
  train->add_option("FILE", options.learning.recordings, "recordings (proteusctl record), oldest first");
  SimulatedWeeks& weeks = options.learning.weeks;
  train->add_option("--simulate", weeks.data, "learn in weeks of simulate kvm: the directory of its traces");
  train->add_option("--scenario", weeks.scenario, "of these weeks: small, normal or large")->capture_default_str();
  train->add_option("--first-seed", weeks.first_seed, "of these weeks")->capture_default_str();
  train->add_option("--last-seed", weeks.last_seed, "of these weeks")->capture_default_str();
  train->add_option("--out", options.learning.out, "write the model into this file, for [learning] model");
  train->add_option("--from", options.learning.from, "a model to begin with")->check(CLI::ExistingFile);
  train->add_flag("--json", options.learning.json, "print JSON");
}

/// What the parser says, as everything else here is said: in one line.
std::string usage_line(const CLI::App*, const CLI::Error& error) {
  std::string what = error.what();
  std::replace(what.begin(), what.end(), '\n', ' ');
  return fmt::format("proteusctl: {}; run with --help for more information\n", what);
}

int run_policy(const std::string& verb, const PolicyCommand& command) {
  if (verb == "check") {
    const Result<bool> valid = check_policy(command, std::cout);
    if (!valid) return report(valid.error());
    return *valid ? 0 : kInvalidPolicy;
  }
  if (verb == "test") {
    const Status done = test_policy(command, std::cout);
    return done ? 0 : report(done.error());
  }
  const Result<bool> same = diff_policies(command, std::cout);
  if (!same) return report(same.error());
  return *same ? 0 : kDifferent;
}

int run(int argc, char** argv) {
  CLI::App app{"Looks at and steers a Proteus controller.", "proteusctl"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "proteusctl " PROTEUS_VERSION);
  Options options;
  app.add_option("--url", options.client.url, "the controller's API")->envname("PROTEUS_URL")->capture_default_str();
  app.add_option("--token-file", options.client.token_file, "file with the API token")
      ->envname("PROTEUS_TOKEN_FILE")
      ->capture_default_str();
  app.add_option("--ca-file", options.client.ca_file, "certificates to trust for https (PEM)")
      ->envname("PROTEUS_CA_FILE");
  app.fallthrough();
  const auto verb = [&](const char* name, const char* help) {
    CLI::App* command = app.add_subcommand(name, help);
    command->add_flag("--json", options.json, "print the API's answer as JSON");
    return command;
  };

  app.add_subcommand("kpis", "every figure that is measured: of what, its kind, unit and source; needs no controller")
      ->add_flag("--json", options.json, "print JSON");
  verb("status", "the controller: policy, cycle, telemetry, store");
  verb("hosts", "every host: capacity, use, forecast, waiting, VMs");
  verb("vms", "every VM: where it is, what it uses, wants and may use");
  CLI::App* forecast = verb("forecast", "a VM's predicted demand and how well each model has done");
  forecast->add_option("VM", options.vm, "name or UUID")->check(kNotEmpty)->required();
  forecast->add_option("--resource", options.resource, "cpu, memory, block_io or network")->capture_default_str();
  forecast->add_flag("--plot", options.plot, "draw history, median and bands");
  forecast->add_option("--svg", options.svg_file, "draw them into this file, as SVG");
  CLI::App* accuracy = verb("accuracy", "how forecasts have turned out: loss, error and coverage by lead and model");
  accuracy->add_option("VM", options.vm, "name or UUID: all models of this VM; default: the chosen ones of all VMs")
      ->check(kNotEmpty);
  accuracy->footer(
      "One row per lead: the first, the middle and the last step of the horizon; recent steps weigh more.\n"
      "  PINBALL LOSS   over the five quantiles, in the series' unit; compare models of one series by it\n"
      "  MASE           error of the median over the mean change in a season (or a step); below 1 is good\n"
      "  BELOW P50 ...  share of steps at or below that quantile; true coverage is 50, 90, 95, 99 %\n"
      "  SHARE          of the model in the forecast at this lead; 'blend' is the forecast as told\n"
      "  NOTE           which one is told, and why others are set aside\n\n"
      "Examples:\n"
      "  proteusctl accuracy               one line a series and lead\n"
      "  proteusctl accuracy web1          every model of one VM\n"
      "  proteusctl accuracy --json        for programs");
  CLI::App* tune = verb("tune", "train the forecasts' networks on what this cluster's VMs do");
  tune->add_option("FILE", options.tune.file, "where the weights go")->required();
  tune->add_option("--from", options.tune.from, "weights to begin with; default: the program's own")
      ->check(CLI::ExistingFile);
  tune->add_option("--epochs", options.tune.options.epochs, "at most")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  tune->add_option("--seed", options.tune.options.seed, "of everything that is drawn")->capture_default_str();
  tune->footer(
      "Reads the history that the controller keeps of every VM (seven days at least: [forecast] history_steps), "
      "learns\n"
      "from all but its newest four days, and writes FILE only if the networks are better for it on the newest two.\n"
      "[forecast] weights = \"FILE\" gives it to the controller. Exit code 6: not better, nothing written.");
  verb("plan", "the last cycle's decision and the actions under way");
  CLI::App* explain =
      verb("explain", "why: the sum of score terms of what was chosen, of its alternatives and of doing nothing");
  explain->add_option("ID", options.id, "A12 or 12: an action; D345: a decision")->check(kNotEmpty)->required();
  CLI::App* approve = verb("approve", "let an action that awaits approval begin");
  approve->add_option("ID", options.id, "the action")->check(kNotEmpty)->required();
  CLI::App* reject = verb("reject", "refuse an action that awaits approval");
  reject->add_option("ID", options.id, "the action")->check(kNotEmpty)->required();
  CLI::App* history = verb("history", "the journal: decisions, actions, what people said");
  history->add_option("--limit", options.limit, "newest entries shown")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  history->add_flag("--all", options.all, "also cycles, commands and the agents' words");
  repeated(history, "--vm", options.vms, "only what bears on this VM, name or UUID; may repeat");
  repeated(history, "--host", options.hosts, "only what bears on this host; may repeat");
  repeated(history, "--kind", options.kinds, "only decision, action, transition, operator, agent, ...; may repeat");
  history
      ->add_option("--from,--since", options.from,
                   "2026-01-31T08:00:00Z, 2026-01-31 (UTC), -15m or seconds since 1970; default: the beginning")
      ->check(kNotEmpty);
  history->add_option("--to", options.to, "likewise; default: now")->check(kNotEmpty);
  CLI::App* maintenance = verb("maintenance", "empty a host and keep it empty, or take it back");
  maintenance->add_option("HOST", options.host, "its name")->check(kNotEmpty)->required();
  maintenance->add_option("on|off", options.on_off)->required()->check(CLI::IsMember({"on", "off"}));
  verb("pause", "kill switch: begin nothing, abort running migrations");
  verb("resume", "act again");
  const auto select = [&](CLI::App* command) {
    repeated(command, "--host", options.series.hosts, "only this host; may repeat");
    repeated(command, "--vm", options.series.vms, "name or UUID: this VM and what belongs to it; may repeat");
    command
        ->add_option("--entity", options.series.entity,
                     "name of a vCPU, disk, tap or host, or as query prints it: web/0")
        ->check(kNotEmpty);
    repeated(command, "--label", options.series.labels, "KEY=VALUE that the entity or its VM carries; may repeat");
    command
        ->add_option("--from", options.series.from,
                     "2026-01-31T08:00:00Z, 2026-01-31 (UTC), -15m or seconds since 1970; default: -1h")
        ->check(kNotEmpty);
    command->add_option("--to", options.series.to, "likewise; default: now")->check(kNotEmpty);
  };
  CLI::App* query = verb("query", "what was measured: a figure over time, by series or joined");
  query->add_option("KPI", options.series.kpi, "its name, as `proteusctl kpis` lists them")->required();
  select(query);
  query->add_option("--step", options.series.step, "30s, 5m, 1h; default: about 120 steps");
  query->add_option("--fn", options.series.function,
                    "mean, min, max, last, p95, rate, increase or quantile of each step; default: what suits the KPI");
  query->add_option("--quantile", options.series.quantile, "of a histogram, 0 to 1; default: 0.99")
      ->check(CLI::Range(0.0, 1.0));
  query->add_option("--across", options.series.across, "join series by sum, mean, min or max");
  repeated(query, "--by", options.series.by, "join only those that share host, vm, entity or a label; may repeat");
  query->add_option("--top", options.series.top, "only so many, with the highest means");
  CLI::App* exporting = verb("export", "write every value that was measured into a file, for other tools");
  exporting->add_option("FILE", options.file, "where to write it; -: standard output")->required();
  repeated(exporting, "--kpi", options.series.kpis, "only this KPI; may repeat");
  exporting->add_option("--format", options.series.format, "csv, openmetrics or arrow")
      ->check(CLI::IsMember({"csv", "openmetrics", "arrow"}));
  select(exporting);
  CLI::App* record = verb("record", "cut telemetry and journal into one portable file");
  record->add_option("FILE", options.file, "where to write it; -: standard output")->required();
  record
      ->add_option(
          "--from", options.from,
          "2026-01-31T08:00:00Z, 2026-01-31 (UTC), -15m or seconds since 1970; default: the controller's start")
      ->check(kNotEmpty);
  record->add_option("--to", options.to, "likewise; default: now")->check(kNotEmpty);
  repeated(record, "--host", options.hosts, "only this host; may repeat");
  CLI::App* replay =
      verb("replay", "decide again from a recording, on a virtual clock; needs no controller and no root");
  replay->add_option("FILE", options.replay.file, "a recording; -: standard input")->required();
  replay->add_option("--policy", options.replay.policy_file, "decide by this policy instead of the recorded one");
  replay->add_option("--weights", options.replay.weights_file,
                     "of the networks that the controller had ([forecast] weights)");
  replay->add_option("--speed", options.replay.speed, "times real time, up to 1000000, or max")->capture_default_str();
  replay->add_flag("--diff", options.replay.diff, "compare with the recorded decisions; exit code 5 if they differ");
  const SimulateCommand simulate(app, options.json);
  CLI::App* policy = app.add_subcommand("policy", "check, try and compare policy files; needs no controller");
  add_policy_verbs(*policy, options);
  CLI::App* learning = app.add_subcommand("learning", "what actions turned out to be worth, and what is made of it");
  add_learning_verbs(*learning, options);
  CLI::App* watch = app.add_subcommand("top", "a live view of all of it; q leaves");
  watch->add_option("--interval", options.interval_s, "seconds between pictures")
      ->check(CLI::Range(0.2, 3600.0))
      ->capture_default_str();
  watch->add_option("--frames", options.frames, "pictures to draw; 0: until q")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  CLI::App* completion =
      app.add_subcommand("completion", "print shell completion: eval \"$(proteusctl completion bash)\"");
  completion->add_option("SHELL", options.shell)->check(CLI::IsMember({"bash", "zsh"}))->capture_default_str();

  add_examples(app);

  app.failure_message(usage_line);
  app.allow_extras();  // so that a command that does not exist can be named
  try {
    app.parse(argc, argv);
  } catch (const CLI::RequiredError& error) {
    const std::vector<std::string> unknown = app.remaining();
    if (unknown.empty() || !app.get_subcommands().empty()) return app.exit(error), kUsage;
    std::cerr << "proteusctl: there is no command '" << unknown.front() << "'; proteusctl --help lists them\n";
    return kUsage;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  if (const std::vector<std::string> unknown = app.remaining(true); !unknown.empty()) {
    std::cerr << "proteusctl: '" << unknown.front() << "' is not understood; run with --help for more information\n";
    return kUsage;
  }
  const std::string command = app.get_subcommands().front()->get_name();
  if (command == "completion") {
    std::cout << completion_script(app, options.shell);
    return 0;
  }
  if (command == "kpis") {
    std::cout << print_kpis(options.json);
    return 0;
  }
  if (command == "policy") return run_policy(policy->get_subcommands().front()->get_name(), options.policy);
  if (command == "replay") {
    options.replay.json = options.json;
    const Result<bool> same = run_replay(options.replay, std::cout);
    if (!same) return report(same.error());
    return *same ? 0 : kDifferent;
  }

  const bool learns = command == "learning";
  if (learns && learning->get_subcommands().front()->get_name() == "train") {
    const Status done = train_learning(options.learning, std::cout);
    return done ? 0 : report(done.error());
  }
  if (command == "simulate") {
    const Status done = simulate.run(std::cout);
    return done ? 0 : report(done.error());
  }

  Result<Client> client = Client::create(options.client);
  if (!client) return report(client.error());
  Session session(std::move(*client), options);
  if (learns) return session.show("/v1/learning", print_learning);
  if (command == "status") return session.show("/v1/status", print_status);
  if (command == "hosts") return session.show_current("/v1/hosts", print_hosts);
  if (command == "vms") return session.show_current("/v1/vms", print_vms);
  if (command == "forecast") return session.forecast();
  if (command == "accuracy") return session.accuracy();
  if (command == "plan")
    return session.show_current("/v1/plan", [&](const Json& plan) { return print_plan(plan, session.names()); });
  if (command == "explain") return session.explain();
  if (command == "approve" || command == "reject") {
    const std::string number = action_number(options.id);
    if (number.empty() || number.find_first_not_of("0123456789") != std::string::npos) {
      return report({ErrorCode::kInvalidArgument, "'" + options.id + "' is not an action: A12 or 12"});
    }
    return session.post("/v1/actions/" + number + "/" + command, Json::object(),
                        "action " + options.id + (command == "approve" ? " approved" : " rejected"));
  }
  if (command == "history") {
    return session.history();
  }
  if (command == "maintenance") {
    return session.post("/v1/hosts/" + url_encode(options.host) + "/maintenance", Json{{"on", options.on_off == "on"}},
                        "maintenance of " + options.host + " is " + options.on_off);
  }
  if (command == "pause") return session.post("/v1/pause", Json::object(), "paused");
  if (command == "resume") return session.post("/v1/resume", Json::object(), "resumed");
  if (command == "record") return session.record();
  if (command == "tune") return session.tune();
  if (command == "query") return session.query();
  if (command == "export") return session.download(export_path(options.series));
  return session.watch();
}

}  // namespace
}  // namespace proteus::ctl

int main(int argc, char** argv) {
  return proteus::flushed(proteus::ctl::run(argc, argv), "proteusctl");
}
