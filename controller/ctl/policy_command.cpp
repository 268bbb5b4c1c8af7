#include "controller/ctl/policy_command.h"

#include <fmt/core.h>

#include <charconv>
#include <filesystem>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "common/toml_document.h"
#include "controller/api/json_view.h"
#include "controller/ctl/json_text.h"
#include "controller/ctl/print.h"
#include "controller/ctl/progress_bar.h"
#include "controller/ctl/replay_command.h"
#include "controller/ctl/table.h"
#include "controller/replay/recording.h"
#include "controller/replay/replayer.h"

namespace proteus::ctl {
namespace {

struct NamedRule {
  const char* kind;
  std::string name;
  int line;
};

std::vector<NamedRule> rules_of(const ham::Policy& policy) {
  std::vector<NamedRule> rules;
  const auto add = [&](const char* kind, const auto& list) {
    for (const auto& rule : list) rules.push_back({kind, rule.name, rule.line});
  };
  for (const ham::AffinityRule& rule : policy.affinity) {
    rules.push_back({rule.apart ? "anti_affinity" : "affinity", rule.name, rule.line});
  }
  add("pin", policy.pins);
  add("exclude", policy.exclusions);
  add("size", policy.sizes);
  add("reservation", policy.reservations);
  add("priority", policy.priorities);
  add("window", policy.windows);
  add("automation", policy.automation_rules);
  add("host_group", policy.host_groups);
  add("fault_domain", policy.fault_domains);
  add("headroom", policy.headrooms);
  add("power", policy.powers);
  add("helper", policy.helpers);
  add("value", policy.values);
  return rules;
}

Result<ham::Policy> read_policy(const std::string& file) {
  const Result<std::string> text = read_config_file(file);
  if (!text) return text.error();
  return ham::parse_policy(*text, file);
}

std::string strategies_of(const ham::Policy& policy) {
  std::string text;
  const auto add = [&](bool on, const char* name) {
    if (on) text += (text.empty() ? "" : ", ") + std::string(name);
  };
  add(policy.strategies.reshape, "reshape");
  add(policy.strategies.migrate, "migrate");
  add(policy.strategies.consolidate, "consolidate");
  add(policy.strategies.spawn && !policy.helpers.empty(), "spawn");
  return text.empty() ? "none (watch only)" : text;
}

/// "policy.toml:12: what" as its parts; line 0 if it names none.
Json problem_json(const std::string& file, const std::string& problem) {
  int line = 0;
  std::string message = problem;
  if (problem.starts_with(file + ":")) {
    const std::string rest = problem.substr(file.size() + 1);
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), line);
    const auto digits = static_cast<std::size_t>(end - rest.data());
    if (error == std::errc{} && rest.compare(digits, 2, ": ") == 0) message = rest.substr(digits + 2);
  }
  return {{"line", line}, {"message", message}};
}

/// What is wanted from a cycle on.
struct Will {
  std::uint64_t cycle = 0;
  Timestamp time;
  std::string label = "do nothing";
  std::string steps = "[]";  ///< all of them: the label names some
  bool is(const Will& other) const { return label == other.label && steps == other.steps; }
};

struct Trial {
  std::vector<Json> decisions;  ///< in the order of time: each that differs from the one before, and one a minute
  std::vector<Will> wills;      ///< each that differs from the one before
  std::uint64_t cycles = 0;
  std::uint64_t frames = 0;
  Timestamp to{};                          ///< RecordingSummary
  std::optional<Timestamp> missing_until;  ///< likewise
  VmNames names;
};

