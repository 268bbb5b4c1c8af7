#include "controller/forecast/decaying_histogram.h"

#include <algorithm>
#include <cmath>

#include "controller/forecast/gaps.h"

namespace proteus::forecast {
namespace {

bool by_value(double a, double b) {
  return a < b;
}

/// The largest of each `steps` neighbours; NaN = missing, in windows of which nothing is known. Oldest first.
std::vector<double> maxima(const std::vector<double>& values, std::size_t steps) {
  std::vector<double> result;
  std::vector<std::size_t> falling;  // indices of the window's values that nothing later exceeds
  std::size_t front = 0;
  for (std::size_t t = 0; t < values.size(); ++t) {
    if (std::isfinite(values[t])) {
      while (falling.size() > front && values[falling.back()] <= values[t]) falling.pop_back();
      falling.push_back(t);
    }
    while (front < falling.size() && falling[front] + steps <= t) ++front;
    if (t + 1 < steps) continue;
    result.push_back(front < falling.size() ? values[falling[front]] : std::nan(""));
  }
  return result;
}

}  // namespace

DecayingHistogram::DecayingHistogram(int half_life_steps) : half_life_steps_(std::max(1, half_life_steps)) {}

Status DecayingHistogram::fit(const History& history) {
  fitted_ = false;
  if (!all_usable(history.values)) {
    return Error{ErrorCode::kInvalidArgument, "decaying_histogram: a value is beyond 1e150"};
  }
  fitted_ = count_known(history.values) > 0;
  if (!fitted_) return Error{ErrorCode::kFailedPrecondition, "decaying_histogram: no value is known"};
  values_ = history.values;
  kept_ = values_.size();
  newest_step_ = static_cast<std::int64_t>(values_.size()) - 1;
  sorted_.clear();
  for (std::size_t t = 0; t < values_.size(); ++t) {
    if (std::isfinite(values_[t])) sorted_.push_back({values_[t], static_cast<std::int64_t>(t)});
  }
  std::sort(sorted_.begin(), sorted_.end(), [](const Entry& a, const Entry& b) { return by_value(a.value, b.value); });
  end_ = history.end;
  step_ = history.step;
  return {};
}

void DecayingHistogram::update(double value) {
  if (!fitted_) return;
  end_ += step_;
  ++newest_step_;
  values_.push_back(usable(value) ? value : std::nan(""));
  if (usable(value)) {
    const auto place = std::upper_bound(sorted_.begin(), sorted_.end(), value,
                                        [](double v, const Entry& entry) { return by_value(v, entry.value); });
    sorted_.insert(place, {value, newest_step_});
  }
  // The oldest go in one piece, rarely.
  if (values_.size() < kept_ + kept_ / 4 + 1) return;
  values_.erase(values_.begin(), values_.end() - static_cast<std::ptrdiff_t>(kept_));
  const std::int64_t oldest = newest_step_ - static_cast<std::int64_t>(kept_);
  // Unless they are all that is known.
  if (count_known(values_) > 0) std::erase_if(sorted_, [oldest](const Entry& entry) { return entry.step <= oldest; });
}

Quantiles DecayingHistogram::weighted(const std::vector<Entry>& sorted) const {
  std::int64_t newest = sorted[0].step;
  for (const Entry& entry : sorted) newest = std::max(newest, entry.step);
  const double halving = std::exp2(-1 / half_life_steps_);
  std::vector<double> weights = {1};
  const auto weight_of = [&](const Entry& entry) {
    const auto age = static_cast<std::size_t>(newest - entry.step);
    while (weights.size() <= age) weights.push_back(weights.back() * halving);
    return weights[age];
  };
  double sum = 0;
  for (const Entry& entry : sorted) sum += weight_of(entry);
  Quantiles q;
  std::size_t level = 0;
  double share = 0;
  for (const Entry& entry : sorted) {
    share += weight_of(entry) / sum;
    while (level < kQuantileLevels.size() && share >= kQuantileLevels[level])
      q.*kQuantileMembers[level++] = entry.value;
  }
  while (level < kQuantileLevels.size()) q.*kQuantileMembers[level++] = sorted.back().value;
  return tidy(q);
}

Result<Forecast> DecayingHistogram::forecast(int steps) const {
  if (!fitted_) return Error{ErrorCode::kFailedPrecondition, "decaying_histogram: not fitted"};
  Forecast forecast{.made_at = end_, .step = step_, .steps = {}, .window_max = {}, .model = "decaying_histogram"};
  const Quantiles one = weighted(sorted_);
  forecast.steps.assign(static_cast<std::size_t>(steps), one);
  // Windows as long as a third of what is known, at most: there must be some of them.
  const auto window = std::clamp<std::size_t>(values_.size() / 3, 1, static_cast<std::size_t>(steps));
  std::vector<Entry> highest;
  const std::vector<double> each = maxima(values_, window);
  for (std::size_t t = 0; t < each.size(); ++t) {
    if (std::isfinite(each[t])) highest.push_back({each[t], static_cast<std::int64_t>(t)});
  }
  std::sort(highest.begin(), highest.end(), [](const Entry& a, const Entry& b) { return by_value(a.value, b.value); });
  forecast.window_max = highest.empty() ? one : weighted(highest);
  raise_to_steps(forecast);
  return forecast;
}

}  // namespace proteus::forecast
