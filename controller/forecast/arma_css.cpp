#include "controller/forecast/arma_css.h"

#include <algorithm>
#include <cmath>

#include "controller/forecast/least_squares.h"
#include "controller/forecast/levinson.h"
#include "controller/forecast/linear_process.h"

namespace proteus::forecast {
namespace {

constexpr int kIterationsMax = 20;
constexpr int kHalvingsMax = 6;
/// Estimates beyond are taken to be on the unit circle.
constexpr double kRootMin = 1.0005;

/// A group of columns that are lags 1 … count of one series.
struct Lags {
  const double* series;
  std::size_t count;
};

/// Sums over t = first … n − 1 of products of lagged series: the first row and column are computed, the others follow
/// by shifting the window.
void fill_block(SymmetricSystem& system, std::size_t row, std::size_t column, const Lags& a, const Lags& b,
                std::size_t first, std::size_t n) {
  const std::size_t count = n - first;
  const auto at = [&](std::size_t i, std::size_t j) -> double& { return system.at(row + i, column + j); };
  for (std::size_t j = 0; j < b.count; ++j) at(0, j) = dot(a.series + first - 1, b.series + first - 1 - j, count);
  for (std::size_t i = 1; i < a.count; ++i) at(i, 0) = dot(a.series + first - 1 - i, b.series + first - 1, count);
  for (std::size_t i = 1; i < a.count; ++i) {
    for (std::size_t j = 1; j < b.count; ++j) {
      at(i, j) = at(i - 1, j - 1) + a.series[first - 1 - i] * b.series[first - 1 - j] -
                 a.series[n - 1 - i] * b.series[n - 1 - j];
    }
  }
}

/// Normal equations of `target` on lags of two series and on further columns.
SymmetricSystem normal_equations(const Lags& a, const Lags& b, const std::vector<std::vector<double>>& columns,
                                 const double* target, std::size_t first, std::size_t n) {
  const std::size_t count = n - first;
  SymmetricSystem system(a.count + b.count + columns.size());
  if (a.count > 0) fill_block(system, 0, 0, a, a, first, n);
  if (b.count > 0) fill_block(system, a.count, a.count, b, b, first, n);
  if (a.count > 0 && b.count > 0) fill_block(system, 0, a.count, a, b, first, n);
  for (std::size_t i = 0; i < a.count; ++i) system.right(i) = dot(a.series + first - 1 - i, target + first, count);
  for (std::size_t j = 0; j < b.count; ++j) {
    system.right(a.count + j) = dot(b.series + first - 1 - j, target + first, count);
  }
  for (std::size_t k = 0; k < columns.size(); ++k) {
    const double* x = columns[k].data() + first;
    const std::size_t place = a.count + b.count + k;
    for (std::size_t i = 0; i < a.count; ++i) system.at(i, place) = dot(a.series + first - 1 - i, x, count);
    for (std::size_t j = 0; j < b.count; ++j) system.at(a.count + j, place) = dot(b.series + first - 1 - j, x, count);
    for (std::size_t m = 0; m <= k; ++m) {
      system.at(a.count + b.count + m, place) = dot(columns[m].data() + first, x, count);
    }
    system.right(place) = dot(x, target + first, count);
  }
  return system;
}

bool invertible(const Arma& arma) {
  return roots_outside(negated(arma.ma), kRootMin);
}

/// Towards zero until it is invertible.
void make_invertible(Arma& arma) {
  if (!std::all_of(arma.ma.begin(), arma.ma.end(), [](double value) { return std::isfinite(value); })) {
    std::fill(arma.ma.begin(), arma.ma.end(), 0.0);
  }
  while (!invertible(arma)) {
    double power = 1;
    for (double& coefficient : arma.ma) coefficient *= power *= 0.9;
  }
}

double sum_of_squares(const std::vector<double>& e, std::size_t first) {
  return dot(e.data() + first, e.data() + first, e.size() - first);
}

}  // namespace

std::vector<double> residuals(std::span<const double> y, const Columns& columns, std::span<const double> beta) {
  std::vector<double> w(y.begin(), y.end());
  for (std::size_t k = 0; k < columns.size(); ++k) {
    for (std::size_t t = 0; t < w.size(); ++t) w[t] -= beta[k] * columns[k][t];
  }
  return w;
}

std::vector<double> regress(std::span<const double> y, const Columns& columns) {
  if (columns.empty()) return {};
  return normal_equations({nullptr, 0}, {nullptr, 0}, columns, y.data(), 0, y.size()).solve();
}

std::vector<double> long_innovations(std::span<const double> y) {
  constexpr std::size_t kOrder = 20;
  if (y.size() < 4 * kOrder) return {};
  const Autoregression ar = autoregression(autocovariances(y, kOrder), y.size());
  std::vector<double> e = autoregressive_errors(y, ar.coefficients);
  std::fill_n(e.begin(), std::min(e.size(), ar.coefficients.size()), 0.0);
  return e;
}

ArmaEstimate estimate_css(std::span<const double> y, const Columns& columns, std::size_t p, std::size_t q,
                          std::span<const double> rough, double tolerance) {
  const std::size_t n = y.size();
  ArmaEstimate estimate;
  const std::size_t unknown = p + q + columns.size();
  if (n < p + unknown + 2) return estimate;
  ArmaRegression now{.arma = {std::vector<double>(p, 0.0), std::vector<double>(q, 0.0)}, .beta = regress(y, columns)};
  std::vector<double> w = residuals(y, columns, now.beta);
  if (q > 0 && rough.size() == n) {
    const std::size_t first = std::max(p, q);
    const std::vector<double> start =
        normal_equations({w.data(), p}, {rough.data(), q}, {}, w.data(), first, n).solve();
    std::copy_n(start.begin(), p, now.arma.ar.begin());
    std::copy_n(start.begin() + static_cast<std::ptrdiff_t>(p), q, now.arma.ma.begin());
    make_invertible(now.arma);
  }
  ArmaPass pass;
  ArmaPass trial_pass;
  run_filter(now.arma, w, pass);
  double squares = sum_of_squares(pass.innovations, p);
  for (int iteration = 0; iteration < kIterationsMax && unknown > 0 && squares > 0; ++iteration) {
    std::vector<std::vector<double>> by_beta;
    for (const std::vector<double>& column : columns) by_beta.push_back(filtered(now.arma, column));
    const std::size_t first = std::max({p, q, std::size_t{1}});
    const std::vector<double> step =
        normal_equations({pass.by_ar.data(), p}, {pass.by_ma.data(), q}, by_beta, pass.innovations.data(), first, n)
            .solve();
    double share = 1;
    double gain = 0;
    for (int halving = 0; halving < kHalvingsMax && gain <= 0; ++halving, share *= 0.5) {
      ArmaRegression trial = now;
      for (std::size_t i = 0; i < p; ++i) trial.arma.ar[i] += share * step[i];
      for (std::size_t j = 0; j < q; ++j) trial.arma.ma[j] += share * step[p + j];
      for (std::size_t k = 0; k < columns.size(); ++k) trial.beta[k] += share * step[p + q + k];
      if (!invertible(trial.arma)) continue;
      std::vector<double> trial_w = residuals(y, columns, trial.beta);
      run_filter(trial.arma, trial_w, trial_pass);
      const double trial_squares = sum_of_squares(trial_pass.innovations, p);
      if (!(trial_squares < squares)) continue;
      gain = (squares - trial_squares) / squares;
      squares = trial_squares;
      now = std::move(trial);
      w = std::move(trial_w);
      std::swap(pass, trial_pass);
    }
    if (gain < tolerance) break;
  }
  estimate.model = std::move(now);
  estimate.variance = squares / static_cast<double>(n - p);
  estimate.sound = std::isfinite(squares) && estimate.variance > 0;
  return estimate;
}

}  // namespace proteus::forecast