/// What a policy decides, cycle by cycle, in the recorded world.
Result<Trial> run_trial(ham::Policy policy, const std::string& file, const std::string& recording) {
  Trial trial;
  ProgressBar bar("trying " + file);
  replay::ReplayOptions options;
  options.policy = std::move(policy);
  options.beginnings = replay::beginnings_of(recording);
  options.diff = false;
  options.output = [&](const store::JournalEntry& entry) {
    if (const auto* decision = std::get_if<ham::Decision>(&entry.payload)) {
      trial.decisions.push_back(api::to_json(*decision));
    }
  };
  options.decided = [&trial, cycle = std::uint64_t{0}](const ham::Decision& decision) mutable {
    Will will{++cycle, decision.time, decision.chosen.label, steps_of(api::to_json(replay::wish_of(decision)))};
    if (trial.wills.empty() || !trial.wills.back().is(will)) trial.wills.push_back(std::move(will));
  };
  replay::Replayer replayer(std::move(options));
  Status replayed;
  store::Store::Visitor visitor;
  visitor.raw = [&](const store::RawMessage& message) { return (replayed = replayer.on_raw(message)).has_value(); };
  visitor.journal = [&](const store::JournalEntry& entry) {
    return (replayed = replayer.on_journal(entry)).has_value();
  };
  const Result<replay::RecordingSummary> read =
      replay::read_recording(recording, visitor, [&](double share) { bar.show(share); });
  if (!read) return read.error();
  if (!replayed) return with_context(replayed.error(), recording);
  replayer.finish();
  trial.cycles = replayer.cycles();
  trial.frames = replayer.frames();
  trial.to = read->to;
  trial.missing_until = read->missing_until;
  trial.names = replayer.vm_names();
  return trial;
}

std::string label_of(const Json& decision) {
  return decision.at("chosen").at("label").get<std::string>();
}
std::string time_of(const Json& decision) {
  return decision.at("time").get<std::string>();
}

/// The decisions that begin something new, or end it: what lasts is told once.
std::vector<const Json*> changes_of(const Trial& trial) {
  std::vector<const Json*> changes;
  for (const Json& decision : trial.decisions) {
    const bool acts = !decision.at("chosen").at("actions").empty() || !decision.at("helpers").empty();
    if (changes.empty() ? acts : label_of(decision) != label_of(*changes.back())) {
      changes.push_back(&decision);
    }
  }
  return changes;
}

Json counts_of(const Trial& trial) {
  std::uint64_t acting = 0;
  std::map<std::string, std::uint64_t> kinds;
  std::map<std::string, std::uint64_t> rules;
  for (const Json* decision : changes_of(trial)) {
    const Json& actions = decision->at("chosen").at("actions");
    acting += !actions.empty() || !decision->at("helpers").empty();
    for (const Json& change : decision->at("helpers")) {
      ++kinds[change.at("start").get<bool>() ? "start_helper" : "end_helper"];
    }
    for (const Json& action : actions) ++kinds[action.at("operation").at("kind").get<std::string>()];
  }
  for (const Json& decision : trial.decisions) {
    std::map<std::string, bool> seen;
    for (const Json& rejection : decision.at("rejections")) seen[rejection.at("rule").get<std::string>()] = true;
    for (const auto& [rule, yes] : seen) ++rules[rule];
  }
  return {{"cycles", trial.cycles}, {"frames", trial.frames},         {"decisions", trial.decisions.size()},
          {"acting", acting},       {"actions_by_kind", Json(kinds)}, {"decisions_by_forbidding_rule", Json(rules)}};
}

std::string counts_text(const Json& counts) {
  std::string kinds;
  for (const auto& [kind, count] : counts.at("actions_by_kind").items()) {
    kinds += fmt::format("{}{} {}", kinds.empty() ? "" : ", ", count.get<std::uint64_t>(), kind);
  }
  return fmt::format("{} cycles; {} decisions would act{}{}", counts.at("cycles").get<std::uint64_t>(),
                     counts.at("acting").get<std::uint64_t>(), kinds.empty() ? "" : ": ", kinds);
}

}  // namespace

