#include "controller/forecast/ets.h"

#include <cmath>

#include "controller/forecast/gaps.h"

namespace proteus::forecast {
namespace {

constexpr std::size_t kValuesMin = 4;

}  // namespace

Ets::Ets(int horizon_steps, int window_steps)
    : horizon_steps_(horizon_steps), window_steps_(window_steps), errors_(horizon_steps) {}

Status Ets::fit(const History& history) {
  fitted_ = false;
  const std::span<const double> known = newest_known(history.values, window_steps_);
  if (count_known(known) < kValuesMin) return Error{ErrorCode::kFailedPrecondition, "ets: needs four values"};
  if (!all_usable(known)) return Error{ErrorCode::kInvalidArgument, "ets: a value is beyond 1e150"};
  const std::vector<double> y = without_gaps(known);
  SmoothingFit fit;
  if (std::optional<SmoothingFit> found = fit_smoothing(y)) {
    fit = std::move(*found);
  } else {
    fit = fit_simple_smoothing(y);
  }
  for (std::size_t t = 0; t < y.size(); ++t) {
    if (!std::isfinite(known[t])) fit.innovations[t] = 0;
  }
  // The first innovation is from a state that was chosen to make it small.
  if (!errors_.learn(known, fit.innovations, 1, smoothing_psi(fit.start, horizon_steps_))) {
    return Error{ErrorCode::kFailedPrecondition, "ets: no error to be seen"};
  }
  state_ = fit.end;
  end_ = history.end;
  step_ = history.step;
  fitted_ = true;
  return {};
}

void Ets::update(double value) {
  if (!fitted_) return;
  end_ += step_;
  const double ahead = state_.level + state_.phi * state_.trend;
  const double error = usable(value) ? value - ahead : 0;
  state_.level = ahead + state_.alpha * error;
  state_.trend = state_.phi * state_.trend + state_.beta * error;
}

Result<Forecast> Ets::forecast(int steps) const {
  if (!fitted_) return Error{ErrorCode::kFailedPrecondition, "ets: not fitted"};
  Forecast forecast{.made_at = end_, .step = step_, .steps = {}, .window_max = {}, .model = "ets"};
  put_around(path(steps), errors_, nullptr, forecast);
  return forecast;
}

}  // namespace proteus::forecast
