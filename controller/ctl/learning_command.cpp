#include "controller/ctl/learning_command.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/toml_document.h"
#include "controller/api/learning_json.h"
#include "controller/ctl/destination.h"
#include "controller/ctl/json_text.h"
#include "controller/ctl/progress_bar.h"
#include "controller/ctl/table.h"
#include "controller/ham/learning/agent.h"
#include "controller/replay/recording.h"
#include "controller/simulate/kvm/policies/catalogue.h"
#include "controller/simulate/kvm/run.h"

namespace proteus::ctl {
namespace {

using api::Json;
using ham::learning::Agent;
using ham::learning::Outcome;

/// What the outcomes of one recording, or one simulated week, came to.
struct Tally {
  std::string file;
  double outcomes = 0;
  double predicted = 0;
  double realised = 0;

  void add(const Outcome& outcome) {
    outcomes += 1;
    predicted += outcome.note.predicted;
    realised += outcome.realised;
  }
};

std::string amount(const Json& value) {
  return value.is_number() ? fmt::format("{:.2f}/h", value.get<double>()) : "not known yet";
}

Json to_json(const Tally& tally) {
  return {{"file", tally.file},
          {"outcomes", tally.outcomes},
          {"predicted_mean", tally.predicted / std::max(1.0, tally.outcomes)},
          {"realised_mean", tally.realised / std::max(1.0, tally.outcomes)}};
}

Status learn(const std::string& file, Agent& agent, Tally& tally) {
  tally.file = file;
  store::Store::Visitor visitor;
  visitor.journal = [&](const store::JournalEntry& entry) {
    if (const auto* logged = std::get_if<Outcome>(&entry.payload)) {
      tally.add(agent.refine(*logged));
    }
    return true;
  };
  const Result<replay::RecordingSummary> read = replay::read_recording(file, visitor);
  return read ? Status() : Status(read.error());
}

Status learn_weeks(const SimulatedWeeks& weeks, const std::shared_ptr<Agent>& agent, std::vector<Tally>& tallies) {
  namespace kvm = simulate::kvm;
  const Result<kvm::Traces> traces = kvm::read_traces(weeks.data);
  if (!traces) return traces.error();
  for (std::uint64_t seed = weeks.first_seed; seed <= weeks.last_seed; ++seed) {
    const Result<kvm::Workload> workload = kvm::generate(*traces, weeks.scenario, seed);
    if (!workload) return workload.error();
    Tally& tally = tallies.emplace_back();
    tally.file = fmt::format("{}, seed {}", weeks.scenario, seed);
    const auto policy = kvm::make_learning_policy(agent, [&](const Outcome& outcome) { tally.add(outcome); });
    ProgressBar progress(tally.file);
    kvm::RunOptions options;
    options.on_tick = [&](const kvm::Cluster& cluster, const kvm::TickOutcome&, const kvm::Tally&) {
      progress.show(static_cast<double>(cluster.tick() - kvm::kFirstTick) / (workload->end_tick - kvm::kFirstTick));
    };
    kvm::run(*workload, *policy, options);
  }
  agent->begin_elsewhere();  // what was being followed when the last week ended has no end
  return {};
}

}  // namespace

std::string print_learning(const Json& learning) {
  if (!learning.value("enabled", true)) return "learning is off ([learning] enabled in controller.toml)\n";
  const Json& evaluation = learning.at("evaluation");
  std::string text = fmt::format(
      "learning {}, revision {}; {} times adopted, {} times stepped back\n"
      "{:.0f} outcomes count; {} actions are being followed; waiting is {:.2f} of what the score's formulas say\n",
      learning.at("acting").get<bool>() ? "acts" : "watches", learning.at("revision").get<std::uint64_t>(),
      learning.at("adoptions").get<int>(), learning.at("retreats").get<int>(), learning.at("evidence").get<double>(),
      learning.at("following").get<int>(), learning.at("calibration").get<double>());
  text += fmt::format(
      "evaluation: {:.0f} occasions, {:.0f} on which it would have done otherwise than the rules; worth {} more on the "
      "mean of all, at least {}\n",
      evaluation.at("occasions").get<double>(), evaluation.at("parted").get<double>(),
      amount(evaluation.at("difference_mean")), amount(evaluation.at("difference_lower")));
  if (learning.at("acting").get<bool>()) {
    text += fmt::format("fallen behind by {:.2f}; at {:.1f} it steps back\n", learning.at("fall").get<double>(),
                        learning.at("fall_max").get<double>());
  }
  Table table({"FEATURE", ">COEFFICIENT"});
  for (const auto& [name, value] : learning.at("coefficients").items()) {
    table.add({name, fmt::format("{:+.3f}", value.get<double>())});
  }
  return text + "\n" + table.text();
}

Status train_learning(const LearningCommand& command, std::ostream& out) {
  if (command.recordings.empty() && command.weeks.data.empty()) {
    return Error{ErrorCode::kInvalidArgument, "recordings, or --simulate with a directory of traces, must be given"};
  }
  const auto agent = std::make_shared<Agent>();
  if (!command.from.empty()) {
    const Result<std::string> bytes = read_config_file(command.from);
    if (!bytes) return bytes.error();
    if (Status read = agent->restore(*bytes); !read) return with_context(read.error(), command.from);
  }
  // Before what may take hours.
  std::optional<Destination> to;
  if (!command.out.empty()) {
    Result<Destination> opened = Destination::open(command.out);
    if (!opened) return opened.error();
    to.emplace(std::move(*opened));
  }
  agent->begin_elsewhere();
  std::vector<Tally> tallies;
  for (const std::string& file : command.recordings) {
    if (Status learned = learn(file, *agent, tallies.emplace_back()); !learned) return learned;
  }
  if (!command.weeks.data.empty()) {
    if (Status learned = learn_weeks(command.weeks, agent, tallies); !learned) return learned;
  }
  double outcomes = 0;
  for (const Tally& tally : tallies) outcomes += tally.outcomes;
  if (outcomes == 0) {
    return Error{
        ErrorCode::kNotFound,
        "no outcome of an action is journalled there: a controller that acts with [learning] enabled writes them"};
  }
  if (to) {
    if (Status written = to->keep_whole(agent->save()); !written) return written;
  }
  const Json learning = api::to_json(agent->report());
  std::ostream& words = Destination::words(command.out, out);
  if (command.json) {
    Json json{{"recordings", Json::array()}, {"learning", learning}};
    for (const Tally& tally : tallies) json["recordings"].push_back(to_json(tally));
    json["file"] = command.out.empty() ? Json(nullptr) : Json(command.out);
    words << json_text(json) << "\n";
    return {};
  }
  Table table({"FROM", ">OUTCOMES", ">EXPECTED/H", ">REALISED/H"});
  for (const Tally& tally : tallies) {
    const double count = std::max(1.0, tally.outcomes);
    table.add({tally.file, fmt::format("{:.0f}", tally.outcomes), fmt::format("{:.3f}", tally.predicted / count),
               fmt::format("{:.3f}", tally.realised / count)});
  }
  words << table.text() << "\n" << print_learning(learning);
  if (!command.out.empty()) {
    words << "\n"
          << command.out
          << " written; [learning] model in controller.toml names it to a controller that has learned nothing yet\n";
  }
  return {};
}

}  // namespace proteus::ctl
