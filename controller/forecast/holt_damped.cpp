#include "controller/forecast/holt_damped.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "controller/forecast/gaps.h"

namespace proteus::forecast {
namespace {

constexpr int kValuesMin = 4;
constexpr std::array kAlphas = {0.03, 0.07, 0.15, 0.3, 0.5, 0.75, 1.0};
constexpr std::array kBetas = {0.05, 0.15, 0.4};
constexpr std::array kPhis = {0.8, 0.9, 0.98};
/// A trend in quiet times must earn its place: fits that differ by less are noise, and a spurious trend is
/// carried far.
constexpr double kTrendGain = 0.97;
constexpr std::ptrdiff_t kTrendOriginsMin = 60;
/// Fewer quiet origins tell nothing about a horizon.
constexpr std::size_t kQuietMin = 10;
/// So many changes, and so often, are the nature of the series: a random walk shows one in some 40 steps,
/// white noise none in hundreds.
constexpr std::size_t kWanderingChanges = 6;
constexpr std::size_t kWanderingSteps = 60;
/// The first steps of the history only start the filter.
constexpr std::size_t kWarmUp = 5;

/// phi, phi + phi², … for h = 1 … steps.
std::vector<double> damped_sums(double phi, int steps) {
  std::vector<double> sums(static_cast<std::size_t>(steps));
  double power = 1;
  double sum = 0;
  for (double& s : sums) {
    power *= phi;
    sum += power;
    s = sum;
  }
  return sums;
}

}  // namespace

HoltDamped::HoltDamped(int horizon_steps, int fit_steps)
    : horizon_steps_(std::max(1, horizon_steps)), fit_steps_(fit_steps), errors_(horizon_steps) {}

std::array<int, 3> HoltDamped::scored_horizons(std::size_t count) const {
  const int longest = std::max(1, std::min(horizon_steps_, static_cast<int>(count / 2)));
  return {1, (longest + 1) / 2, longest};
}

HoltDamped::Quiet HoltDamped::quiet_origins(std::span<const double> values, const TrendStart& start) const {
  TrendTrace trace;
  trace.run(TrendTrace::kPlain, start, values);
  const std::array<int, 3> horizons = scored_horizons(values.size());
  Quiet quiet;
  // A series that changes all the time wanders: then that is what is to be fitted.
  if (trace.changes.size() >= kWanderingChanges && trace.changes.size() * kWanderingSteps > values.size()) {
    quiet.fill(std::vector<bool>(values.size(), true));
    return quiet;
  }
  for (std::size_t k = 0; k < quiet.size(); ++k) {
    quiet[k].resize(values.size());
    std::size_t count = 0;
    for (std::size_t t = 0; t < values.size(); ++t) {
      quiet[k][t] = !trace.states[t].in_trend && !trace.crosses_change(t, horizons[k]);
      count += quiet[k][t] ? 1 : 0;
    }
    if (count < kQuietMin) quiet[k].assign(values.size(), false);
  }
  return quiet;
}

double HoltDamped::loss(const DampedTrendParameters& parameters, std::span<const double> values,
                        const TrendTrace& trace, const Quiet& quiet) const {
  const std::array<int, 3> horizons = scored_horizons(values.size());
  const std::vector<double> quiet_sums = damped_sums(parameters.phi, horizons.back());
  const std::vector<double> trend_sums = damped_sums(DampedTrendFilter::kTrendDamping, horizons.back());
  const std::size_t first = std::min(kWarmUp, values.size() / 4);
  double loss = 0;
  for (std::size_t k = 0; k < horizons.size(); ++k) {
    const auto h = static_cast<std::size_t>(horizons[k]);
    double sum = 0;
    int count = 0;
    for (std::size_t t = first; t + h < values.size(); ++t) {
      const double actual = values[t + h];
      if (!quiet[k][t] || !std::isfinite(actual)) continue;
      const TrendTrace::State& state = trace.states[t];
      const double point = state.level + (state.in_trend ? trend_sums : quiet_sums)[h - 1] * state.trend;
      sum += std::abs(actual - std::max(0.0, point));
      ++count;
    }
    if (count > 0) loss += sum / count;
  }
  return loss;
}

DampedTrendParameters HoltDamped::search(std::span<const double> values, const TrendStart& start) const {
  const Quiet quiet = quiet_origins(values, start);
  TrendTrace trace;
  const auto loss_of = [&](const DampedTrendParameters& parameters) {
    trace.run(parameters, start, values);
    return loss(parameters, values, trace, quiet);
  };
  // First the level's gain without a trend, then trends around it.
  DampedTrendParameters best = TrendTrace::kPlain;
  const auto none = [](const std::vector<bool>& origins) {
    return std::find(origins.begin(), origins.end(), true) == origins.end();
  };
  if (std::all_of(quiet.begin(), quiet.end(), none)) return best;
  double best_loss = std::numeric_limits<double>::infinity();
  for (const double alpha : kAlphas) {
    const DampedTrendParameters candidate{alpha, 0, DampedTrendFilter::kTrendDamping};
    const double loss = loss_of(candidate);
    if (loss < best_loss) {
      best = candidate;
      best_loss = loss;
    }
  }
  // A trend is for the end of the horizon; without quiet times of that length it would be fitted to the next
  // step only.
  if (std::count(quiet.back().begin(), quiet.back().end(), true) < kTrendOriginsMin) return best;
  const double level_alpha = best.alpha;
  double bar = kTrendGain * best_loss;
  for (const double alpha : kAlphas) {
    if (alpha < level_alpha / 3 || alpha > level_alpha * 3) continue;
    for (const double beta : kBetas) {
      for (const double phi : kPhis) {
        const DampedTrendParameters candidate{alpha, beta, phi};
        const double loss = loss_of(candidate);
        if (loss < bar) {
          best = candidate;
          bar = loss;
        }
      }
    }
  }
  return best;
}

Status HoltDamped::fit(const History& history) {
  fitted_ = false;
  if (!all_usable(history.values)) {
    return Error{ErrorCode::kInvalidArgument, "holt_damped: a value is beyond 1e150"};
  }
  const std::size_t count = std::min(history.values.size(), static_cast<std::size_t>(fit_steps_));
  std::span<const double> values(history.values.data() + history.values.size() - count, count);
  while (!values.empty() && !std::isfinite(values.front())) values = values.subspan(1);
  const auto known = std::count_if(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
  if (known < kValuesMin) return Error{ErrorCode::kFailedPrecondition, "holt_damped: needs four values"};

  const TrendStart start = trend_start(values);
  parameters_ = search(values, start);
  TrendTrace trace;
  filter_ = trace.run(parameters_, start, values);

  const std::vector<double> quiet_sums = damped_sums(parameters_.phi, horizon_steps_);
  const std::vector<double> trend_sums = damped_sums(DampedTrendFilter::kTrendDamping, horizon_steps_);
  const auto path_of = [&](std::size_t origin, std::span<double> path) {
    const TrendTrace::State& state = trace.states[origin];
    const std::vector<double>& sums = state.in_trend ? trend_sums : quiet_sums;
    for (std::size_t i = 0; i < path.size(); ++i) path[i] = std::max(0.0, state.level + sums[i] * state.trend);
  };
  const auto crosses = [&trace](std::size_t origin, int h) { return trace.crosses_change(origin, h); };
  if (!errors_.learn(values, std::min<std::size_t>(2, values.size() / 4), path_of, crosses, trace.change_rate())) {
    return Error{ErrorCode::kFailedPrecondition, "holt_damped: no two values within the horizon"};
  }
  end_ = history.end;
  step_ = history.step;
  fitted_ = true;
  return {};
}

void HoltDamped::update(double value) {
  if (!fitted_) return;
  end_ += step_;
  filter_.update(usable(value) ? value : std::numeric_limits<double>::quiet_NaN());
}

Result<Forecast> HoltDamped::forecast(int steps) const {
  if (!fitted_) return Error{ErrorCode::kFailedPrecondition, "holt_damped: not fitted"};
  Forecast forecast{.made_at = end_, .step = step_, .steps = {}, .window_max = {}, .model = "holt_damped"};
  std::vector<double> path = damped_sums(filter_.damping(), steps);
  std::vector<double> path_errors;
  const double trend_error = filter_.trend_error();
  if (trend_error > 0) {
    path_errors = path;
    for (double& error : path_errors) error *= trend_error;
  }
  for (double& point : path) point = std::max(0.0, filter_.level() + point * filter_.trend());
  put_errors_around(path, path_errors, errors_, forecast);
  return forecast;
}

}  // namespace proteus::forecast