Result<bool> check_policy(const PolicyCommand& command, std::ostream& out) {
  const Result<std::string> text = read_config_file(command.file);
  if (!text) return text.error();
  const Result<ham::Policy> policy = ham::parse_policy(*text, command.file);
  if (!policy) {
    const std::string& problems = policy.error().message;
    if (!command.json) {
      out << problems << "\n";
      return false;
    }
    Json json{{"file", command.file}, {"valid", false}, {"problems", Json::array()}};
    for (std::size_t begin = 0; begin < problems.size();) {
      const std::size_t end = std::min(problems.find('\n', begin), problems.size());
      if (end > begin) json["problems"].push_back(problem_json(command.file, problems.substr(begin, end - begin)));
      begin = end + 1;
    }
    out << json_text(json) << "\n";
    return false;
  }
  const std::vector<NamedRule> rules = rules_of(*policy);
  if (command.json) {
    Json json{{"file", command.file},
              {"valid", true},
              {"name", policy->name},
              {"automation", ham::to_string(policy->automation)},
              {"strategies", strategies_of(*policy)},
              {"rules", Json::array()}};
    for (const NamedRule& rule : rules) {
      json["rules"].push_back({{"kind", rule.kind}, {"name", rule.name}, {"line", rule.line}});
    }
    out << json_text(json) << "\n";
    return true;
  }
  out << fmt::format("{}: valid. Policy \"{}\", automation {}, strategies: {}; {} rules\n", command.file, policy->name,
                     ham::to_string(policy->automation), strategies_of(*policy), rules.size());
  Table table({">LINE", "KIND", "NAME"});
  for (const NamedRule& rule : rules) table.add({std::to_string(rule.line), rule.kind, rule.name});
  if (!table.empty()) out << table.text();
  return true;
}

std::string steps_of(const Json& decision) {
  Json steps = Json::array();
  for (const Json& action : decision.at("chosen").at("actions")) {
    steps.push_back(Json::array({action.at("vm"), action.at("host"), action.at("operation")}));
  }
  for (const Json& change : decision.at("helpers")) {
    steps.push_back(Json::array({"helper", change.at("vm"), change.at("host"), change.at("start")}));
  }
  for (const Json& change : decision.at("power")) {
    steps.push_back(Json::array({"power", change.at("host"), change.at("awake")}));
  }
  return json_text(steps, -1);
}

Status test_policy(const PolicyCommand& command, std::ostream& out) {
  Result<ham::Policy> policy = read_policy(command.file);
  if (!policy) return policy.error();
  const Result<Trial> trial = run_trial(std::move(*policy), command.file, command.recording);
  if (!trial) return trial.error();
  if (!command.at.empty()) {
    const Result<Timestamp> at = api::parse_time(command.at, trial->to);
    if (!at) return at.error();
    const std::string wanted = api::to_rfc3339(*at);
    const Json* found = nullptr;
    for (const Json& decision : trial->decisions) {
      if (time_of(decision) <= wanted) found = &decision;
    }
    if (found == nullptr) return Error{ErrorCode::kNotFound, "nothing was decided by " + wanted};
    if (command.json) {
      std::cerr << missing_text(trial->missing_until);
      out << json_text(*found) << "\n";
    } else {
      out << missing_text(trial->missing_until) << print_decision(*found, trial->names);
    }
    return {};
  }
  const std::vector<const Json*> changes = changes_of(*trial);
  Json counts = counts_of(*trial);
  if (command.json) {
    counts["changes"] = Json::array();
    for (const Json* decision : changes) counts["changes"].push_back(*decision);
    counts["missing_until"] = api::time_or_null(trial->missing_until);
    out << json_text(counts) << "\n";
    return {};
  }
  out << missing_text(trial->missing_until) << counts_text(counts) << "\n";
  Table table({"FROM", "WOULD", "BECAUSE"});
  int lines = 0;
  for (const Json* decision : changes) {
    if (++lines > command.limit) break;
    table.add({time_of(*decision), label_of(*decision), decision->at("summary").get<std::string>()});
  }
  if (!table.empty()) out << "\n" << table.text();
  if (static_cast<int>(changes.size()) > command.limit) {
    out << fmt::format("… and {} more (--limit)\n", changes.size() - static_cast<std::size_t>(command.limit));
  }
  Table rules({"RULE", ">DECISIONS IN WHICH IT FORBADE SOMETHING"});
  for (const auto& [rule, count] : counts.at("decisions_by_forbidding_rule").items()) {
    rules.add({rule, fmt::format("{} of {}", count.get<std::uint64_t>(), trial->decisions.size())});
  }
  if (!rules.empty()) out << "\n" << rules.text();
  return {};
}

