#include "controller/ctl/planetlab_command.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "controller/ctl/course_picture.h"
#include "controller/ctl/destination.h"
#include "controller/ctl/json_text.h"
#include "controller/ctl/progress_bar.h"
#include "controller/ctl/svg.h"
#include "controller/ctl/table.h"
#include "controller/simulate/planetlab/benchmark.h"
#include "controller/simulate/trace/csv.h"

namespace proteus::ctl {
namespace {

using simulate::planetlab::Mode;
using simulate::planetlab::Outcome;

struct Run {
  std::string day;
  std::string policy;
  Mode mode;
  Outcome outcome;
};

Result<std::vector<Mode>> parse_modes(const std::string& text) {
  if (text == "cloudsim") return std::vector{Mode::kCloudsim};
  if (text == "keep") return std::vector{Mode::kKeep};
  if (text == "both") return std::vector{Mode::kCloudsim, Mode::kKeep};
  return Error{ErrorCode::kInvalidArgument, fmt::format("--mode is '{}', but must be cloudsim, keep or both", text)};
}

Result<std::vector<std::string>> parse_policies(const std::string& text) {
  const std::vector<std::string>& known = simulate::planetlab::policy_names();
  if (text == "all") return known;
  std::vector<std::string> policies;
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) {
    if (std::find(known.begin(), known.end(), word) == known.end()) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("--policy: '{}' is none of {}, all", word, fmt::join(known, ", "))};
    }
    policies.push_back(word);
  }
  if (policies.empty()) return Error{ErrorCode::kInvalidArgument, "--policy names none"};
  return policies;
}

/// "/x/20110303.csv.xz" -> "20110303".
std::string day_of(const std::string& path) {
  const std::string name = std::filesystem::path(path).filename();
  return name.substr(0, name.find('.'));
}

nlohmann::ordered_json to_json(const Run& run) {
  const auto& metrics = run.outcome.metrics;
  return {{"day", run.day},
          {"mode", to_string(run.mode)},
          {"policy", run.policy},
          {"vms", run.outcome.vms},
          {"vms_left", run.outcome.vms_left},
          {"energy_kwh", metrics.energy_kwh},
          {"slatah", metrics.slatah},
          {"pdm", metrics.pdm},
          {"slav", metrics.slav},
          {"esv", metrics.esv},
          {"sla_overall", metrics.sla_overall},
          {"sla_average", metrics.sla_average},
          {"migrations", metrics.migrations},
          {"host_shutdowns", metrics.host_shutdowns},
          {"mean_active_hosts", metrics.mean_active_hosts}};
}

std::string to_table(const std::vector<Run>& runs) {
  Table table({"DAY", "MODE", "POLICY", ">KWH", ">HOSTS", ">MIGRATIONS", ">SLATAH %", ">PDM %", ">SLAV 1e-6",
               ">ESV 1e-6", ">VMS LEFT"});
  for (const Run& run : runs) {
    const auto& metrics = run.outcome.metrics;
    table.add({run.day, to_string(run.mode), run.policy, fmt::format("{:.2f}", metrics.energy_kwh),
               fmt::format("{:.1f}", metrics.mean_active_hosts), std::to_string(metrics.migrations),
               fmt::format("{:.3f}", metrics.slatah * 100), fmt::format("{:.4f}", metrics.pdm * 100),
               fmt::format("{:.3f}", metrics.slav * 1e6), fmt::format("{:.1f}", metrics.esv * 1e6),
               std::to_string(run.outcome.vms_left)});
  }
  return table.text();
}

constexpr CourseNames kCourseNames = {"hosts on", "energy, kWh so far", "hosts overloaded, in the policy's opinion"};
constexpr double kStep_s = 300;

/// A run without steps (all hosts on, whatever happens) has no course.
std::vector<Course> courses_of(const std::vector<Run>& runs) {
  constexpr double kJoulesPerKwh = 3.6e6;
  std::vector<Course> courses;
  for (const Run& run : runs) {
    if (run.outcome.steps.empty()) continue;
    Course& course = courses.emplace_back();
    course.policy = fmt::format("{} {} {}", run.day, to_string(run.mode), run.policy);
    for (const simulate::planetlab::Step& step : run.outcome.steps) {
      Course::Tick& tick = course.ticks.emplace_back();
      tick.values = {static_cast<double>(step.active_hosts), step.energy_j / kJoulesPerKwh,
                     static_cast<double>(step.overloaded)};
      tick.moves = static_cast<int>(step.moves);
    }
  }
  return courses;
}

}  // namespace

std::string planetlab_policies() {
  return fmt::format("{}; several with commas between, or all", fmt::join(simulate::planetlab::policy_names(), ", "));
}

Status run_planetlab(const PlanetlabCommand& command, bool json, std::ostream& out) {
  const auto modes = parse_modes(command.mode);
  if (!modes) return modes.error();
  const auto policies = parse_policies(command.policy);
  if (!policies) return policies.error();
  const std::size_t count = command.traces.size() * modes->size() * policies->size();

  std::vector<Run> runs;
  for (const std::string& path : command.traces) {
    const Result<simulate::TraceTable> traces = simulate::read_traces(path);
    if (!traces) return traces.error();
    for (const Mode mode : *modes) {
      for (const std::string& policy : *policies) {
        ProgressBar bar(fmt::format("{} {} {}", day_of(path), to_string(mode), policy));
        Result<Outcome> outcome = simulate::planetlab::run_day(*traces, mode, policy, [&](double share) {
          bar.show((static_cast<double>(runs.size()) + share) / static_cast<double>(count));
        });
        if (!outcome) return with_context(outcome.error(), path);
        runs.push_back({day_of(path), policy, mode, std::move(*outcome)});
      }
    }
  }
  if (!command.svg.empty()) {
    const std::string picture = svg_courses("PlanetLab, 800 hosts", kCourseNames, courses_of(runs), kStep_s);
    if (const Status written = write_text(command.svg, picture); !written) return written;
  }
  std::ostream& words = Destination::words(command.svg, out);
  if (!json) {
    words << to_table(runs);
  } else if (count == 1) {
    words << json_text(to_json(runs.front())) << "\n";
  } else {
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const Run& run : runs) all.push_back(to_json(run));
    words << json_text(all) << "\n";
  }
  return {};
}

}  // namespace proteus::ctl
