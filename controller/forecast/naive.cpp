#include "controller/forecast/naive.h"

#include <algorithm>
#include <cmath>

#include "controller/forecast/gaps.h"
#include "controller/forecast/trend_trace.h"

namespace proteus::forecast {

Naive::Naive(int horizon_steps, int fit_steps) : fit_steps_(fit_steps), errors_(horizon_steps) {}

Status Naive::fit(const History& history) {
  fitted_ = false;
  if (!all_usable(history.values)) {
    return Error{ErrorCode::kInvalidArgument, "naive: a value is beyond 1e150"};
  }
  const std::size_t count = std::min(history.values.size(), static_cast<std::size_t>(fit_steps_));
  std::span<const double> values(history.values.data() + history.values.size() - count, count);
  while (!values.empty() && !std::isfinite(values.front())) values = values.subspan(1);
  std::vector<double> filled(values.begin(), values.end());
  for (std::size_t i = 1; i < filled.size(); ++i) {
    if (!std::isfinite(filled[i])) filled[i] = filled[i - 1];
  }
  const auto path_of = [&](std::size_t origin, std::span<double> path) {
    std::fill(path.begin(), path.end(), filled[origin]);
  };
  TrendTrace trace;
  if (!values.empty()) trace.run(TrendTrace::kPlain, trend_start(values), values);
  const auto crosses = [&trace](std::size_t origin, int h) { return trace.crosses_change(origin, h); };
  if (filled.size() < 2 || !errors_.learn(values, 0, path_of, crosses, trace.change_rate())) {
    return Error{ErrorCode::kFailedPrecondition, "naive: needs two steps with a value"};
  }
  last_ = filled.back();
  end_ = history.end;
  step_ = history.step;
  fitted_ = true;
  return {};
}

void Naive::update(double value) {
  if (!fitted_) return;
  end_ += step_;
  if (usable(value)) last_ = value;
}

Result<Forecast> Naive::forecast(int steps) const {
  if (!fitted_) return Error{ErrorCode::kFailedPrecondition, "naive: not fitted"};
  Forecast forecast{.made_at = end_, .step = step_, .steps = {}, .window_max = {}, .model = "naive"};
  const std::vector<double> path(static_cast<std::size_t>(steps), last_);
  put_errors_around(path, {}, errors_, forecast);
  return forecast;
}

}  // namespace proteus::forecast
