#include "tests/bench/forecast/baselines.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "controller/forecast/sample_quantiles.h"

namespace proteus::bench {
namespace {

constexpr std::size_t kWeek = 2016;

/// Quantiles at kLevels; does not keep the samples' order.
Levels quantiles_of(std::vector<double>& samples) {
  const forecast::Quantiles q = forecast::quantiles_of_sample(samples);
  return {q.p10, q.p50, q.p90, q.p95, q.p99};
}

/// point, with errors around it; the median stays where the point is.
Levels around(double point, const Levels& errors) {
  Levels levels = errors;
  levels[kP50] = 0;
  for (double& level : levels) level += point;
  return levels;
}

std::span<const double> newest(std::span<const double> values, std::size_t count) {
  return values.last(std::min(values.size(), count));
}

Prediction seasonal(const Past& past, std::size_t lag) {
  const std::span<const double> y = past.values;
  std::vector<double> differences;
  for (std::size_t t = y.size() - std::min(kWeek, y.size() - lag); t < y.size(); ++t) {
    differences.push_back(y[t] - y[t - lag]);
  }
  const Levels errors = quantiles_of(differences);
  Prediction prediction;
  for (std::size_t h = 0; h < kHorizon; ++h) prediction.steps.push_back(around(y[y.size() + h - lag], errors));
  return prediction;
}

/// A baseline needs no state.
class Stateless final : public Contender {
 public:
  explicit Stateless(std::function<Prediction(const Past&)> rule) : rule_(std::move(rule)) {}
  Result<Prediction> forecast(const Past& past) override { return rule_(past); }

 private:
  std::function<Prediction(const Past&)> rule_;
};

ContenderKind stateless(const char* name, const char* note, std::function<Prediction(const Past&)> rule) {
  return {.name = name, .note = note, .make = [rule = std::move(rule)](const SeriesInfo&) {
            return Result<std::unique_ptr<Contender>>(std::make_unique<Stateless>(rule));
          }};
}

}  // namespace

Prediction naive(const Past& past) {
  const std::span<const double> x = newest(past.values, kWeek + kHorizon);
  Prediction prediction;
  std::vector<double> differences;
  for (std::size_t h = 1; h <= kHorizon; ++h) {
    differences.clear();
    for (std::size_t t = x.size() - std::min(kWeek, x.size() - h); t < x.size(); ++t) {
      differences.push_back(x[t] - x[t - h]);
    }
    prediction.steps.push_back(around(x.back(), quantiles_of(differences)));
  }
  return prediction;
}

Prediction snaive(const Past& past) {
  return seasonal(past, kHorizon);
}

Prediction snaive_week(const Past& past) {
  return past.values.size() < kWeek + kHorizon ? snaive(past) : seasonal(past, kWeek);
}

Prediction histogram(const Past& past, std::size_t steps) {
  const std::span<const double> x = newest(past.values, steps);
  std::vector<double> samples(x.begin(), x.end());
  return {.steps = std::vector<Levels>(kHorizon, quantiles_of(samples)), .window_max = {}};
}

Prediction ewma(const Past& past) {
  constexpr double kGain = 0.2;
  const std::span<const double> x = newest(past.values, kWeek + kHorizon);
  std::vector<double> levels = {x.front()};
  for (std::size_t t = 1; t < x.size(); ++t) levels.push_back(levels.back() + kGain * (x[t] - levels.back()));
  Prediction prediction;
  std::vector<double> errors;
  for (std::size_t h = 1; h <= kHorizon; ++h) {
    errors.clear();
    for (std::size_t t = h; t < x.size(); ++t) errors.push_back(x[t] - levels[t - h]);
    prediction.steps.push_back(around(levels.back(), quantiles_of(errors)));
  }
  return prediction;
}

std::vector<ContenderKind> baselines() {
  return {
      stateless("naive", "last value; quantiles of h-step differences of a week", naive),
      stateless("snaive", "value of a day before; quantiles of daily differences of a week", snaive),
      stateless("snaive_week", "value of a week before; quantiles of weekly differences", snaive_week),
      stateless("hist_1d", "quantiles of the last day", [](const Past& past) { return histogram(past, kHorizon); }),
      stateless("hist_7d", "quantiles of the last week", [](const Past& past) { return histogram(past, kWeek); }),
      stateless("ewma", "exponential smoothing, gain 0.2; quantiles of its h-step errors of a week", ewma),
  };
}

}  // namespace proteus::bench
