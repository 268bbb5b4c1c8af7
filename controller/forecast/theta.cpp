#include "controller/forecast/theta.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "controller/forecast/arma_filter.h"
#include "controller/forecast/gaps.h"

namespace proteus::forecast {
namespace {

constexpr std::size_t kValuesMin = 4;
/// One-sided 5 % of the normal distribution.
constexpr double kSignificant = 1.645;
/// Autocorrelations change slowly with the lag: so many are summed, evenly spaced.
constexpr std::size_t kLagsSummed = 48;

/// The autocorrelation at a season's lag is larger than chance allows, given those before it (Bartlett's formula).
bool is_seasonal(std::span<const double> y, std::size_t season) {
  if (season < 2 || y.size() <= 2 * season) return false;
  const auto n = static_cast<double>(y.size());
  const double mean = std::accumulate(y.begin(), y.end(), 0.0) / n;
  std::vector<double> e(y.begin(), y.end());
  for (double& value : e) value -= mean;
  const double variance = dot(e.data(), e.data(), e.size());
  if (!(variance > 0)) return false;
  const auto correlation = [&](std::size_t lag) { return dot(e.data() + lag, e.data(), e.size() - lag) / variance; };
  const std::size_t stride = (season - 1 + kLagsSummed - 1) / kLagsSummed;
  double squares = 0;
  for (std::size_t lag = 1; lag < season; lag += stride) {
    squares += static_cast<double>(std::min(stride, season - lag)) * correlation(lag) * correlation(lag);
  }
  return correlation(season) > kSignificant * std::sqrt((1 + 2 * squares) / n);
}

/// Means by phase of y less its moving average over a season, with mean zero.
std::vector<double> season_of(std::span<const double> y, std::size_t season) {
  std::vector<double> sums(season, 0.0);
  std::vector<double> counts(season, 0.0);
  const std::size_t half = season / 2;
  double window = std::accumulate(y.begin(), y.begin() + static_cast<std::ptrdiff_t>(season), 0.0);
  for (std::size_t t = half; t + season - half < y.size(); ++t) {
    // An even season: half a step of the next one counts, half of the first one does not.
    const double ahead = y[t + season - half];
    const double behind = y[t - half];
    const double average = (season % 2 == 1 ? window : window + 0.5 * (ahead - behind)) / static_cast<double>(season);
    sums[t % season] += y[t] - average;
    counts[t % season] += 1;
    window += ahead - behind;
  }
  double total = 0;
  for (std::size_t phase = 0; phase < season; ++phase) {
    if (counts[phase] > 0) sums[phase] /= counts[phase];
    total += sums[phase];
  }
  for (double& value : sums) value -= total / static_cast<double>(season);
  return sums;
}

double slope_of(std::span<const double> y) {
  const double middle = 0.5 * static_cast<double>(y.size() - 1);
  double cross = 0;
  double square = 0;
  for (std::size_t t = 0; t < y.size(); ++t) {
    const double x = static_cast<double>(t) - middle;
    cross += x * y[t];
    square += x * x;
  }
  return cross / square;
}

}  // namespace

Theta::Theta(int season_steps, int horizon_steps, int window_steps)
    : season_steps_(static_cast<std::size_t>(std::max(0, season_steps))),
      horizon_steps_(horizon_steps),
      window_steps_(window_steps),
      errors_(horizon_steps) {}

Status Theta::fit(const History& history) {
  fitted_ = false;
  const std::span<const double> known = newest_known(history.values, window_steps_);
  if (count_known(known) < kValuesMin) return Error{ErrorCode::kFailedPrecondition, "theta: needs four values"};
  if (!all_usable(known)) return Error{ErrorCode::kInvalidArgument, "theta: a value is beyond 1e150"};
  std::vector<double> y = without_gaps(known);
  season_.clear();
  if (is_seasonal(y, season_steps_)) season_ = season_of(y, season_steps_);
  for (std::size_t t = 0; t < y.size(); ++t) y[t] -= season_at(t);
  SmoothingFit fit = fit_simple_smoothing(y);
  state_ = fit.end;
  drift_ = 0.5 * slope_of(y);
  settled_ = (1 - std::pow(1 - state_.alpha, static_cast<double>(y.size()))) / state_.alpha;
  // Errors of the smoothing alone: the drift, half a slope that is seldom there, is not among them.
  for (std::size_t t = 0; t < y.size(); ++t) {
    fit.innovations[t] = std::isfinite(known[t]) ? fit.innovations[t] : 0;
  }
  if (!errors_.learn(known, fit.innovations, 1, smoothing_psi(fit.start, horizon_steps_))) {
    return Error{ErrorCode::kFailedPrecondition, "theta: no error to be seen"};
  }
  next_step_ = y.size();
  end_ = history.end;
  step_ = history.step;
  fitted_ = true;
  return {};
}

std::vector<double> Theta::path(int steps) const {
  std::vector<double> path = smoothing_path(state_, steps);
  for (std::size_t h = 0; h < path.size(); ++h) {
    path[h] += drift_ * (static_cast<double>(h) + settled_) + season_at(next_step_ + h);
  }
  return path;
}

void Theta::update(double value) {
  if (!fitted_) return;
  end_ += step_;
  if (usable(value)) state_.level += state_.alpha * (value - season_at(next_step_) - state_.level);
  ++next_step_;
}

Result<Forecast> Theta::forecast(int steps) const {
  if (!fitted_) return Error{ErrorCode::kFailedPrecondition, "theta: not fitted"};
  Forecast forecast{.made_at = end_, .step = step_, .steps = {}, .window_max = {}, .model = "theta"};
  put_around(path(steps), errors_, nullptr, forecast);
  return forecast;
}

}  // namespace proteus::forecast
