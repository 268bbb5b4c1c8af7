#include "controller/forecast/asinh_ar.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "controller/forecast/gaps.h"
#include "controller/forecast/levinson.h"

namespace proteus::forecast {
namespace {

constexpr std::size_t kValuesMin = 8;
/// sinh of more is a number that no demand has; it only keeps an explosive autoregression finite.
constexpr double kScaledMax = 12;
constexpr double kDiagonalLoad = 1.0001;
/// A lag needs so many values to be told from chance.
constexpr std::size_t kValuesPerLag = 4;

double median_of(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return 0.5 * (*middle + *std::max_element(values.begin(), middle));
}

double mean_distance(std::span<const double> values, double from) {
  double sum = 0;
  std::size_t count = 0;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    sum += std::abs(value - from);
    ++count;
  }
  return sum / static_cast<double>(count);
}

double mean_step(std::span<const double> values) {
  double sum = 0;
  for (std::size_t t = 1; t < values.size(); ++t) sum += std::abs(values[t] - values[t - 1]);
  return sum / static_cast<double>(values.size() - 1);
}

/// The effect of an innovation j steps later.
std::vector<double> psi_of(const std::vector<double>& coefficients, int count) {
  std::vector<double> psi(static_cast<std::size_t>(count), 0.0);
  psi[0] = 1;
  for (std::size_t j = 1; j < psi.size(); ++j) {
    for (std::size_t i = 0; i < std::min(j, coefficients.size()); ++i) psi[j] += coefficients[i] * psi[j - 1 - i];
  }
  return psi;
}

}  // namespace

AsinhAr::AsinhAr(Options options) : options_(options), errors_(options.horizon_steps, options.every_step) {}

double AsinhAr::to_scale(double value) const {
  return std::asinh((value - median_) / spread_) - mean_;
}

double AsinhAr::from_scale(double z) const {
  return median_ + spread_ * std::sinh(std::clamp(z + mean_, -kScaledMax, kScaledMax));
}

Status AsinhAr::fit(const History& history) {
  fitted_ = false;
  const std::span<const double> known = newest_known(history.values, options_.window_steps);
  if (count_known(known) < kValuesMin) {
    return Error{ErrorCode::kFailedPrecondition, "asinh_ar: needs eight values"};
  }
  if (!all_usable(history.values)) {
    return Error{ErrorCode::kInvalidArgument, "asinh_ar: a value is beyond 1e150"};
  }
  const std::vector<double> filled = without_gaps(known);
  median_ = median_of(filled);
  spread_ = mean_distance(filled, median_) + 0.1 * mean_step(filled) + 0.25 * mean_distance(history.values, median_) +
            1e-4 * std::abs(median_) + 1e-9;
  std::vector<double> z(filled.size());
  for (std::size_t t = 0; t < z.size(); ++t) z[t] = std::asinh((filled[t] - median_) / spread_);
  mean_ = std::accumulate(z.begin(), z.end(), 0.0) / static_cast<double>(z.size());
  for (double& value : z) value -= mean_;

  const std::size_t lags = std::min(static_cast<std::size_t>(options_.order_max), filled.size() / kValuesPerLag);
  std::vector<double> covariances = autocovariances(z, lags);
  covariances[0] *= kDiagonalLoad;
  coefficients_ = autoregression(covariances, z.size()).coefficients;
  recent_.assign(z.end() - static_cast<std::ptrdiff_t>(order()), z.end());

  std::vector<double> innovations = z;
  for (std::size_t j = 0; j < order(); ++j) {
    for (std::size_t t = j + 1; t < z.size(); ++t) innovations[t] -= coefficients_[j] * z[t - 1 - j];
  }
  for (std::size_t t = 0; t < z.size(); ++t) {
    if (std::isfinite(known[t])) continue;
    innovations[t] = 0;
    z[t] = known[t];
  }
  if (!errors_.learn(z, innovations, order(), psi_of(coefficients_, options_.horizon_steps))) {
    return Error{ErrorCode::kFailedPrecondition, "asinh_ar: no error to be seen"};
  }
  end_ = history.end;
  step_ = history.step;
  fitted_ = true;
  return {};
}

std::vector<double> AsinhAr::path(int steps) const {
  const std::size_t p = order();
  std::vector<double> z = recent_;
  z.resize(p + static_cast<std::size_t>(steps));
  for (std::size_t t = p; t < z.size(); ++t) {
    double sum = 0;
    for (std::size_t j = 0; j < p; ++j) sum += coefficients_[j] * z[t - 1 - j];
    z[t] = sum;
  }
  return {z.begin() + static_cast<std::ptrdiff_t>(p), z.end()};
}

void AsinhAr::update(double value) {
  if (!fitted_) return;
  end_ += step_;
  if (recent_.empty()) return;
  const double z = usable(value) ? to_scale(value) : path(1)[0];
  std::rotate(recent_.begin(), recent_.begin() + 1, recent_.end());
  recent_.back() = z;
}

Result<Forecast> AsinhAr::forecast(int steps) const {
  if (!fitted_) return Error{ErrorCode::kFailedPrecondition, "asinh_ar: not fitted"};
  Forecast forecast{.made_at = end_, .step = step_, .steps = {}, .window_max = {}, .model = "asinh_ar"};
  const auto around = [this](double z, const Quantiles& errors, double median_share) {
    Quantiles q;
    for (const auto member : kQuantileMembers) q.*member = from_scale(z + errors.*member);
    q.p50 = from_scale(z + median_share * errors.p50);
    return tidy(q);
  };
  const std::vector<double> points = path(steps);
  double highest = points[0];
  forecast.steps.reserve(points.size());
  for (std::size_t i = 0; i < points.size(); ++i) {
    highest = std::max(highest, points[i]);
    // Half of the median error is taken to be chance.
    forecast.steps.push_back(around(points[i], errors_.at(static_cast<int>(i) + 1), 0.5));
  }
  forecast.window_max = around(highest, errors_.window(steps), 1);
  raise_to_steps(forecast);
  return forecast;
}

}  // namespace proteus::forecast
