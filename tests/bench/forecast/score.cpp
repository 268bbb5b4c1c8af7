#include "tests/bench/forecast/score.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace proteus::bench {
namespace {

/// So that forecasts in single precision score like those in double.
double with_tolerance(double forecast) {
  return forecast + 1e-6 * std::max(1.0, std::abs(forecast));
}

double mean_step(std::span<const double> values, std::size_t lag) {
  double sum = 0;
  for (std::size_t t = lag; t < values.size(); ++t) sum += std::abs(values[t] - values[t - lag]);
  return sum / static_cast<double>(values.size() - lag);
}

ReachScore score_reach(std::span<const Outcome> outcomes, std::size_t steps, const Scales& scales) {
  ReachScore result;
  double absolute = 0;
  Levels losses{};
  Levels covered{};
  for (const Outcome& outcome : outcomes) {
    for (std::size_t h = 0; h < steps; ++h) {
      const double actual = outcome.actual[h];
      const Levels& forecast = outcome.forecast[h];
      absolute += std::abs(actual - forecast[kP50]);
      result.actual_sum += std::abs(actual);
      for (std::size_t q = 0; q < kLevels.size(); ++q) {
        const double error = actual - forecast[q];
        losses[q] += 2 * std::max(kLevels[q] * error, (kLevels[q] - 1) * error);
        covered[q] += actual <= with_tolerance(forecast[q]) ? 1 : 0;
      }
    }
  }
  const auto count = static_cast<double>(outcomes.size() * steps);
  result.mase = absolute / count / scales.season;
  result.mase1 = absolute / count / scales.step;
  for (std::size_t q = 0; q < kLevels.size(); ++q) {
    result.sql_at[q] = losses[q] / count / scales.season;
    result.coverage[q] = covered[q] / count;
    result.loss_sum += losses[q] / kLevels.size();
  }
  result.sql = mean(result.sql_at);
  return result;
}

double reservation(const Outcome& outcome, std::size_t steps) {
  double highest = 0;
  for (std::size_t h = 0; h < steps; ++h) highest = std::max(highest, outcome.forecast[h][kP95]);
  return highest;
}

double scaled_reservation(const Outcome& outcome, std::size_t window, double c) {
  const auto of = [c](const Levels& levels) { return levels[kP50] + c * (levels[kP95] - levels[kP50]); };
  if (outcome.window_max[window]) return std::max(0.0, of(*outcome.window_max[window]));
  double highest = 0;
  for (std::size_t h = 0; h < kWindows[window]; ++h) highest = std::max(highest, of(outcome.forecast[h]));
  return highest;
}

template <typename Reservation>
WindowScore score_window(std::span<const Outcome> outcomes, std::size_t steps, double season, Reservation reserve) {
  WindowScore result;
  double demand = 0;
  for (const Outcome& outcome : outcomes) {
    const double reserved = reserve(outcome);
    bool over = false;
    for (const double actual : outcome.actual.first(steps)) {
      demand += actual;
      result.shortage += std::max(actual - reserved, 0.0);
      result.slack += std::max(reserved - actual, 0.0);
      if (actual > with_tolerance(reserved)) {
        result.under += 1;
        over = true;
      }
    }
    result.windows_over += over ? 1 : 0;
  }
  const auto count = static_cast<double>(outcomes.size() * steps);
  result.slack_scaled = result.slack / count / season;
  result.shortage /= std::max(demand, 1e-9);
  result.slack /= std::max(demand, 1e-9);
  result.under /= count;
  result.windows_over /= static_cast<double>(outcomes.size());
  return result;
}

}  // namespace

double mean(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return 0.5 * (values[(n - 1) / 2] + values[n / 2]);
}

Scales scales_of(std::span<const double> before_first_origin) {
  return {mean_step(before_first_origin, 1), mean_step(before_first_origin, kHorizon)};
}

void apply_output_rule(Levels& levels) {
  std::sort(levels.begin(), levels.end());
  for (double& level : levels) level = std::max(0.0, level);
}

SeriesScore score(std::span<const Outcome> outcomes, const Scales& scales) {
  SeriesScore result;
  for (std::size_t r = 0; r < kReaches.size(); ++r) result.reach[r] = score_reach(outcomes, kReaches[r], scales);
  for (std::size_t w = 0; w < kWindows.size(); ++w) {
    result.window[w] = score_window(outcomes, kWindows[w], scales.season,
                                    [w](const Outcome& outcome) { return reservation(outcome, kWindows[w]); });
  }
  return result;
}

IsoSlack iso_slack(std::span<const ScoredSeries> series, std::size_t window, double target) {
  std::vector<double> under(series.size());
  std::vector<double> slack(series.size());
  const auto score_all = [&](double c) {
    for (std::size_t s = 0; s < series.size(); ++s) {
      const WindowScore result =
          score_window(series[s].outcomes, kWindows[window], series[s].scales.season,
                       [&](const Outcome& outcome) { return scaled_reservation(outcome, window, c); });
      under[s] = result.under;
      slack[s] = result.slack_scaled;
    }
    return mean(under);
  };
  double low = 0;
  double high = 50;
  for (int step = 0; step < 40; ++step) {
    const double middle = 0.5 * (low + high);
    (score_all(middle) <= target ? high : low) = middle;
  }
  IsoSlack result{.c = high};
  result.under = score_all(high);
  result.slack_mean = mean(slack);
  result.slack_median = median(slack);
  return result;
}

}  // namespace proteus::bench
