// AutoArima beside R's auto.arima, paired: the same last 2,016 values of the same series, both without season, R run by
// this program. Prints the mean absolute scaled errors of both point forecasts and the ratio of CPU seconds. Needs
// Rscript and the forecast package (Debian: r-cran-forecast).

#include <fmt/format.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "controller/forecast/auto_arima.h"
#include "tests/bench/forecast/data_set.h"
#include "tests/bench/forecast/score.h"

namespace proteus::bench {
namespace {

constexpr std::size_t kWindow = 2016;

struct Task {
  const SeriesInfo* info;
  std::span<const double> past;
  std::span<const double> actual;
  double scale;
};

struct Answer {
  double cpu_s = 0;
  std::string order;
  std::vector<double> path;
};

double thread_cpu_s() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Evenly spread over the subset; the origins take turns.
std::vector<Task> pick_tasks(const DataSet& set, std::size_t count) {
  std::vector<const SeriesInfo*> subset;
  for (const SeriesInfo& info : set.series) {
    if (info.subset) subset.push_back(&info);
  }
  std::vector<Task> tasks;
  for (std::size_t i = 0; i < count && !subset.empty(); ++i) {
    const SeriesInfo* info = subset[i * subset.size() / count % subset.size()];
    const std::span<const double> values = set.values(*info);
    const std::size_t origin = info->first_origin + 241 * (i % kOrigins);
    tasks.push_back({info, values.subspan(origin - kWindow, kWindow), values.subspan(origin, kHorizon),
                     scales_of(values.first(info->first_origin)).season});
  }
  return tasks;
}

Result<Answer> ours(const Task& task) {
  forecast::History history;
  history.step = std::chrono::seconds(300);
  history.values.assign(task.past.begin(), task.past.end());
  const double before = thread_cpu_s();
  forecast::AutoArima model({.horizon_steps = kHorizon});
  if (Status status = model.fit(history); !status) return status.error();
  Answer answer;
  if (Result<forecast::Forecast> made = model.forecast(kHorizon); !made) return made.error();
  answer.cpu_s = thread_cpu_s() - before;
  answer.path = model.path(kHorizon);
  const forecast::ArimaOrder& order = model.fitted().order;
  answer.order = fmt::format("{}/{}/{}", order.p, order.d, order.q);
  return answer;
}

/// Runs the script on all tasks; each(index, answer) as they come.
template <typename Each>
Status theirs(const std::vector<Task>& tasks, const std::string& script, Each each) {
  std::string folder = (std::filesystem::temp_directory_path() / "proteus-arima-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return Error{ErrorCode::kUnavailable, "no temporary folder"};
  const std::string input = folder + "/series.csv";
  {
    std::ofstream file(input);
    for (const Task& task : tasks) file << fmt::format("{}\n", fmt::join(task.past, ","));
  }
  const std::string command = fmt::format("Rscript --vanilla '{}' '{}'", script, input);
  std::FILE* pipe = popen(command.c_str(), "r");
  std::string line;
  std::size_t done = 0;
  for (int c = pipe == nullptr ? EOF : std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
    if (c != '\n') {
      line += static_cast<char>(c);
      continue;
    }
    std::stringstream fields(line);
    line.clear();
    Answer answer;
    std::string field;
    std::getline(fields, field, ',');
    answer.cpu_s = std::strtod(field.c_str(), nullptr);
    std::getline(fields, answer.order, ',');
    while (std::getline(fields, field, ',')) answer.path.push_back(std::strtod(field.c_str(), nullptr));
    if (answer.path.size() != kHorizon || done >= tasks.size()) break;
    each(done++, answer);
  }
  const int status = pipe == nullptr ? -1 : pclose(pipe);
  std::filesystem::remove_all(folder);
  if (status != 0 || done != tasks.size()) {
    return Error{ErrorCode::kUnavailable,
                 fmt::format("'{}' did not answer for all series; is r-cran-forecast installed?", command)};
  }
  return {};
}

double mase(const std::vector<double>& path, const Task& task, std::size_t steps) {
  double sum = 0;
  for (std::size_t h = 0; h < steps; ++h) sum += std::abs(task.actual[h] - std::max(0.0, path[h]));
  return sum / static_cast<double>(steps) / task.scale;
}

int run(const std::string& data, std::size_t count, const std::string& script) {
  Result<DataSet> set = read_data_set(data);
  if (!set) return fmt::print(stderr, "{}\n", set.error().message), 1;
  const std::vector<Task> tasks = pick_tasks(*set, count);
  std::vector<double> ratios;
  double cpu[2] = {0, 0};
  std::vector<double> errors[2][kReaches.size()];
  fmt::print("{:<24}{:>9}{:>9}{:>12}{:>12}{:>11}{:>11}\n", "series", "order", "order R", "mase_12", "mase_12 R", "ms",
             "ms R");
  const Status status = theirs(tasks, script, [&](std::size_t i, const Answer& r) {
    Result<Answer> own = ours(tasks[i]);
    if (!own) {
      fmt::print(stderr, "{}: {}\n", tasks[i].info->id, own.error().message);
      std::exit(1);
    }
    for (std::size_t reach = 0; reach < kReaches.size(); ++reach) {
      errors[0][reach].push_back(mase(own->path, tasks[i], kReaches[reach]));
      errors[1][reach].push_back(mase(r.path, tasks[i], kReaches[reach]));
    }
    cpu[0] += own->cpu_s;
    cpu[1] += r.cpu_s;
    ratios.push_back(r.cpu_s / own->cpu_s);
    fmt::print("{:<24}{:>9}{:>9}{:>12.4f}{:>12.4f}{:>11.2f}{:>11.1f}\n", tasks[i].info->id, own->order, r.order,
               errors[0][kHour].back(), errors[1][kHour].back(), 1e3 * own->cpu_s, 1e3 * r.cpu_s);
  });
  if (!status) return fmt::print(stderr, "{}\n", status.error().message), 1;
  const auto n = static_cast<double>(tasks.size());
  fmt::print("\n{} series, each at one origin\n", tasks.size());
  for (std::size_t reach = 0; reach < kReaches.size(); ++reach) {
    const double a = mean(errors[0][reach]);
    const double b = mean(errors[1][reach]);
    fmt::print("mase_{:<4} {:.4f}, R {:.4f}: {:+.2f} %\n", kReaches[reach], a, b, 100 * (a / b - 1));
  }
  fmt::print("CPU per fit and {} steps: {:.2f} ms, R {:.1f} ms: {:.0f} times; median of the ratios {:.0f}\n", kHorizon,
             1e3 * cpu[0] / n, 1e3 * cpu[1] / n, cpu[1] / cpu[0], median(ratios));
  return 0;
}

}  // namespace
}  // namespace proteus::bench

int main(int argc, char** argv) {
  std::string data = PROTEUS_SOURCE_DIR "/../shared/data/forecast";
  std::size_t count = 60;
  CLI::App app("AutoArima beside R's auto.arima, on the same series");
  app.add_option("--data", data, "the set folder")->check(CLI::ExistingDirectory)->capture_default_str();
  app.add_option("--count", count, "how many series and origins")->check(CLI::Range(1, 824))->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return proteus::bench::run(data, count, PROTEUS_SOURCE_DIR "/tests/bench/forecast/auto_arima.R");
}
