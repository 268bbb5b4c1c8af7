#include "controller/forecast/auto_arima.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "controller/forecast/arma_likelihood.h"
#include "controller/forecast/gaps.h"
#include "controller/forecast/linear_process.h"

namespace proteus::forecast {
namespace {

constexpr std::size_t kKnownMin = 3;

/// ar with (1 − B)^d multiplied in.
std::vector<double> integrated(const std::vector<double>& ar, std::size_t d) {
  std::vector<double> polynomial = {1};  // 1 − Σ ar[i]·B^(i+1)
  for (const double coefficient : ar) polynomial.push_back(-coefficient);
  for (std::size_t i = 0; i < d; ++i) {
    polynomial.push_back(0);
    for (std::size_t j = polynomial.size(); j-- > 1;) polynomial[j] -= polynomial[j - 1];
  }
  std::vector<double> result;
  for (std::size_t j = 1; j < polynomial.size(); ++j) result.push_back(-polynomial[j]);
  return result;
}

double harmonic(std::int64_t step, int season_steps, std::size_t column) {
  const auto pair = static_cast<double>(column / 2 + 1);
  const double angle = 2 * std::numbers::pi * pair * static_cast<double>(step % season_steps) / season_steps;
  return column % 2 == 0 ? std::sin(angle) : std::cos(angle);
}

void push(std::vector<double>& ring, double value) {
  if (ring.empty()) return;
  std::rotate(ring.begin(), ring.begin() + 1, ring.end());
  ring.back() = value;
}

}  // namespace

AutoArima::AutoArima(Options options) : options_(options), errors_(options.horizon_steps) {}

std::vector<double> AutoArima::regression(std::int64_t first, std::size_t count) const {
  std::vector<double> sums(count, 0.0);
  if (fit_.beta.empty()) return sums;
  std::vector<std::size_t> places;  // of the signals among those that there are now
  std::vector<double> now;
  if (!signals_.empty() && covariates_ != nullptr) {
    const std::vector<std::string>& names = covariates_->names();
    now.resize(names.size());
    for (const std::string& signal : signals_) {
      places.push_back(static_cast<std::size_t>(std::find(names.begin(), names.end(), signal) - names.begin()));
    }
  }
  std::vector<double> last(signals_.size(), 0.0);
  const auto look = [&](std::int64_t step) {
    if (places.empty()) return;
    covariates_->at(origin_ + step_ * step, now);
    for (std::size_t k = 0; k < places.size(); ++k) {
      if (places[k] < now.size() && usable(now[places[k]])) last[k] = now[places[k]];
    }
  };
  // A future that is not known is the last value that is.
  if (first > 0) look(first - 1);
  for (std::size_t h = 0; h < count; ++h) {
    const std::int64_t step = first + static_cast<std::int64_t>(h);
    look(step);
    for (std::size_t k = 0; k < last.size(); ++k) sums[h] += fit_.beta[k] * last[k];
    for (std::size_t k = last.size(); k < fit_.beta.size(); ++k) {
      sums[h] += fit_.beta[k] * harmonic(step, options_.season_steps, k - last.size());
    }
  }
  return sums;
}

Columns AutoArima::regressors(std::size_t count) {
  Columns columns;
  signals_.clear();
  if (covariates_ != nullptr) {
    const std::vector<std::string>& names = covariates_->names();
    std::vector<double> now(names.size());
    columns.assign(names.size(), std::vector<double>(count));
    for (std::size_t t = 0; t < count; ++t) {
      covariates_->at(origin_ + step_ * static_cast<std::int64_t>(t), now);
      for (std::size_t k = 0; k < now.size(); ++k) columns[k][t] = now[k];
    }
    signals_ = names;
    for (std::size_t k = columns.size(); k-- > 0;) {
      if (std::all_of(columns[k].begin(), columns[k].end(), usable)) continue;
      columns.erase(columns.begin() + static_cast<std::ptrdiff_t>(k));
      signals_.erase(signals_.begin() + static_cast<std::ptrdiff_t>(k));
    }
  }
  const bool two_seasons = options_.season_steps > 0 && count >= 2 * static_cast<std::size_t>(options_.season_steps);
  for (std::size_t k = 0; two_seasons && k < 2 * static_cast<std::size_t>(options_.fourier_pairs); ++k) {
    std::vector<double> column(count);
    for (std::size_t t = 0; t < count; ++t) {
      column[t] = harmonic(static_cast<std::int64_t>(t), options_.season_steps, k);
    }
    columns.push_back(std::move(column));
  }
  return columns;
}

Status AutoArima::fit(const History& history) {
  ready_ = false;
  const std::span<const double> known = newest_known(history.values, options_.window_steps);
  if (known.size() < kArimaValuesMin || count_known(known) < kKnownMin) {
    return Error{ErrorCode::kFailedPrecondition, "auto_arima: needs 20 steps"};
  }
  if (!all_usable(known)) return Error{ErrorCode::kInvalidArgument, "auto_arima: a value is beyond 1e150"};
  std::vector<double> y = without_gaps(known);
  // The effect of a signal is taken to be linear in the unit of the series.
  scale_ = options_.choose_scale && covariates_ == nullptr ? likelier_scale(y) : std::nullopt;
  if (scale_) {
    for (double& value : y) value = scale_->to_z(value);
  }
  std::vector<double> seen = y;  // NaN where it was interpolated
  for (std::size_t t = 0; t < known.size(); ++t) {
    if (!std::isfinite(known[t])) seen[t] = known[t];
  }

  step_ = history.step;
  origin_ = history.end - step_ * static_cast<std::int64_t>(y.size());
  Columns columns = regressors(y.size());
  std::optional<ArimaFit> found = fit_arima(y, columns);
  if (!signals_.empty()) {
    columns.erase(columns.begin(), columns.begin() + static_cast<std::ptrdiff_t>(signals_.size()));
    std::optional<ArimaFit> without = fit_arima(y, columns);
    // Not by likelihoods, which are of different series if one is differenced more often.
    const auto criterion = [&](const ArimaFit& fit) {
      return static_cast<double>(y.size()) * std::log(fit.variance) +
             2 * static_cast<double>(fit.order.p + fit.order.q + fit.beta.size());
    };
    if (without && (!found || criterion(*without) <= criterion(*found))) {
      found = std::move(without);
      signals_.clear();
    }
  }
  if (found) {
    fit_ = std::move(*found);
  } else {
    // As constant as it can be seen: the last value, or the last slope, goes on.
    fit_ = {};
    signals_.clear();
    fit_.order.d = differences_needed(y) > 0 ? 1 : 0;
    const std::vector<double> w = differenced(y, fit_.order.d);
    fit_.constant = std::accumulate(w.begin(), w.end(), 0.0) / static_cast<double>(w.size());
  }
  next_step_ = static_cast<std::int64_t>(y.size());
  const std::vector<double> explained = regression(0, y.size());
  for (std::size_t t = 0; t < y.size(); ++t) y[t] -= explained[t];
  std::vector<double> w = differenced(y, fit_.order.d);
  for (double& value : w) value -= fit_.constant;
  std::vector<double> shocks;
  if (fit_.arma.ar.empty() && fit_.arma.ma.empty()) {
    shocks = w;
  } else {
    static_cast<void>(exact_likelihood(fit_.arma, w, &shocks));
  }
  ar_ = integrated(fit_.arma.ar, fit_.order.d);
  intercept_ = fit_.constant * (1 - std::accumulate(fit_.arma.ar.begin(), fit_.arma.ar.end(), 0.0));
  values_.assign(y.end() - static_cast<std::ptrdiff_t>(ar_.size()), y.end());
  shocks_.assign(shocks.end() - static_cast<std::ptrdiff_t>(fit_.arma.ma.size()), shocks.end());

  shocks.insert(shocks.begin(), fit_.order.d, 0.0);
  for (std::size_t t = 0; t < seen.size(); ++t) {
    if (!std::isfinite(seen[t])) shocks[t] = 0;
  }
  const auto horizon = static_cast<std::size_t>(options_.horizon_steps);
  // The first innovations rest on less than the order asks for.
  if (!errors_.learn(seen, shocks, ar_.size(), impulse_response(ar_, fit_.arma.ma, horizon))) {
    return Error{ErrorCode::kFailedPrecondition, "auto_arima: no error to be seen"};
  }
  end_ = history.end;
  ready_ = true;
  return {};
}

std::vector<double> AutoArima::path_on_scale(int steps) const {
  const std::size_t p = ar_.size();
  const std::size_t q = shocks_.size();
  std::vector<double> y = values_;
  y.resize(p + static_cast<std::size_t>(steps));
  for (std::size_t h = 0; h < static_cast<std::size_t>(steps); ++h) {
    double sum = intercept_;
    for (std::size_t i = 0; i < p; ++i) sum += ar_[i] * y[p + h - 1 - i];
    for (std::size_t j = h; j < q; ++j) sum += fit_.arma.ma[j] * shocks_[q - 1 - (j - h)];
    y[p + h] = sum;
  }
  y.erase(y.begin(), y.begin() + static_cast<std::ptrdiff_t>(p));
  const std::vector<double> explained = regression(next_step_, y.size());
  for (std::size_t h = 0; h < y.size(); ++h) y[h] += explained[h];
  return y;
}

std::vector<double> AutoArima::path(int steps) const {
  std::vector<double> y = path_on_scale(steps);
  if (scale_) {
    for (double& value : y) value = scale_->from_z(value);
  }
  return y;
}

void AutoArima::update(double value) {
  if (!ready_) return;
  end_ += step_;
  const double expected = path_on_scale(1)[0];
  const double seen = !usable(value) ? expected : scale_ ? scale_->to_z(value) : value;
  push(values_, seen - regression(next_step_, 1)[0]);
  push(shocks_, seen - expected);
  ++next_step_;
}

Result<Forecast> AutoArima::forecast(int steps) const {
  if (!ready_) return Error{ErrorCode::kFailedPrecondition, "auto_arima: not fitted"};
  Forecast forecast{.made_at = end_, .step = step_, .steps = {}, .window_max = {}, .model = "auto_arima"};
  put_around(path_on_scale(steps), errors_, scale_ ? &*scale_ : nullptr, forecast);
  return forecast;
}

}  // namespace proteus::forecast
