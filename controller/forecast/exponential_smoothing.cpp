#include "controller/forecast/exponential_smoothing.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "controller/forecast/minimize.h"

namespace proteus::forecast {
namespace {

constexpr double kGainMin = 1e-4;
constexpr double kGainMax = 0.9999;
constexpr double kDampingMin = 0.8;
constexpr double kDampingMax = 0.98;
/// Of the logarithm of the squares.
constexpr double kTolerance = 1e-6;
constexpr int kIterationsMax = 25;

/// So many filters side by side: each alone would wait for its previous step.
constexpr std::size_t kSide = 4;
using Lanes = std::array<double, kSide>;

/// Innovations are linear in the first state: one filter for the values and one for each part of the state. Completes
/// each s by the first state that leaves the smallest squares; returns those.
template <bool Trended>
Lanes concentrate(std::array<Smoothing, kSide>& s, std::span<const double> y) {
  Lanes alpha;
  Lanes beta;
  Lanes phi;
  for (std::size_t i = 0; i < kSide; ++i) {
    alpha[i] = s[i].alpha;
    beta[i] = s[i].beta;
    phi[i] = s[i].phi;
  }
  Lanes level{};
  Lanes trend{};
  Lanes level_l;  // the filter's state if it starts from level 1, and nothing comes in
  Lanes trend_l{};
  Lanes level_b{};  // if it starts from trend 1
  Lanes trend_b;
  level_l.fill(1);
  trend_b.fill(1);
  Lanes ee{};
  Lanes el{};
  Lanes eb{};
  Lanes ll{};
  Lanes lb{};
  Lanes bb{};
  for (const double value : y) {
    for (std::size_t i = 0; i < kSide; ++i) {
      const double ahead = Trended ? level[i] + phi[i] * trend[i] : level[i];
      const double ahead_l = Trended ? level_l[i] + phi[i] * trend_l[i] : level_l[i];
      const double e = value - ahead;
      ee[i] += e * e;
      el[i] += e * ahead_l;
      ll[i] += ahead_l * ahead_l;
      level[i] = ahead + alpha[i] * e;
      level_l[i] = ahead_l - alpha[i] * ahead_l;
      if constexpr (Trended) {
        const double ahead_b = level_b[i] + phi[i] * trend_b[i];
        eb[i] += e * ahead_b;
        lb[i] += ahead_l * ahead_b;
        bb[i] += ahead_b * ahead_b;
        trend[i] = phi[i] * trend[i] + beta[i] * e;
        trend_l[i] = phi[i] * trend_l[i] - beta[i] * ahead_l;
        level_b[i] = ahead_b - alpha[i] * ahead_b;
        trend_b[i] = phi[i] * trend_b[i] - beta[i] * ahead_b;
      }
    }
  }
  Lanes squares;
  for (std::size_t i = 0; i < kSide; ++i) {
    const double determinant = ll[i] * bb[i] - lb[i] * lb[i];
    if (Trended && determinant > 1e-12 * ll[i] * bb[i]) {
      s[i].level = (bb[i] * el[i] - lb[i] * eb[i]) / determinant;
      s[i].trend = (ll[i] * eb[i] - lb[i] * el[i]) / determinant;
    } else {
      s[i].level = el[i] / ll[i];
      s[i].trend = 0;
    }
    squares[i] = std::max(0.0, ee[i] - s[i].level * el[i] - s[i].trend * eb[i]);
  }
  return squares;
}

/// Innovations in proportion to their forecasts, which are to be positive: Σ (e / forecast)² and Σ ln forecast, else
/// infinite.
struct Relative {
  Lanes squares{};
  Lanes logs{};
};
Relative run_relative(const std::array<Smoothing, kSide>& s, std::span<const double> y) {
  Relative relative;
  Lanes level;
  Lanes trend;
  Lanes product;  // its logarithm is taken as often as it would leave the range of a double
  Lanes lowest;
  product.fill(1);
  lowest.fill(HUGE_VAL);
  for (std::size_t i = 0; i < kSide; ++i) {
    level[i] = s[i].level;
    trend[i] = s[i].trend;
  }
  for (const double value : y) {
    bool in_range = true;
    for (std::size_t i = 0; i < kSide; ++i) {
      const double ahead = level[i] + s[i].phi * trend[i];
      const double e = value - ahead;
      const double share = e / ahead;
      relative.squares[i] += share * share;
      lowest[i] = ahead < lowest[i] ? ahead : lowest[i];
      product[i] *= ahead;
      in_range = in_range && product[i] > 1e-150 && product[i] < 1e150;
      level[i] = ahead + s[i].alpha * e;
      trend[i] = s[i].phi * trend[i] + s[i].beta * e;
    }
    if (in_range) continue;
    for (std::size_t i = 0; i < kSide; ++i) {
      relative.logs[i] += std::log(product[i]);
      product[i] = 1;
    }
  }
  for (std::size_t i = 0; i < kSide; ++i) {
    relative.logs[i] += std::log(product[i]);
    if (!(lowest[i] > 0)) relative.squares[i] = HUGE_VAL;
  }
  return relative;
}

double logistic(double x) {
  return 1 / (1 + std::exp(-x));
}

Smoothing from_free(std::span<const double> x, bool trended) {
  Smoothing s;
  s.alpha = kGainMin + (kGainMax - kGainMin) * logistic(x[0]);
  if (!trended) return s;
  s.beta = s.alpha * logistic(x[1]);
  s.phi = kDampingMin + (kDampingMax - kDampingMin) * logistic(x[2]);
  return s;
}

/// Minus two log-likelihoods, but for a constant; infinite where it does not hold. Completes each s by its first state.
Lanes losses_of(std::array<Smoothing, kSide>& s, bool trended, ErrorKind kind, std::span<const double> y) {
  const auto n = static_cast<double>(y.size());
  Lanes squares = trended ? concentrate<true>(s, y) : concentrate<false>(s, y);
  Lanes logs{};
  if (kind == ErrorKind::kMultiplicative) {
    const Relative relative = run_relative(s, y);
    squares = relative.squares;
    logs = relative.logs;
  }
  Lanes losses;
  for (std::size_t i = 0; i < kSide; ++i) {
    losses[i] = squares[i] > 0 && squares[i] < HUGE_VAL ? n * std::log(squares[i]) + 2 * logs[i] : HUGE_VAL;
  }
  return losses;
}

SmoothingFit fit_one(std::span<const double> y, bool trended, ErrorKind kind) {
  const auto n = static_cast<double>(y.size());
  SmoothingFit fit;
  fit.kind = kind;
  fit.trended = trended;
  fit.aicc = HUGE_VAL;
  const auto losses = [&](const std::vector<std::vector<double>>& points) {
    std::vector<double> values;
    for (std::size_t first = 0; first < points.size(); first += kSide) {
      std::array<Smoothing, kSide> s;
      const std::size_t count = std::min(kSide, points.size() - first);
      for (std::size_t i = 0; i < kSide; ++i) s[i] = from_free(points[first + std::min(i, count - 1)], trended);
      const Lanes found = losses_of(s, trended, kind, y);
      for (std::size_t i = 0; i < count; ++i) values.push_back(found[i] / n);
    }
    return values;
  };
  std::vector<std::vector<double>> starts;
  for (const double alpha : {0.05, 0.3, 0.8}) {
    std::vector<double>& x = starts.emplace_back(1, std::log(alpha / (1 - alpha)));
    if (trended) x.insert(x.end(), {-3, 0});
  }
  const std::vector<double> tried = losses(starts);
  const auto least = std::min_element(tried.begin(), tried.end());
  if (!(*least < HUGE_VAL)) return fit;
  const Minimum minimum =
      minimize(losses, starts[static_cast<std::size_t>(least - tried.begin())], kTolerance, kIterationsMax);
  std::array<Smoothing, kSide> best;
  best.fill(from_free(minimum.at, trended));
  const double minus_two_log_likelihood = losses_of(best, trended, kind, y)[0];
  fit.start = best[0];
  const double parameters = trended ? 6 : 3;  // smoothing, first state, variance
  if (n - parameters - 1 <= 0) return fit;
  fit.aicc = minus_two_log_likelihood + 2 * parameters + 2 * parameters * (parameters + 1) / (n - parameters - 1);
  return fit;
}

/// Adds the state after y and the innovations.
void complete(SmoothingFit& fit, std::span<const double> y) {
  fit.innovations.resize(y.size());
  fit.end = fit.start;
  for (std::size_t t = 0; t < y.size(); ++t) {
    const double ahead = fit.end.level + fit.end.phi * fit.end.trend;
    const double e = y[t] - ahead;
    fit.innovations[t] = e;
    fit.end.level = ahead + fit.end.alpha * e;
    fit.end.trend = fit.end.phi * fit.end.trend + fit.end.beta * e;
  }
}

}  // namespace

std::optional<SmoothingFit> fit_smoothing(std::span<const double> y) {
  const auto [low, high] = std::minmax_element(y.begin(), y.end());
  if (!(*high - *low > 1e-10 * std::max(std::abs(*low), std::abs(*high)))) return std::nullopt;
  SmoothingFit best;
  best.aicc = HUGE_VAL;
  for (const ErrorKind kind : {ErrorKind::kAdditive, ErrorKind::kMultiplicative}) {
    if (kind == ErrorKind::kMultiplicative && !(*low > 0)) continue;
    for (const bool trended : {false, true}) {
      SmoothingFit fit = fit_one(y, trended, kind);
      if (fit.aicc < best.aicc) best = std::move(fit);
    }
  }
  if (!std::isfinite(best.aicc)) return std::nullopt;
  complete(best, y);
  return best;
}

SmoothingFit fit_simple_smoothing(std::span<const double> y) {
  constexpr std::size_t kGains = 8;  // side by side
  constexpr int kRounds = 3;
  SmoothingFit fit;
  double low = kGainMin;
  double high = kGainMax;
  for (int round = 0; round < kRounds; ++round) {
    std::array<double, kGains> gain;
    std::array<double, kGains> level{};
    std::array<double, kGains> left;  // of the first level
    std::array<double, kGains> ee{};
    std::array<double, kGains> el{};
    std::array<double, kGains> ll{};
    left.fill(1);
    for (std::size_t i = 0; i < kGains; ++i) gain[i] = low + (high - low) * static_cast<double>(i) / (kGains - 1);
    for (const double value : y) {
      for (std::size_t i = 0; i < kGains; ++i) {
        const double e = value - level[i];
        ee[i] += e * e;
        el[i] += e * left[i];
        ll[i] += left[i] * left[i];
        level[i] += gain[i] * e;
        left[i] -= gain[i] * left[i];
      }
    }
    std::size_t best = 0;
    for (std::size_t i = 0; i < kGains; ++i) {
      ee[i] -= el[i] * el[i] / ll[i];
      if (ee[i] < ee[best]) best = i;
    }
    fit.start.alpha = gain[best];
    fit.start.level = el[best] / ll[best];
    low = gain[best > 0 ? best - 1 : 0];
    high = gain[std::min(best + 1, kGains - 1)];
  }
  complete(fit, y);
  return fit;
}

std::vector<double> smoothing_psi(const Smoothing& smoothing, int count) {
  std::vector<double> psi = {1};
  double power = 1;
  double sum = 0;
  while (psi.size() < static_cast<std::size_t>(count)) {
    power *= smoothing.phi;
    sum += power;
    psi.push_back(smoothing.alpha + smoothing.beta * sum);
  }
  return psi;
}

std::vector<double> smoothing_path(const Smoothing& smoothing, int steps) {
  std::vector<double> path;
  double power = 1;
  double sum = 0;
  for (int h = 0; h < steps; ++h) {
    power *= smoothing.phi;
    sum += power;
    path.push_back(smoothing.level + sum * smoothing.trend);
  }
  return path;
}

}  // namespace proteus::forecast
