// AutoArima beside R's auto.arima, paired: the same last 2,016 values of the same series, both without season, R run by
// this program. Prints the mean absolute scaled errors of the point forecasts and the ratio of CPU seconds. Ours are
// two: the p50, which the benchmark's protocol takes for the point forecast, and the mean, which is all that R has.
// Needs Rscript and the forecast package (Debian: r-cran-forecast).

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
  std::vector<double> path;     ///< means
  std::vector<double> medians;  ///< ours only
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

Result<Answer> ours(const Task& task, bool choose_scale) {
  forecast::History history;
  history.step = std::chrono::seconds(300);
  history.values.assign(task.past.begin(), task.past.end());
  const double before = thread_cpu_s();
  forecast::AutoArima model({.horizon_steps = kHorizon, .choose_scale = choose_scale});
  if (Status status = model.fit(history); !status) return status.error();
  Answer answer;
  Result<forecast::Forecast> made = model.forecast(kHorizon);
  if (!made) return made.error();
  answer.cpu_s = thread_cpu_s() - before;
  for (const forecast::Quantiles& step : made->steps) answer.medians.push_back(step.p50);
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

int run(const std::string& data, std::size_t count, bool choose_scale, const std::string& script) {
  Result<DataSet> set = read_data_set(data);
  if (!set) return fmt::print(stderr, "{}\n", set.error().message), 1;
  const std::vector<Task> tasks = pick_tasks(*set, count);
  std::vector<double> ratios;
  double cpu[2] = {0, 0};
  std::vector<double> medians[kReaches.size()];
  std::vector<double> means[kReaches.size()];
  std::vector<double> rivals[kReaches.size()];
  fmt::print("{:<24}{:>9}{:>9}{:>10}{:>10}{:>10}{:>10}{:>9}{:>9}\n", "series", "order", "order R", "mase_1", "mase_1 R",
             "mase_12", "mase_12 R", "ms", "ms R");
  const Status status = theirs(tasks, script, [&](std::size_t i, const Answer& r) {
    Result<Answer> own = ours(tasks[i], choose_scale);
    if (!own) {
      fmt::print(stderr, "{}: {}\n", tasks[i].info->id, own.error().message);
      std::exit(1);
    }
    for (std::size_t reach = 0; reach < kReaches.size(); ++reach) {
      medians[reach].push_back(mase(own->medians, tasks[i], kReaches[reach]));
      means[reach].push_back(mase(own->path, tasks[i], kReaches[reach]));
      rivals[reach].push_back(mase(r.path, tasks[i], kReaches[reach]));
    }
    cpu[0] += own->cpu_s;
    cpu[1] += r.cpu_s;
    ratios.push_back(r.cpu_s / own->cpu_s);
    fmt::print("{:<24}{:>9}{:>9}{:>10.4f}{:>10.4f}{:>10.4f}{:>10.4f}{:>9.2f}{:>9.1f}\n", tasks[i].info->id, own->order,
               r.order, medians[0].back(), rivals[0].back(), medians[kHour].back(), rivals[kHour].back(),
               1e3 * own->cpu_s, 1e3 * r.cpu_s);
    std::fflush(stdout);
  });
  if (!status) return fmt::print(stderr, "{}\n", status.error().message), 1;
  const auto n = static_cast<double>(tasks.size());
  fmt::print("\n{} series and origins\n", tasks.size());
  for (std::size_t reach = 0; reach < kReaches.size(); ++reach) {
    const double r = mean(rivals[reach]);
    const auto against = [&](const std::vector<double>& own) { return 100 * (mean(own) / r - 1); };
    // As the benchmark's relative scores: so no series dominates.
    double logs = 0;
    for (std::size_t i = 0; i < rivals[reach].size(); ++i) {
      logs += std::log((medians[reach][i] + 1e-3) / (rivals[reach][i] + 1e-3));
    }
    fmt::print(
        "mase_{:<4} R {:.4f}, p50 {:.4f} ({:+.2f} %; geometric mean of the ratios {:+.2f} %), mean {:.4f} ({:+.2f} "
        "%)\n",
        kReaches[reach], r, mean(medians[reach]), against(medians[reach]), 100 * (std::exp(logs / n) - 1),
        mean(means[reach]), against(means[reach]));
  }
  fmt::print("CPU per fit and {} steps: {:.2f} ms, R {:.1f} ms: {:.0f} times; median of the ratios {:.0f}\n", kHorizon,
             1e3 * cpu[0] / n, 1e3 * cpu[1] / n, cpu[1] / cpu[0], median(ratios));
  return 0;
}

}  // namespace
}  // namespace proteus::bench

int main(int argc, char** argv) {
  std::string data = PROTEUS_SOURCE_DIR "/../shared/data/forecast";
  std::size_t count = 824;
  CLI::App app("AutoArima beside R's auto.arima, on the same series");
  app.add_option("--data", data, "the set folder")->check(CLI::ExistingDirectory)->capture_default_str();
  app.add_option("--count", count, "how many series and origins")->check(CLI::Range(1, 824))->capture_default_str();
  bool own_scale = false;
  app.add_flag("--own-scale", own_scale, "without the choice of a scale, which R does not make by default either");
  CLI11_PARSE(app, argc, argv);
  return proteus::bench::run(data, count, !own_scale, PROTEUS_SOURCE_DIR "/tests/bench/forecast/auto_arima.R");
}
