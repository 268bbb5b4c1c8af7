#include "controller/forecast/error_table.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace proteus::forecast {
namespace {

/// Origins used at most; neighbours tell nearly the same.
constexpr std::size_t kOriginsMax = 160;
/// Fewer errors at a horizon than this: the next shorter one is stretched instead, by h to the power of
/// kGrowth. That is between white noise (0) and a random walk (1/2); too little has been seen to tell which
/// it is.
constexpr std::size_t kErrorsMin = 6;
constexpr double kGrowth = 0.25;
/// So many errors show a p99 by themselves; with fewer, the spreads to p95 and p99 are at least as many times that to
/// p90 as those of normal errors.
constexpr std::size_t kErrorsForTail = 200;
/// Of the standard normal distribution, at kQuantileLevels.
constexpr std::array<double, kQuantileLevels.size()> kNormal = {-1.2816, 0, 1.2816, 1.6449, 2.3263};
constexpr double kTailRatio95 = kNormal[3] / kNormal[2];
constexpr double kTailRatio99 = kNormal[4] / kNormal[2];

/// Horizons at which errors are collected: every one at first, then ever fewer; always the last.
std::vector<int> knots_up_to(int horizon_steps) {
  std::vector<int> knots;
  for (int h = 1; h < horizon_steps; h += std::max(1, h / 3)) knots.push_back(h);
  knots.push_back(horizon_steps);
  return knots;
}

Quantiles scaled(Quantiles q, double by) {
  for (const auto member : kQuantileMembers) q.*member *= by;
  return q;
}

Quantiles between(const Quantiles& a, const Quantiles& b, double share) {
  Quantiles q;
  for (const auto member : kQuantileMembers) q.*member = a.*member + share * (b.*member - a.*member);
  return q;
}

}  // namespace

void put_errors_around(std::span<const double> path, std::span<const double> path_errors, const ErrorTable& table,
                       Forecast& forecast) {
  const auto around = [](double point, double path_error, const Quantiles& error) {
    Quantiles q;
    for (std::size_t i = 0; i < kQuantileLevels.size(); ++i) {
      const double spread = error.*kQuantileMembers[i] - error.p50;
      q.*kQuantileMembers[i] =
          point + error.p50 + std::copysign(std::hypot(spread, kNormal[i] * path_error), kNormal[i]);
    }
    return tidy(q);
  };
  forecast.steps.clear();
  forecast.steps.reserve(path.size());
  double peak = 0;
  double path_error_max = 0;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const double path_error = path_errors.empty() ? 0 : path_errors[i];
    const Quantiles step = around(path[i], path_error, table.at(static_cast<int>(i) + 1));
    peak = std::max(peak, path[i]);
    path_error_max = std::max(path_error_max, path_error);
    forecast.steps.push_back(step);
  }
  forecast.window_max = around(peak, path_error_max, table.window(static_cast<int>(path.size())));
  raise_to_steps(forecast);
}

ErrorTable::ErrorTable(int horizon_steps) : horizon_steps_(std::max(1, horizon_steps)) {}

std::size_t ErrorTable::quiet_count(const std::vector<Weighted>& errors) {
  return static_cast<std::size_t>(
      std::count_if(errors.begin(), errors.end(), [](const Weighted& e) { return !e.crosses; }));
}

Quantiles ErrorTable::quantiles_of(std::vector<Weighted>& errors, double cross_share) {
  const auto n = static_cast<double>(errors.size());
  const double crossing = n - static_cast<double>(quiet_count(errors));
  // One change is seen from as many origins as the horizon is long; it must not count as so many surprises.
  double crossing_weight = 1;
  double quiet_weight = 1;
  if (crossing > 0 && crossing < n) {
    const double share = std::min(cross_share, crossing / n);
    crossing_weight = share * n / crossing;
    quiet_weight = (1 - share) * n / (n - crossing);
  }
  std::sort(errors.begin(), errors.end(), [](const Weighted& a, const Weighted& b) { return a.error < b.error; });
  const auto quantile = [&](double level) {
    const double rank = level * (n + 1);  // as in conformal prediction: the next error is one of n + 1
    double sum = 0;
    for (const Weighted& e : errors) {
      sum += e.crosses ? crossing_weight : quiet_weight;
      if (sum >= rank - 1e-9) return e.error;
    }
    return errors.back().error;
  };
  Quantiles q;
  // The median lies between the two in the middle; taking the upper one would add a bias with few errors.
  q.p50 = 0.5 * (quantile(0.5) + quantile(0.5 * (n - 1) / (n + 1)));
  const double few = 1 + 2 / n;  // as much as Student's t is wider than the normal, roughly
  q.p10 = q.p50 + few * std::min(0.0, quantile(0.1) - q.p50);
  q.p90 = q.p50 + few * std::max(0.0, quantile(0.9) - q.p50);
  q.p95 = q.p50 + few * std::max(0.0, quantile(0.95) - q.p50);
  q.p99 = q.p50 + few * std::max(0.0, quantile(0.99) - q.p50);
  if (errors.size() < kErrorsForTail) {
    q.p95 = std::max(q.p95, q.p50 + kTailRatio95 * (q.p90 - q.p50));
    q.p99 = std::max(q.p99, q.p50 + kTailRatio99 * (q.p90 - q.p50));
  }
  return q;
}

