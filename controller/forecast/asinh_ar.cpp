#include "controller/forecast/asinh_ar.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "controller/forecast/gaps.h"
#include "controller/forecast/levinson.h"
#include "controller/forecast/linear_process.h"

namespace proteus::forecast {
namespace {

constexpr std::size_t kValuesMin = 8;
/// A lag needs so many values to be told from chance.
constexpr std::size_t kValuesPerLag = 4;

}  // namespace

AsinhAr::AsinhAr(Options options)
    : options_(options),
      errors_(options.horizon_steps,
              options.every_step ? InnovationErrors::Detail::kEveryStep : InnovationErrors::Detail::kStepsAndWindows) {}

Status AsinhAr::fit(const History& history) {
  fitted_ = false;
  const std::span<const double> known = newest_known(history.values, options_.window_steps);
  if (count_known(known) < kValuesMin) {
    return Error{ErrorCode::kFailedPrecondition, "asinh_ar: needs eight values"};
  }
  if (!all_usable(history.values)) {
    return Error{ErrorCode::kInvalidArgument, "asinh_ar: a value is beyond 1e150"};
  }
  // The spread takes older values into account: their gaps are closed as well.
  const std::vector<double> all = without_gaps(newest_known(history.values, static_cast<int>(history.values.size())));
  scale_ = AsinhScale::of(all, known.size());
  std::vector<double> z(known.size());
  const std::span<const double> filled = std::span<const double>(all).last(known.size());
  std::transform(filled.begin(), filled.end(), z.begin(), [this](double value) { return scale_.to_z(value); });
  mean_ = std::accumulate(z.begin(), z.end(), 0.0) / static_cast<double>(z.size());
  for (double& value : z) value -= mean_;

  const std::size_t lags = std::min(static_cast<std::size_t>(options_.order_max), filled.size() / kValuesPerLag);
  coefficients_ = fit_autoregression(z, lags).coefficients;
  recent_.assign(z.end() - static_cast<std::ptrdiff_t>(order()), z.end());

  std::vector<double> innovations = autoregressive_errors(z, coefficients_);
  for (std::size_t t = 0; t < z.size(); ++t) {
    if (std::isfinite(known[t])) continue;
    innovations[t] = 0;
    z[t] = known[t];
  }
  const auto horizon = static_cast<std::size_t>(options_.horizon_steps);
  if (!errors_.learn(z, innovations, order(), impulse_response(coefficients_, {}, horizon))) {
    return Error{ErrorCode::kFailedPrecondition, "asinh_ar: no error to be seen"};
  }
  end_ = history.end;
  step_ = history.step;
  fitted_ = true;
  return {};
}

std::vector<double> AsinhAr::path(int steps) const {
  return autoregressive_path(recent_, coefficients_, static_cast<std::size_t>(steps));
}

void AsinhAr::update(double value) {
  if (!fitted_) return;
  end_ += step_;
  if (recent_.empty()) return;
  const double z = usable(value) ? scale_.to_z(value) - mean_ : path(1)[0];
  std::rotate(recent_.begin(), recent_.begin() + 1, recent_.end());
  recent_.back() = z;
}

Result<Forecast> AsinhAr::forecast(int steps) const {
  if (!fitted_) return Error{ErrorCode::kFailedPrecondition, "asinh_ar: not fitted"};
  Forecast forecast{.made_at = end_, .step = step_, .steps = {}, .window_max = {}, .model = "asinh_ar"};
  std::vector<double> points = path(steps);
  for (double& point : points) point += mean_;
  put_around(points, errors_, &scale_, forecast);
  return forecast;
}

}  // namespace proteus::forecast
