// bench-forecast: takes forecast models through the rolling-origin protocol over a set folder of series, and writes
// the table of metrics and that of slack at equal risk.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/bench/forecast/baselines.h"
#include "tests/bench/forecast/data_set.h"
#include "tests/bench/forecast/registry.h"
#include "tests/bench/forecast/report.h"
#include "tests/bench/forecast/run.h"

namespace proteus::bench {
namespace {

struct Arguments {
  std::string data;
  std::string models = "all";
  std::string scope = "full";
  std::string out;
  std::string iso_out;
  std::string weights = PROTEUS_SOURCE_DIR "/controller/forecast/global/weights.bin";
  std::string summary;
  std::string part = "0/1";
};

int fail(const std::string& message) {
  fmt::print(stderr, "bench-forecast: {}\n", message);
  return 1;
}

std::string names_of(const std::vector<ContenderKind>& kinds) {
  std::string names;
  for (const ContenderKind& kind : kinds) names += (names.empty() ? "" : ", ") + kind.name;
  return names;
}

/// The models of a comma-separated list, in its order; all: those that are not slow.
Result<std::vector<ContenderKind>> pick(const std::string& list, const std::string& weights) {
  std::vector<ContenderKind> known = contenders(weights);
  if (list == "all") {
    std::erase_if(known, [](const ContenderKind& kind) { return kind.slow; });
    return known;
  }
  std::vector<ContenderKind> picked;
  std::stringstream names(list);
  for (std::string name; std::getline(names, name, ',');) {
    const auto found = std::find_if(known.begin(), known.end(), [&](const auto& kind) { return kind.name == name; });
    if (found == known.end()) {
      return Error{ErrorCode::kInvalidArgument, "no model is called '" + name + "'; there are " + names_of(known)};
    }
    picked.push_back(*found);
  }
  if (picked.empty()) return Error{ErrorCode::kInvalidArgument, "no model is named"};
  return picked;
}

Result<Run> run_with_progress(const ContenderKind& kind, const DataSet& set,
                              const std::vector<const SeriesInfo*>& series) {
  const auto progress = [&](std::size_t done) {
    if (done % 20 == 0 || done == series.size())
      fmt::print(stderr, "\r{}: {} of {} series", kind.name, done, series.size());
  };
  Result<Run> run = run_contender(kind, set, series, progress);
  if (!run) return run;
  fmt::print(stderr, ", {:.3g} ms of CPU per forecast\n", 1e3 * run->cpu_s_per_forecast);
  if (run->fallbacks > 0) {
    fmt::print(stderr, "{}: snaive stood in for {} of {} forecasts; the first because of {}\n", kind.name,
               run->fallbacks, series.size() * kOrigins, run->first_failure);
  }
  return run;
}

Status write_lines(const std::string& path, const std::vector<std::string>& lines) {
  std::FILE* file = path.empty() ? stdout : std::fopen(path.c_str(), "w");
  if (file == nullptr) return Error{ErrorCode::kUnavailable, path + ": cannot be written"};
  for (const std::string& line : lines) fmt::print(file, "{}\n", line);
  const bool written = std::fflush(file) == 0;
  if (!path.empty() && std::fclose(file) != 0) return Error{ErrorCode::kUnavailable, path + ": cannot be written"};
  return written ? Status{} : Error{ErrorCode::kUnavailable, path + ": cannot be written"};
}

int run_all(const Arguments& arguments) {
  Result<std::vector<ContenderKind>> kinds = pick(arguments.models, arguments.weights);
  if (!kinds) return fail(kinds.error().message);
  Result<DataSet> set = read_data_set(arguments.data);
  if (!set) return fail(set.error().message);
  Result<Part> part = parse_part(arguments.part);
  if (!part) return fail(part.error().message);
  keep_part(*set, *part);
  std::vector<const SeriesInfo*> series;
  for (const SeriesInfo& info : set->series) {
    if (arguments.scope == "full" || info.subset) series.push_back(&info);
  }
  if (series.empty()) return fail("no series of the set is in that scope and part");

  const std::vector<ContenderKind> rules = baselines();
  const auto reference =
      std::find_if(rules.begin(), rules.end(), [](const auto& kind) { return kind.name == "snaive"; });
  Result<Run> baseline = run_contender(*reference, *set, series, [](std::size_t) {});
  if (!baseline) return fail(baseline.error().message);

  std::vector<std::string> table = {table_header()};
  std::vector<std::string> iso = {iso_header()};
  std::vector<std::string> summary = summary_header();
  const auto add = [&](const std::string& scope, const Run& run, const Run& relative_to) {
    for (std::string& row : table_rows(scope, run, relative_to)) table.push_back(std::move(row));
    if (arguments.iso_out.empty()) return;
    for (std::string& row : iso_rows(scope, run)) iso.push_back(std::move(row));
  };
  for (const ContenderKind& kind : *kinds) {
    Result<Run> run = run_with_progress(kind, *set, series);
    if (!run) return fail(run.error().message);
    add(arguments.scope, *run, *baseline);
    if (!arguments.summary.empty()) summary.push_back(summary_row(*run, *baseline));
    if (arguments.scope == "full") add("subset", subset_of(*run), subset_of(*baseline));
  }
  if (Status status = write_lines(arguments.out, table); !status) return fail(status.error().message);
  if (!arguments.iso_out.empty()) {
    if (Status status = write_lines(arguments.iso_out, iso); !status) return fail(status.error().message);
  }
  if (!arguments.summary.empty()) {
    if (Status status = write_lines(arguments.summary, summary); !status) return fail(status.error().message);
  }
  return 0;
}

}  // namespace
}  // namespace proteus::bench

int main(int argc, char** argv) {
  using namespace proteus::bench;
  Arguments arguments;
  CLI::App app("Scores forecast models on a folder of series: manifest.csv and series/<vm>.csv.gz");
  app.add_option("--data", arguments.data, "the set folder")->required()->check(CLI::ExistingDirectory);
  app.add_option("--models", arguments.models,
                 "comma-separated, or all (but engine, which is slow): " + names_of(contenders(arguments.weights)))
      ->capture_default_str();
  app.add_option("--scope", arguments.scope,
                 "full: every series, and the rows of the subset as well; subset: only that")
      ->check(CLI::IsMember({"full", "subset"}))
      ->capture_default_str();
  app.add_option("--out", arguments.out, "where the table goes, as CSV; default: standard output");
  app.add_option("--iso-out", arguments.iso_out, "where slack at equal risk goes, as CSV; default: it is not computed");
  app.add_option("--weights", arguments.weights, "of the global models, as train-forecast writes them")
      ->capture_default_str();
  app.add_option("--summary", arguments.summary, "where a short table in Markdown goes; default: nowhere");
  app.add_option("--part", arguments.part, "of the VMs, for example 0/2: every other one from the first on")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return run_all(arguments);
}
