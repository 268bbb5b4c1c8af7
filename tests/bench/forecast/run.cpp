#include "tests/bench/forecast/run.h"

#include <time.h>

#include <algorithm>
#include <cmath>

#include "tests/bench/forecast/baselines.h"

namespace proteus::bench {
namespace {

/// Steps from one origin to the next: 20 hours and five minutes, so that they fall on different times of day.
constexpr std::size_t kOriginStride = 241;

double thread_cpu_s() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

Status usable(const Prediction& prediction) {
  if (prediction.steps.size() != kHorizon) return Error{ErrorCode::kInternal, "not as many steps as the horizon has"};
  const auto finite = [](const Levels& levels) {
    return std::all_of(levels.begin(), levels.end(), [](double level) { return std::isfinite(level); });
  };
  for (const Levels& step : prediction.steps) {
    if (!finite(step)) return Error{ErrorCode::kInternal, "a step's quantiles are not finite"};
  }
  for (const std::optional<Levels>& window : prediction.window_max) {
    if (window && !finite(*window)) return Error{ErrorCode::kInternal, "quantiles of the maximum are not finite"};
  }
  return {};
}

}  // namespace

Result<Run> run_contender(const ContenderKind& kind, const DataSet& set, const std::vector<const SeriesInfo*>& series,
                          const std::function<void(std::size_t)>& progress) {
  Run run;
  run.name = kind.name;
  run.note = kind.note;
  run.train_cpu_s = kind.train_cpu_s;
  run.info = series;
  double cpu_s = 0;
  for (const SeriesInfo* info : series) {
    Result<std::unique_ptr<Contender>> contender = kind.make(*info);
    if (!contender) return with_context(contender.error(), kind.name);
    const std::span<const double> values = set.values(*info);
    ScoredSeries scored{.outcomes = {}, .scales = scales_of(values.first(info->first_origin))};
    for (std::size_t k = 0; k < kOrigins; ++k) {
      const std::size_t origin = info->first_origin + kOriginStride * k;
      std::vector<Past::Companion> companions;
      for (const DataSet::Column& column : set.columns.at(info->vm)) {
        if (column.name == info->column) continue;
        companions.push_back({column.name, std::span(column.values).first(origin)});
      }
      const Past past{.series = *info, .values = values.first(origin), .companions = companions};
      const double before = thread_cpu_s();
      Result<Prediction> made = (*contender)->forecast(past);
      cpu_s += thread_cpu_s() - before;
      if (const Status status = made ? usable(*made) : Status(made.error()); !status) {
        if (run.fallbacks++ == 0) run.first_failure = info->id + ": " + status.error().message;
        made = snaive(past);
      }
      Outcome outcome{.forecast = std::move(made->steps),
                      .window_max = made->window_max,
                      .actual = values.subspan(origin, kHorizon)};
      for (Levels& step : outcome.forecast) apply_output_rule(step);
      for (std::optional<Levels>& window : outcome.window_max) {
        if (window) apply_output_rule(*window);
      }
      scored.outcomes.push_back(std::move(outcome));
    }
    run.scores.push_back(score(scored.outcomes, scored.scales));
    run.series.push_back(std::move(scored));
    progress(run.series.size());
  }
  run.cpu_s_per_forecast = cpu_s / static_cast<double>(series.size() * kOrigins);
  return run;
}

Run subset_of(const Run& run) {
  Run part;
  part.name = run.name;
  part.note = run.note;
  part.train_cpu_s = run.train_cpu_s;
  part.cpu_s_per_forecast = run.cpu_s_per_forecast;
  for (std::size_t i = 0; i < run.info.size(); ++i) {
    if (!run.info[i]->subset) continue;
    part.info.push_back(run.info[i]);
    part.series.push_back(run.series[i]);
    part.scores.push_back(run.scores[i]);
  }
  return part;
}

}  // namespace proteus::bench
