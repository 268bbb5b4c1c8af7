#include "controller/ctl/replay_command.h"

#include <fmt/core.h>

#include <charconv>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "common/toml_document.h"
#include "controller/api/json_view.h"
#include "controller/ctl/json_text.h"
#include "controller/ctl/print.h"
#include "controller/ctl/progress_bar.h"
#include "controller/forecast/global/weights.h"
#include "controller/replay/recording.h"
#include "controller/replay/replayer.h"

namespace proteus::ctl {
namespace {

constexpr double kSpeedMax = 1e6;
constexpr const char* kNothingToCompareWith =
    "the recorded policy was at level observe, at times at least: then what it wanted was not journalled, and there is "
    "nothing to compare with\n";

/// Holds each cycle back until its recorded time has come, `factor` times faster.
class Pacer {
 public:
  explicit Pacer(double factor) : factor_(factor) {}
  void operator()(Timestamp recorded) {
    const auto now = std::chrono::steady_clock::now();
    if (!first_) {
      first_ = recorded;
      begun_ = now;
    }
    std::this_thread::sleep_until(begun_ + from_seconds(to_seconds(recorded - *first_) / factor_));
  }

 private:
  double factor_;
  std::optional<Timestamp> first_;
  std::chrono::steady_clock::time_point begun_;
};

/// One line of text per entry; decisions that change nothing are left out.
std::string to_text(const api::Json& entry) {
  const auto type = entry.at("type").get<std::string>();
  const auto time = entry.at("time").get<std::string>();
  if (type == "decision") {
    if (entry.at("chosen").at("actions").empty()) return "";
    std::string text =
        fmt::format("{} D{} {}: {}\n", time, entry.at("id").get<std::uint64_t>(),
                    entry.at("chosen").at("label").get<std::string>(), entry.at("summary").get<std::string>());
    return text;
  }
  if (type == "action") {
    return fmt::format("{} A{} of D{}: {} on {}: {}\n", time, entry.at("id").get<std::uint64_t>(),
                       entry.at("decision").get<std::uint64_t>(), entry.at("vm").get<std::string>(),
                       entry.at("host").get<std::string>(), describe_operation(entry.at("operation")));
  }
  if (type == "transition" && entry.at("from") != entry.at("to")) {
    return fmt::format("{} A{} {} -> {}\n", time, entry.at("action").get<std::uint64_t>(),
                       entry.at("from").get<std::string>(), entry.at("to").get<std::string>());
  }
  return "";
}

/// Of two entries of a kind only where they part; of one that has no counterpart all.
std::string to_text(const replay::Difference& difference) {
  std::string text = api::to_rfc3339(difference.time);
  if (!difference.recorded.empty() && !difference.replayed.empty()) {
    const api::Json recorded = api::Json::parse(difference.recorded);
    const api::Json replayed = api::Json::parse(difference.replayed);
    const api::Json steps = api::Json::diff(recorded, replayed);
    if (recorded.at("type") == replayed.at("type") && !steps.empty()) {
      text += " " + recorded.at("type").get<std::string>();
      if (recorded.contains("id")) text += " " + json_text(recorded.at("id"), -1);
      text += "\n";
      for (const api::Json& step : steps) {
        const auto path = step.at("path").get<std::string>();
        const bool was = step.at("op") != "add";
        text += fmt::format("  {}\n  - {}\n  + {}\n", path.empty() ? "/" : path,
                            was ? json_text(recorded.at(api::Json::json_pointer(path)), -1) : std::string("nothing"),
                            step.contains("value") ? json_text(step.at("value"), -1) : std::string("nothing"));
      }
      return text;
    }
  }
  return text + fmt::format("\n- {}\n+ {}\n", difference.recorded.empty() ? "nothing" : difference.recorded,
                            difference.replayed.empty() ? "nothing" : difference.replayed);
}

Result<std::optional<double>> parse_speed(const std::string& text) {
  if (text == "max") return std::optional<double>();
  double factor = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), factor);
  if (error != std::errc{} || rest != text.data() + text.size() || !(factor > 0) || factor > kSpeedMax) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("--speed is '{}', but must be max or a number above 0, up to {:.0f}", text, kSpeedMax)};
  }
  return std::optional<double>(factor);
}

}  // namespace

std::string missing_text(std::optional<Timestamp> missing_until) {
  if (!missing_until) return "";
  return fmt::format(
      "telemetry that had been taken in until {} is not in the recording (it had expired, or is of hosts that were "
      "left out): decisions until then, and for some time after, may differ\n",
      api::to_rfc3339(*missing_until));
}

