#include "controller/forecast/arima.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include "controller/forecast/arma_likelihood.h"

namespace proteus::forecast {
namespace {

constexpr double kKpssCritical5 = 0.463;
constexpr std::size_t kDifferencesMax = 2;
/// Models with a root of either part within this circle are passed over.
constexpr double kRootMin = 1.01;
/// A Gauss–Newton step of the search that gains less moves the criterion by a few hundredths.
constexpr double kSearchTolerance = 2e-5;
constexpr double kFinalTolerance = 1e-8;
constexpr int kModelsMax = 94;

struct Tried {
  ArimaOrder order;
  ArmaEstimate estimate;
  double criterion = HUGE_VAL;
};

bool is_constant(std::span<const double> y) {
  const auto [low, high] = std::minmax_element(y.begin(), y.end());
  return !(*high - *low > 1e-10 * std::max(std::abs(*high), std::abs(*low)));
}

bool roots_clear(const Arma& arma) {
  return roots_outside(arma.ar, kRootMin) && roots_outside(negated(arma.ma), kRootMin);
}

double corrected_akaike(double minus_two_log_likelihood, double parameters, double n) {
  if (n - parameters - 1 <= 0) return HUGE_VAL;
  return minus_two_log_likelihood + 2 * parameters + 2 * parameters * (parameters + 1) / (n - parameters - 1);
}

/// One search over orders of a differenced, standardised series.
class Search {
 public:
  Search(std::span<const double> w, Columns regressors, std::size_t d)
      : w_(w), with_constant_(std::move(regressors)), d_(d), constant_allowed_(d < 2) {
    with_constant_.insert(with_constant_.begin(), std::vector<double>(w.size(), 1.0));
    without_constant_.assign(with_constant_.begin() + 1, with_constant_.end());
    rough_with_ = long_innovations(residuals(w_, with_constant_, regress(w_, with_constant_)));
    rough_without_ = long_innovations(residuals(w_, without_constant_, regress(w_, without_constant_)));
  }

  /// All that were tried, the best first.
  std::vector<Tried> run() {
    for (const auto& [p, q] : {std::pair{2, 2}, {0, 0}, {1, 0}, {0, 1}}) consider(p, q, constant_allowed_);
    if (constant_allowed_) consider(0, 0, false);
    bool improved = true;
    while (improved && tried_.size() < kModelsMax) improved = consider_neighbours();
    std::stable_sort(tried_.begin(), tried_.end(),
                     [](const Tried& a, const Tried& b) { return a.criterion < b.criterion; });
    return std::move(tried_);
  }

  ArmaEstimate estimate(const ArimaOrder& order, double tolerance) const {
    return estimate_css(w_, columns(order), order.p, order.q, order.constant ? rough_with_ : rough_without_, tolerance);
  }
  const Columns& columns(const ArimaOrder& order) const { return order.constant ? with_constant_ : without_constant_; }

 private:
  bool consider(int p, int q, bool constant) {
    if (p < 0 || q < 0 || p > static_cast<int>(kArmaOrderMax) || q > static_cast<int>(kArmaOrderMax)) return false;
    const ArimaOrder order{static_cast<std::size_t>(p), d_, static_cast<std::size_t>(q), constant};
    if (std::any_of(tried_.begin(), tried_.end(), [&](const Tried& t) { return t.order == order; })) return false;
    Tried now{.order = order, .estimate = estimate(order, kSearchTolerance)};
    if (now.estimate.sound && roots_clear(now.estimate.model.arma)) {
      const auto n = static_cast<double>(w_.size());
      const auto parameters = static_cast<double>(order.p + order.q + columns(order).size() + 1);
      now.criterion = corrected_akaike(n * std::log(now.estimate.variance), parameters, n);
    }
    tried_.push_back(std::move(now));
    if (tried_.back().criterion < best_criterion_) {
      best_criterion_ = tried_.back().criterion;
      best_ = tried_.back().order;
      return true;
    }
    return false;
  }

  /// From the best so far; true as soon as one is better.
  bool consider_neighbours() {
    constexpr std::array<std::pair<int, int>, 8> kMoves = {
        {{-1, 0}, {0, -1}, {1, 0}, {0, 1}, {-1, -1}, {-1, 1}, {1, -1}, {1, 1}}};
    const ArimaOrder from = best_;
    for (const auto& [dp, dq] : kMoves) {
      if (consider(static_cast<int>(from.p) + dp, static_cast<int>(from.q) + dq, from.constant)) return true;
    }
    return constant_allowed_ && consider(static_cast<int>(from.p), static_cast<int>(from.q), !from.constant);
  }