bool ErrorTable::learn(std::span<const double> values, std::size_t first_origin, const PathOf& path_of,
                       const CrossesChange& crosses_change, double change_rate) {
  by_horizon_.clear();
  window_ = {};
  if (values.size() < first_origin + 2) return false;
  const std::size_t origins = values.size() - first_origin - 1;
  const std::size_t stride = (origins + kOriginsMax - 1) / kOriginsMax;
  const std::vector<int> knots = knots_up_to(horizon_steps_);
  const int longest = static_cast<int>(std::min<std::size_t>(static_cast<std::size_t>(horizon_steps_), origins));
  // With little history, shorter windows stand in; there must be enough of them.
  const int window = std::min(horizon_steps_, std::max(1, static_cast<int>(origins / 2)));

  std::vector<std::vector<Weighted>> errors(knots.size());
  std::vector<Weighted> window_errors;
  std::vector<double> path(static_cast<std::size_t>(longest));
  // Counted from the newest, so that it is always among them.
  for (std::size_t back = 1; back <= origins; back += stride) {
    const std::size_t origin = values.size() - 1 - back;
    const auto reach = std::min<std::size_t>(back, path.size());
    const std::span<double> ahead(path.data(), reach);
    path_of(origin, ahead);
    for (std::size_t k = 0; k < knots.size() && static_cast<std::size_t>(knots[k]) <= reach; ++k) {
      const auto h = static_cast<std::size_t>(knots[k]);
      const double error = values[origin + h] - ahead[h - 1];
      if (!std::isfinite(error)) continue;
      errors[k].push_back({error, crosses_change && crosses_change(origin, knots[k])});
    }
    if (reach < static_cast<std::size_t>(window)) continue;
    double actual = -1;
    double expected = 0;
    for (std::size_t h = 0; h < static_cast<std::size_t>(window); ++h) {
      if (std::isfinite(values[origin + 1 + h])) actual = std::max(actual, values[origin + 1 + h]);
      expected = std::max(expected, ahead[h]);
    }
    if (actual < 0) continue;
    window_errors.push_back({actual - expected, crosses_change && crosses_change(origin, window)});
  }
  if (errors[0].empty()) return false;

  const auto cross_share = [&](int h) { return 1 - std::exp(-change_rate * h); };
  std::vector<Quantiles> at_knots(knots.size());
  at_knots[0] = quantiles_of(errors[0], cross_share(knots[0]));
  for (std::size_t k = 1; k < knots.size(); ++k) {
    // As many origins as the horizon is long: fewer all look at the same few steps.
    const auto needed = std::max(kErrorsMin, static_cast<std::size_t>(knots[k]) / stride);
    at_knots[k] = quiet_count(errors[k]) >= needed
                      ? quantiles_of(errors[k], cross_share(knots[k]))
                      : scaled(at_knots[k - 1], std::pow(static_cast<double>(knots[k]) / knots[k - 1], kGrowth));
  }
  by_horizon_.resize(static_cast<std::size_t>(horizon_steps_));
  std::size_t k = 0;
  for (int h = 1; h <= horizon_steps_; ++h) {
    while (knots[k] < h) ++k;
    by_horizon_[static_cast<std::size_t>(h - 1)] =
        knots[k] == h
            ? at_knots[k]
            : between(at_knots[k - 1], at_knots[k], static_cast<double>(h - knots[k - 1]) / (knots[k] - knots[k - 1]));
  }
  if (quiet_count(window_errors) >= 2) {
    // The maximum of n normal values grows like the root of log n.
    window_ = scaled(quantiles_of(window_errors, cross_share(window)),
                     std::sqrt(std::log(horizon_steps_ + 1.0) / std::log(window + 1.0)));
  } else {
    // Roughly: what one step rarely does, one of many often does.
    const Quantiles& last = by_horizon_.back();
    const double tail = last.p99 - last.p90;
    window_ =
        horizon_steps_ == 1 ? last : Quantiles{last.p50, last.p90, last.p99, last.p99 + 0.5 * tail, last.p99 + tail};
  }
  return true;
}

Quantiles ErrorTable::at(int h) const {
  if (by_horizon_.empty()) return {};
  if (h <= horizon_steps_) return by_horizon_[static_cast<std::size_t>(std::max(h, 1) - 1)];
  return scaled(by_horizon_.back(), std::sqrt(static_cast<double>(h) / horizon_steps_));
}

Quantiles ErrorTable::window(int steps) const {
  if (by_horizon_.empty()) return {};
  if (steps == horizon_steps_) return window_;
  if (horizon_steps_ == 1 || steps > horizon_steps_) {
    return scaled(window_, std::sqrt(std::log(steps + 1.0) / std::log(horizon_steps_ + 1.0)));
  }
  return between(by_horizon_.front(), window_, std::log(static_cast<double>(steps)) / std::log(horizon_steps_));
}

}  // namespace proteus::forecast