Result<bool> diff_policies(const PolicyCommand& command, std::ostream& out) {
  struct Side {
    std::string file;
    Trial trial;
    std::size_t next = 0;
    Will will{};
  };
  std::error_code not_there;
  const auto kind = std::filesystem::status(command.recording, not_there).type();
  if (command.recording == replay::kStandardInput ||
      (kind != std::filesystem::file_type::regular && kind != std::filesystem::file_type::not_found)) {
    return Error{ErrorCode::kInvalidArgument,
                 command.recording + " is no file, and a recording is read once for each policy"};
  }
  std::vector<Side> sides;
  for (const std::string& file : {command.file, command.other}) {
    Result<ham::Policy> policy = read_policy(file);
    if (!policy) return policy.error();
    Result<Trial> trial = run_trial(std::move(*policy), file, command.recording);
    if (!trial) return trial.error();
    sides.push_back({file, std::move(*trial)});
  }
  // Both are step functions of the same cycles: what each wants from one decision to its next.
  struct Part {
    std::string time;
    std::string labels[2];
    bool same = false;
  };
  std::vector<Part> parts;
  bool differed = false;
  for (;;) {
    const Will* first = nullptr;
    for (const Side& side : sides) {
      if (side.next == side.trial.wills.size()) continue;
      const Will& next = side.trial.wills[side.next];
      if (first == nullptr || next.cycle < first->cycle) first = &next;
    }
    if (first == nullptr) break;
    const std::string before = sides[0].will.label + "\n" + sides[1].will.label;
    for (Side& side : sides) {
      const std::vector<Will>& wills = side.trial.wills;
      if (side.next < wills.size() && wills[side.next].cycle == first->cycle) side.will = wills[side.next++];
    }
    const bool same = sides[0].will.is(sides[1].will);
    // What changes in the steps alone, while they differ all the time, is told once.
    const bool told = before == sides[0].will.label + "\n" + sides[1].will.label && same != differed;
    if ((!same || differed) && !told) {
      Part part{api::to_rfc3339(first->time), {sides[0].will.label, sides[1].will.label}, same};
      if (!same && part.labels[0] == part.labels[1]) part.labels[1] += " (beyond the steps named)";
      parts.push_back(std::move(part));
    }
    differed = !same;
  }
  if (command.json) {
    Json json{{"policies", Json::array()},
              {"missing_until", api::time_or_null(sides[0].trial.missing_until)},
              {"differences", Json::array()}};
    for (const Side& side : sides) {
      Json counts = counts_of(side.trial);
      counts["file"] = side.file;
      json["policies"].push_back(std::move(counts));
    }
    for (const Part& part : parts) {
      json["differences"].push_back({{"time", part.time}, {"first", part.labels[0]}, {"second", part.labels[1]}});
    }
    out << json_text(json) << "\n";
    return parts.empty();
  }
  out << missing_text(sides[0].trial.missing_until);
  for (const Side& side : sides) out << side.file << ": " << counts_text(counts_of(side.trial)) << "\n";
  if (parts.empty()) {
    out << "they decide the same, always\n";
    return true;
  }
  Table table({"FROM", command.file, command.other});
  for (std::size_t i = 0; i < parts.size() && static_cast<int>(i) < command.limit; ++i) {
    table.add({parts[i].time, parts[i].labels[0], parts[i].same ? "the same again" : parts[i].labels[1]});
  }
  out << "\n" << table.text();
  if (static_cast<int>(parts.size()) > command.limit) {
    out << fmt::format("… and {} more (--limit)\n", parts.size() - static_cast<std::size_t>(command.limit));
  }
  return false;
}

}  // namespace proteus::ctl
