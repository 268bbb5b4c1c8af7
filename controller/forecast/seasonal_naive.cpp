#include "controller/forecast/seasonal_naive.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "controller/forecast/gaps.h"

namespace proteus::forecast {
namespace {
/// Steps beyond the first season.
constexpr std::size_t kComparedMin = 8;
}  // namespace

SeasonalNaive::SeasonalNaive(int season_steps, int horizon_steps)
    : season_steps_(static_cast<std::size_t>(std::max(1, season_steps))), errors_(horizon_steps) {}

Status SeasonalNaive::fit(const History& history) {
  fitted_ = false;
  if (!all_usable(history.values)) {
    return Error{ErrorCode::kInvalidArgument, "seasonal_naive: a value is beyond 1e150"};
  }
  const std::vector<double>& values = history.values;
  if (values.size() < season_steps_ + kComparedMin) {
    return Error{ErrorCode::kFailedPrecondition, "seasonal_naive: needs " +
                                                     std::to_string(season_steps_ + kComparedMin) + " steps, has " +
                                                     std::to_string(values.size())};
  }
  // A missing value is that of a season before, at first the last one seen.
  std::vector<double> filled = values;
  const auto first = std::find_if(filled.begin(), filled.end(), [](double v) { return std::isfinite(v); });
  if (first == filled.end()) return Error{ErrorCode::kFailedPrecondition, "seasonal_naive: no value"};
  std::fill(filled.begin(), first, *first);
  for (std::size_t i = 1; i < filled.size(); ++i) {
    if (!std::isfinite(filled[i])) filled[i] = i < season_steps_ ? filled[i - 1] : filled[i - season_steps_];
  }
  const auto path_of = [&](std::size_t origin, std::span<double> path) {
    for (std::size_t i = 0; i < path.size(); ++i) {
      path[i] = filled[origin + 1 + i % season_steps_ - season_steps_];
    }
  };
  if (!errors_.learn(values, season_steps_ - 1, path_of)) {
    return Error{ErrorCode::kFailedPrecondition, "seasonal_naive: no value in the newest season"};
  }
  season_.assign(filled.end() - static_cast<std::ptrdiff_t>(season_steps_), filled.end());
  next_ = 0;
  end_ = history.end;
  step_ = history.step;
  fitted_ = true;
  return {};
}

void SeasonalNaive::update(double value) {
  if (!fitted_) return;
  end_ += step_;
  if (usable(value)) season_[next_] = value;
  next_ = (next_ + 1) % season_steps_;
}

Result<Forecast> SeasonalNaive::forecast(int steps) const {
  if (!fitted_) return Error{ErrorCode::kFailedPrecondition, "seasonal_naive: not fitted"};
  Forecast forecast{.made_at = end_, .step = step_, .steps = {}, .window_max = {}, .model = "seasonal_naive"};
  std::vector<double> path(static_cast<std::size_t>(steps));
  for (std::size_t i = 0; i < path.size(); ++i) path[i] = season_[(next_ + i) % season_steps_];
  put_errors_around(path, {}, errors_, forecast);
  return forecast;
}

}  // namespace proteus::forecast
