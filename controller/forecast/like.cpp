#include "controller/forecast/like.h"

#include <algorithm>
#include <cmath>

namespace proteus::forecast {
namespace {

constexpr std::size_t kYoungHorizons = 4;

}  // namespace

Status Like::fit(const History& history) {
  fitted_ = false;
  const auto failed = [](const char* why) { return Error{ErrorCode::kFailedPrecondition, why}; };
  if (history.values.size() > kYoungHorizons * static_cast<std::size_t>(horizon_steps_)) {
    return failed("like: the series has a history of its own");
  }
  if (!kin_.usable(resource_)) return failed("like: too few like series are known");
  const std::size_t count = std::min(history.values.size(), static_cast<std::size_t>(kKinLevelSteps));
  newest_.assign(history.values.end() - static_cast<std::ptrdiff_t>(count), history.values.end());
  if (std::none_of(newest_.begin(), newest_.end(), [](double v) { return std::isfinite(v); })) {
    return failed("like: no value");
  }
  end_ = history.end;
  step_ = history.step;
  fitted_ = true;
  return {};
}

void Like::update(double value) {
  if (!fitted_) return;
  end_ += step_;
  if (!std::isfinite(value)) return;  // a level is made of known values
  if (newest_.size() >= static_cast<std::size_t>(kKinLevelSteps)) newest_.erase(newest_.begin());
  newest_.push_back(value);
}

Result<Forecast> Like::forecast(int steps) const {
  if (!fitted_) return Error{ErrorCode::kFailedPrecondition, "like: not fitted"};
  Forecast forecast{.made_at = end_, .step = step_, .steps = {}, .window_max = {}, .model = "like"};
  kin_.forecast(resource_, newest_, forecast);
  forecast.steps.resize(static_cast<std::size_t>(steps), forecast.steps.back());
  return forecast;
}

}  // namespace proteus::forecast
