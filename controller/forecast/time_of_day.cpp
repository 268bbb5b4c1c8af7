#include "controller/forecast/time_of_day.h"

#include <algorithm>
#include <cmath>

#include "controller/forecast/gaps.h"
#include "controller/forecast/sample_quantiles.h"

namespace proteus::forecast {
namespace {

constexpr std::ptrdiff_t kDays = 7;
constexpr std::ptrdiff_t kMargin = 3;  ///< steps before and after

}  // namespace

TimeOfDay::TimeOfDay(int day_steps) : day_steps_(static_cast<std::size_t>(std::max(1, day_steps))) {}

Status TimeOfDay::fit(const History& history) {
  fitted_ = false;
  if (history.values.size() < day_steps_) {
    return Error{ErrorCode::kFailedPrecondition, "time_of_day: needs a day, " + std::to_string(day_steps_) + " steps"};
  }
  if (!all_usable(history.values)) {
    return Error{ErrorCode::kInvalidArgument, "time_of_day: a value is beyond 1e150"};
  }
  const std::size_t kept = std::min(history.values.size(), (kDays + 1) * day_steps_ + kMargin);
  values_.assign(history.values.end() - static_cast<std::ptrdiff_t>(kept), history.values.end());
  if (count_known(values_) == 0) {
    return Error{ErrorCode::kFailedPrecondition, "time_of_day: no value is known"};
  }
  end_ = history.end;
  step_ = history.step;
  fitted_ = true;
  return {};
}

void TimeOfDay::update(double value) {
  if (!fitted_) return;
  end_ += step_;
  values_.push_back(usable(value) ? value : std::nan(""));
  const std::size_t kept = (kDays + 1) * day_steps_ + kMargin;
  if (values_.size() < kept + day_steps_) return;
  // The oldest go in one piece, unless they are all that is known.
  const auto cut = values_.end() - static_cast<std::ptrdiff_t>(kept);
  if (count_known(std::span(values_).last(kept)) > 0) values_.erase(values_.begin(), cut);
}

Result<Forecast> TimeOfDay::forecast(int steps) const {
  if (!fitted_) return Error{ErrorCode::kFailedPrecondition, "time_of_day: not fitted"};
  Forecast forecast{.made_at = end_, .step = step_, .steps = {}, .window_max = {}, .model = "time_of_day"};
  const auto now = static_cast<std::ptrdiff_t>(values_.size());
  const auto day = static_cast<std::ptrdiff_t>(day_steps_);
  std::vector<double> sample;
  const auto quantiles = [&](std::vector<double>& of) {
    if (!of.empty()) return tidy(quantiles_of_sample(of));
    // Nothing is known at that time of day: any time of day.
    std::copy_if(values_.begin(), values_.end(), std::back_inserter(of), [](double v) { return std::isfinite(v); });
    return tidy(quantiles_of_sample(of));
  };
  for (std::ptrdiff_t h = 0; h < std::min<std::ptrdiff_t>(steps, day); ++h) {
    sample.clear();
    for (std::ptrdiff_t d = 1; d <= kDays; ++d) {
      for (std::ptrdiff_t shift = -kMargin; shift <= kMargin; ++shift) {
        std::ptrdiff_t t = now + h - d * day + shift;
        while (t >= now) t -= day;
        if (t >= 0 && std::isfinite(values_[static_cast<std::size_t>(t)])) {
          sample.push_back(values_[static_cast<std::size_t>(t)]);
        }
      }
    }
    forecast.steps.push_back(quantiles(sample));
  }
  while (forecast.steps.size() < static_cast<std::size_t>(steps)) {
    forecast.steps.push_back(forecast.steps[forecast.steps.size() - day_steps_]);
  }
  // The largest of a day and more is that of a day.
  const std::ptrdiff_t window = std::min<std::ptrdiff_t>(steps, day);
  sample.clear();
  for (std::ptrdiff_t d = 1; d <= kDays; ++d) {
    for (std::ptrdiff_t shift = -kMargin; shift <= kMargin; ++shift) {
      double highest = -HUGE_VAL;
      for (std::ptrdiff_t h = 0; h < window; ++h) {
        const std::ptrdiff_t t = now + h - d * day + shift;
        if (t < 0 || t >= now || !std::isfinite(values_[static_cast<std::size_t>(t)])) continue;
        highest = std::max(highest, values_[static_cast<std::size_t>(t)]);
      }
      if (highest > -HUGE_VAL) sample.push_back(highest);
    }
  }
  forecast.window_max = quantiles(sample);
  raise_to_steps(forecast);
  return forecast;
}

}  // namespace proteus::forecast