Result<bool> run_replay(const ReplayCommand& command, std::ostream& out) {
  const Result<std::optional<double>> speed = parse_speed(command.speed);
  if (!speed) return speed.error();
  replay::ReplayOptions options;
  if (!command.policy_file.empty()) {
    const Result<std::string> text = read_config_file(command.policy_file);
    if (!text) return text.error();
    Result<ham::Policy> policy = ham::parse_policy(*text, command.policy_file);
    if (!policy) return policy.error();
    options.policy = std::move(*policy);
  }
  if (!command.weights_file.empty()) {
    Result<forecast::global::Weights> read = forecast::global::read_weights(command.weights_file);
    if (!read) return read.error();
    options.networks = std::make_shared<const forecast::global::Weights>(std::move(*read));
  }
  const std::string& file = command.file;
  options.beginnings = replay::beginnings_of(file);
  options.diff = command.diff;
  if (*speed) options.before_cycle = Pacer(**speed);
  ProgressBar bar("deciding again");
  options.output = [&](const store::JournalEntry& entry) {
    if (command.diff) return;
    bar.clear();
    const api::Json json = api::to_json(entry);
    out << (command.json ? json_text(json, -1) + "\n" : to_text(json));
  };
  replay::Replayer replayer(std::move(options));
  Status replayed;
  store::Store::Visitor visitor;
  bool begun = false;
  visitor.raw = [&](const store::RawMessage& message) {
    begun = true;
    return (replayed = replayer.on_raw(message)).has_value();
  };
  visitor.journal = [&](const store::JournalEntry& entry) {
    begun = true;
    return (replayed = replayer.on_journal(entry)).has_value();
  };
  const Result<replay::RecordingSummary> read =
      replay::read_recording(file, visitor, [&](double share) { bar.show(share); });
  bar.clear();
  // What is whole is worth seeing; where it ends is an error all the same.
  std::optional<Error> trouble;
  if (!replayed) {
    trouble = with_context(replayed.error(), file);
  } else if (!read) {
    trouble = read.error();
  }
  if (trouble && !begun) return *trouble;
  // Of the last cycle before damage some of what was journalled is missing: that is no difference.
  if (!trouble) replayer.finish();
  const std::string missing = missing_text(read ? read->missing_until : std::nullopt);
  if (command.json && !command.diff && !missing.empty()) std::cerr << missing;
  if (!command.diff) {
    if (!command.json) {
      out << missing;
      out << fmt::format(
          "{} cycles over {} frames: {} decisions and {} actions (those that act are shown, --json has all)\n",
          replayer.cycles(), replayer.frames(), replayer.decisions(), replayer.actions());
    }
    if (trouble) return *trouble;
    return true;
  }

  const auto& differences = replayer.differences();
  if (command.json) {
    api::Json json{{"cycles", replayer.cycles()},
                   {"frames", replayer.frames()},
                   {"decisions", replayer.decisions()},
                   {"actions", replayer.actions()},
                   {"missing_until", read ? api::time_or_null(read->missing_until) : api::Json(nullptr)},
                   {"recorded_at_observe", replayer.met_observe()},
                   {"trouble", trouble ? api::Json(trouble->message) : api::Json(nullptr)},
                   {"differences_count", replayer.differences_count()},
                   {"differences", api::Json::array()}};
    for (const auto& difference : differences) {
      const auto parsed = [](const std::string& text) {
        return text.empty() ? api::Json(nullptr) : api::Json::parse(text);
      };
      json["differences"].push_back({{"time", api::to_rfc3339(difference.time)},
                                     {"recorded", parsed(difference.recorded)},
                                     {"replayed", parsed(difference.replayed)}});
    }
    out << json_text(json) << "\n";
  } else {
    for (const auto& difference : differences) out << to_text(difference);
    out << missing << (replayer.met_observe() ? kNothingToCompareWith : "");
    const bool all = differences.size() == replayer.differences_count();
    out << fmt::format("{} cycles over {} frames: {} decisions and {} actions, {} differences from the journal{}\n",
                       replayer.cycles(), replayer.frames(), replayer.decisions(), replayer.actions(),
                       replayer.differences_count(),
                       all ? "" : fmt::format(", the first {} shown", differences.size()));
  }
  if (trouble) return *trouble;
  return replayer.differences_count() == 0;
}

}  // namespace proteus::ctl
