#pragma once

#include <array>
#include <span>
#include <vector>

#include "tests/bench/forecast/contender.h"

namespace proteus::bench {

/// Horizons up to which steps are scored together.
inline constexpr std::array<std::size_t, 4> kReaches = {1, 6, 12, 288};
enum Reach : std::size_t { kNext, kHalfHour, kHour, kDay };

/// One step's or one day's naive error before the first origin; both > 0 for a series worth scoring.
struct Scales {
  double step = 0;    ///< S1: mean |y[t] - y[t-1]|
  double season = 0;  ///< SM: mean |y[t] - y[t-288]|
};
Scales scales_of(std::span<const double> before_first_origin);

/// What was forecast at one origin, after the output rule (sorted, >= 0), and what came.
struct Outcome {
  std::vector<Levels> forecast;
  std::array<std::optional<Levels>, kWindows.size()> window_max;
  std::span<const double> actual;  ///< kHorizon values
};

/// The output rule of the protocol.
void apply_output_rule(Levels& levels);

struct ReachScore {
  double mase = 0;   ///< mean |y - p50| / SM
  double mase1 = 0;  ///< the same / S1
  Levels sql_at{};   ///< 2 * mean pinball loss / SM, by level
  double sql = 0;    ///< mean of them
  Levels coverage{};
  double loss_sum = 0;    ///< of 2 * pinball loss, mean of the levels
  double actual_sum = 0;  ///< of |y|
};
/// Of the constant reservation max p95 over the window.
struct WindowScore {
  double under = 0;         ///< share of steps above it
  double windows_over = 0;  ///< share of windows with such a step
  double shortage = 0;      ///< sum above it / sum of demand
  double slack = 0;         ///< sum below it / sum of demand
  double slack_scaled = 0;  ///< mean below it / SM
};
struct SeriesScore {
  std::array<ReachScore, kReaches.size()> reach;
  std::array<WindowScore, kWindows.size()> window;
};
SeriesScore score(std::span<const Outcome> outcomes, const Scales& scales);

/// Slack of reservations p50 + c * (p95 - p50), with the one c >= 0 for all series at which the mean share of steps
/// above them just does not exceed `target`.
struct IsoSlack {
  double c = 0;
  double under = 0;
  double slack_mean = 0;  ///< of slack_scaled over series
  double slack_median = 0;
};
struct ScoredSeries {
  std::vector<Outcome> outcomes;
  Scales scales;
};
/// window: index into kWindows. A forecast's own quantiles of the window maximum are scaled where it has them.
IsoSlack iso_slack(std::span<const ScoredSeries> series, std::size_t window, double target);

double mean(std::span<const double> values);
double median(std::vector<double> values);

}  // namespace proteus::bench
