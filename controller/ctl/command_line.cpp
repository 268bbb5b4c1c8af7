#include "controller/ctl/command_line.h"

#include <iostream>

#include "common/usage_line.h"
#include "controller/ctl/examples.h"
#include "controller/ctl/exit_code.h"

namespace proteus::ctl {
namespace {

/// A variable that a script forgot to set must not select everything.
const CLI::Validator kNotEmpty([](const std::string& text) { return text.empty() ? "must not be empty" : ""; }, "");

/// An option that takes one value each time it is given, and leaves the word behind it alone.
void repeated(CLI::App* command, const char* name, std::vector<std::string>& values, const char* help) {
  command->add_option(name, values, help)->allow_extra_args(false)->check(kNotEmpty);
}

/// A command that prints what the API answers.
CLI::App* verb(CLI::App& app, Options& options, const char* name, const char* help) {
  CLI::App* command = app.add_subcommand(name, help);
  command->add_flag("--json", options.json, "print JSON: the API's answer, or of what is done here what it came to");
  return command;
}

void add_looks(CLI::App& app, Options& options) {
  app.add_subcommand("kpis", "every figure that is measured: of what, its kind, unit and source; needs no controller")
      ->add_flag("--json", options.json, "print JSON");
  verb(app, options, "status", "the controller: policy, cycle, telemetry, store");
  verb(app, options, "hosts", "every host: capacity, use, forecast, waiting, VMs");
  verb(app, options, "vms", "every VM: where it is, what it uses, wants and may use");
}

void add_forecasts(CLI::App& app, Options& options) {
  CLI::App* forecast = verb(app, options, "forecast", "a VM's predicted demand and how well each model has done");
  forecast->add_option("VM", options.vm, "name or UUID")->check(kNotEmpty)->required();
  forecast->add_option("--resource", options.resource, "cpu, memory, block_io or network")->capture_default_str();
  forecast->add_flag("--plot", options.plot, "draw history, median and bands");
  forecast->add_option("--svg", options.svg_file, "draw them into this file, as SVG");
  CLI::App* accuracy =
      verb(app, options, "accuracy", "how forecasts have turned out: loss, error and coverage by lead and model");
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
  CLI::App* tune = verb(app, options, "tune", "train the forecasts' networks on what this cluster's VMs do");
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
}

void add_actions(CLI::App& app, Options& options) {
  verb(app, options, "plan", "the last cycle's decision and the actions under way");
  CLI::App* explain = verb(app, options, "explain",
                           "why: the sum of score terms of what was chosen, of its alternatives and of doing nothing");
  explain->add_option("ID", options.id, "A12 or 12: an action; D345: a decision")->check(kNotEmpty)->required();
  CLI::App* approve = verb(app, options, "approve", "let an action that awaits approval begin");
  approve->add_option("ID", options.id, "the action")->check(kNotEmpty)->required();
  CLI::App* reject = verb(app, options, "reject", "refuse an action that awaits approval");
  reject->add_option("ID", options.id, "the action")->check(kNotEmpty)->required();
  CLI::App* history = verb(app, options, "history", "the journal: decisions, actions, what people said");
  history->add_option("--limit", options.limit, "newest entries shown")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  history->add_flag("--all", options.all, "also cycles, commands and the agents' words");
  repeated(history, "--vm", options.vms, "only what bears on this VM, name or UUID; may repeat");
  repeated(history, "--host", options.hosts, "only what bears on this host; may repeat");
  repeated(history, "--kind", options.kinds, "only decision, action, transition, operator, agent, ...; may repeat");
  history
      ->add_option("--from,--since", options.from,
                   "2026-01-31T08:00:00Z, 2026-01-31 (UTC), -15m or seconds since 1970; default: the newest 100,000 "
                   "entries, about a day")
      ->check(kNotEmpty);
  history->add_option("--to", options.to, "likewise; default: now")->check(kNotEmpty);
  CLI::App* maintenance = verb(app, options, "maintenance", "empty a host and keep it empty, or take it back");
  maintenance->add_option("HOST", options.host, "its name")->check(kNotEmpty)->required();
  maintenance->add_option("on|off", options.on_off)->required()->check(CLI::IsMember({"on", "off"}));
  verb(app, options, "pause", "kill switch: begin nothing, abort running migrations");
  verb(app, options, "resume", "act again");
}

/// Of what, and of when.
void select_series(CLI::App* command, Options& options) {
  repeated(command, "--host", options.series.hosts, "only this host; may repeat");
  repeated(command, "--vm", options.series.vms, "name or UUID: this VM and what belongs to it; may repeat");
  command
      ->add_option("--entity", options.series.entity, "name of a vCPU, disk, tap or host, or as query prints it: web/0")
      ->check(kNotEmpty);
  repeated(command, "--label", options.series.labels, "KEY=VALUE that the entity or its VM carries; may repeat");
  command
      ->add_option("--from", options.series.from,
                   "2026-01-31T08:00:00Z, 2026-01-31 (UTC), -15m or seconds since 1970; default: -1h")
      ->check(kNotEmpty);
  command->add_option("--to", options.series.to, "likewise; default: now")->check(kNotEmpty);
}

void add_series(CLI::App& app, Options& options) {
  CLI::App* query = verb(app, options, "query", "what was measured: a figure over time, by series or joined");
  query->add_option("KPI", options.series.kpi, "its name, as `proteusctl kpis` lists them")->required();
  select_series(query, options);
  query->add_option("--step", options.series.step, "30s, 5m, 1h; default: about 120 steps, of a day at most");
  query->add_option("--fn", options.series.function,
                    "mean, min, max, last, p95, rate, increase or quantile of each step; default: what suits the KPI");
  query->add_option("--quantile", options.series.quantile, "of a histogram, 0 to 1; default: 0.99")
      ->check(CLI::Range(0.0, 1.0));
  query->add_option("--across", options.series.across, "join series by sum, mean, min or max");
  repeated(query, "--by", options.series.by, "join only those that share host, vm, entity or a label; may repeat");
  query->add_option("--top", options.series.top, "only so many, with the highest means");
  CLI::App* exporting =
      verb(app, options, "export", "write every value that was measured into a file, for other tools");
  exporting->add_option("FILE", options.file, "where to write it; -: standard output")->required();
  repeated(exporting, "--kpi", options.series.kpis, "only this KPI; may repeat");
  exporting->add_option("--format", options.series.format, "csv, openmetrics or arrow")
      ->check(CLI::IsMember({"csv", "openmetrics", "arrow"}));
  select_series(exporting, options);
}

void add_recordings(CLI::App& app, Options& options) {
  CLI::App* record = verb(app, options, "record", "cut telemetry and journal into one portable file");
  record->add_option("FILE", options.file, "where to write it; -: standard output")->required();
  record
      ->add_option(
          "--from", options.from,
          "2026-01-31T08:00:00Z, 2026-01-31 (UTC), -15m or seconds since 1970; default: the present run's beginning")
      ->check(kNotEmpty);
  record->add_option("--to", options.to, "likewise; default: now")->check(kNotEmpty);
  repeated(record, "--host", options.hosts, "only this host; may repeat");
  CLI::App* replay = verb(app, options, "replay",
                          "decide again from a recording, on a virtual clock; needs no controller and no root");
  replay->add_option("FILE", options.replay.file, "a recording; -: standard input")->required();
  replay->add_option("--policy", options.replay.policy_file, "decide by this policy instead of the recorded one");
  replay->add_option("--weights", options.replay.weights_file,
                     "of the networks that the controller had ([forecast] weights)");
  replay->add_option("--speed", options.replay.speed, "times real time, up to 1000000, or max")->capture_default_str();
  replay->add_flag("--diff", options.replay.diff, "compare with the recorded decisions; exit code 5 if they differ");
}

/// proteusctl policy check|test|diff.
void add_policy_verbs(CLI::App& policy, Options& options) {
  policy.require_subcommand(1);
  const auto on_file = [&](const char* name, const char* help) {
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
  on_file("check", "is the file valid; every problem with its line, else what it holds");
  CLI::App* test = on_file("test", "what the policy would have done in a recorded cluster, and what its rules forbade");
  add_recording(test);
  test->add_option("--at", options.policy.at,
                   "explain the decision at this time: 2026-01-31T08:00:00Z, or -15m before its end");
  CLI::App* diff = on_file("diff", "where the decisions of two policies part in the same recorded cluster");
  diff->add_option("OTHER", options.policy.other, "the other policy")->required();
  add_recording(diff);
}

/// proteusctl learning status|train.
void add_learning_verbs(CLI::App& learning, Options& options) {
  learning.require_subcommand(1);
  CLI::App* status =
      learning.add_subcommand("status", "what has been learned of actions' outcomes, and whether it acts");
  status->add_flag("--json", options.json, "print JSON: the API's answer, or of what is done here what it came to");
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

}  // namespace

CommandLine::CommandLine() : app_("Looks at and steers a Proteus controller.", "proteusctl") {
  app_.require_subcommand(1);
  app_.set_version_flag("--version", "proteusctl " PROTEUS_VERSION);
  app_.add_option("--url", options_.client.url, "the controller's API")->envname("PROTEUS_URL")->capture_default_str();
  app_.add_option("--token-file", options_.client.token_file, "file with the API token")
      ->envname("PROTEUS_TOKEN_FILE")
      ->capture_default_str();
  app_.add_option("--ca-file", options_.client.ca_file, "certificates to trust for https (PEM)")
      ->envname("PROTEUS_CA_FILE");
  app_.fallthrough();

  add_looks(app_, options_);
  add_forecasts(app_, options_);
  add_actions(app_, options_);
  add_series(app_, options_);
  add_recordings(app_, options_);
  simulate_ = std::make_unique<SimulateCommand>(app_, options_.json);
  CLI::App* policy = app_.add_subcommand("policy", "check, try and compare policy files; needs no controller");
  add_policy_verbs(*policy, options_);
  CLI::App* learning = app_.add_subcommand("learning", "what actions turned out to be worth, and what is made of it");
  add_learning_verbs(*learning, options_);
  CLI::App* watch = app_.add_subcommand("top", "a live view of all of it; q leaves");
  watch->add_option("--interval", options_.interval_s, "seconds between pictures")
      ->check(CLI::Range(0.2, 3600.0))
      ->capture_default_str();
  watch->add_option("--frames", options_.frames, "pictures to draw; 0: until q")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  CLI::App* completion =
      app_.add_subcommand("completion", "print shell completion: eval \"$(proteusctl completion bash)\"");
  completion->add_option("SHELL", options_.shell)->check(CLI::IsMember({"bash", "zsh"}))->capture_default_str();

  add_examples(app_);
  app_.failure_message([](const CLI::App*, const CLI::Error& error) { return usage_line("proteusctl", error.what()); });
  app_.allow_extras();  // so that a command that does not exist can be named
}

std::optional<int> CommandLine::parse(int argc, char** argv) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::RequiredError& error) {
    const std::vector<std::string> unknown = app_.remaining();
    if (unknown.empty() || !app_.get_subcommands().empty()) return app_.exit(error), kUsage;
    std::cerr << "proteusctl: there is no command '" << unknown.front() << "'; proteusctl --help lists them\n";
    return kUsage;
  } catch (const CLI::ParseError& error) {
    return app_.exit(error) == 0 ? 0 : kUsage;
  }
  if (const std::vector<std::string> unknown = app_.remaining(true); !unknown.empty()) {
    std::cerr << "proteusctl: '" << unknown.front() << "' is not understood; run with --help for more information\n";
    return kUsage;
  }
  options_.replay.json = options_.json;
  return std::nullopt;
}

std::string CommandLine::command() const {
  return app_.get_subcommands().front()->get_name();
}

std::string CommandLine::verb() const {
  const std::vector<CLI::App*> below = app_.get_subcommands().front()->get_subcommands();
  return below.empty() ? "" : below.front()->get_name();
}

}  // namespace proteus::ctl