  std::span<const double> w_;
  Columns with_constant_;
  Columns without_constant_;
  std::size_t d_;
  bool constant_allowed_;
  std::vector<double> rough_with_;
  std::vector<double> rough_without_;
  std::vector<Tried> tried_;
  double best_criterion_ = HUGE_VAL;
  ArimaOrder best_;
};

}  // namespace

std::vector<double> differenced(std::span<const double> y, std::size_t times) {
  std::vector<double> w(y.begin(), y.end());
  for (std::size_t i = 0; i < times && !w.empty(); ++i) {
    std::adjacent_difference(w.begin(), w.end(), w.begin());
    w.erase(w.begin());
  }
  return w;
}

double kpss_statistic(std::span<const double> y) {
  const auto n = static_cast<double>(y.size());
  const double mean = std::accumulate(y.begin(), y.end(), 0.0) / n;
  std::vector<double> e(y.begin(), y.end());
  for (double& value : e) value -= mean;
  double running = 0;
  double sums = 0;
  for (const double value : e) {
    running += value;
    sums += running * running;
  }
  const auto lags = static_cast<std::size_t>(3 * std::sqrt(n) / 13);
  double variance = dot(e.data(), e.data(), e.size()) / n;
  for (std::size_t lag = 1; lag <= lags && lag < e.size(); ++lag) {
    const double weight = 1 - static_cast<double>(lag) / static_cast<double>(lags + 1);
    variance += 2 * weight * dot(e.data() + lag, e.data(), e.size() - lag) / n;
  }
  return variance > 0 ? sums / (n * n) / variance : 0;
}

std::size_t differences_needed(std::span<const double> y) {
  std::vector<double> w(y.begin(), y.end());
  std::size_t d = 0;
  while (d < kDifferencesMax && !is_constant(w) && kpss_statistic(w) > kKpssCritical5) {
    w = differenced(w, 1);
    ++d;
  }
  return d;
}

std::optional<ArimaFit> fit_arima(std::span<const double> y, const Columns& regressors) {
  if (is_constant(y)) return std::nullopt;
  const std::size_t d = differences_needed(residuals(y, regressors, regress(y, regressors)));
  std::vector<double> w = differenced(y, d);
  if (is_constant(w)) return std::nullopt;
  // In units of its own spread, so that no tolerance depends on the series' unit.
  const double scale = std::sqrt(dot(w.data(), w.data(), w.size()) / static_cast<double>(w.size()));
  for (double& value : w) value /= scale;
  Columns columns;
  for (const std::vector<double>& regressor : regressors) columns.push_back(differenced(regressor, d));

  Search search(w, std::move(columns), d);
  std::vector<Tried> tried = search.run();
  const auto n = static_cast<double>(w.size());
  for (const Tried& candidate : tried) {
    if (!std::isfinite(candidate.criterion)) break;
    ArmaEstimate estimate = search.estimate(candidate.order, kFinalTolerance);
    if (!estimate.sound) continue;
    const std::vector<double>& beta = estimate.model.beta;
    const std::vector<double> errors = residuals(w, search.columns(candidate.order), beta);
    const Arma arma = maximize_likelihood(estimate.model.arma, errors);
    const ArmaLikelihood likelihood = exact_likelihood(arma, errors);
    if (!std::isfinite(likelihood.log_likelihood) || !roots_clear(arma)) continue;
    ArimaFit fit;
    fit.order = candidate.order;
    fit.arma = arma;
    fit.constant = candidate.order.constant ? beta[0] * scale : 0;
    for (std::size_t k = candidate.order.constant ? 1 : 0; k < beta.size(); ++k) fit.beta.push_back(beta[k] * scale);
    fit.variance = likelihood.variance * scale * scale;
    fit.log_likelihood = likelihood.log_likelihood - n * std::log(scale);
    const auto parameters = static_cast<double>(candidate.order.p + candidate.order.q + beta.size() + 1);
    fit.aicc = corrected_akaike(-2 * fit.log_likelihood, parameters, n);
    fit.models_tried = static_cast<int>(tried.size());
    return fit;
  }
  return std::nullopt;
}

}  // namespace proteus::forecast
