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
constexpr double kTolerance = 1e-7;
constexpr int kIterationsMax = 25;

/// Squares of the innovations that remain when the first state is the best one, and that state.
struct Concentrated {
  double squares = 0;
  double level = 0;
  double trend = 0;
};

/// Innovations are linear in the first state: one filter for the values and one for each part of the state.
Concentrated concentrate(const Smoothing& s, bool trended, std::span<const double> y) {
  double level = 0;
  double trend = 0;
  double level_l = 1;  // the filter's state if it starts from level 1, and nothing comes in
  double trend_l = 0;
  double level_b = 0;  // if it starts from trend 1
  double trend_b = trended ? 1 : 0;
  double ee = 0;
  double el = 0;
  double eb = 0;
  double ll = 0;
  double lb = 0;
  double bb = 0;
  for (const double value : y) {
    const double ahead = level + s.phi * trend;
    const double ahead_l = level_l + s.phi * trend_l;
    const double ahead_b = level_b + s.phi * trend_b;
    const double e = value - ahead;
    ee += e * e;
    el += e * ahead_l;
    eb += e * ahead_b;
    ll += ahead_l * ahead_l;
    lb += ahead_l * ahead_b;
    bb += ahead_b * ahead_b;
    level = ahead + s.alpha * e;
    trend = s.phi * trend + s.beta * e;
    level_l = ahead_l - s.alpha * ahead_l;
    trend_l = s.phi * trend_l - s.beta * ahead_l;
    level_b = ahead_b - s.alpha * ahead_b;
    trend_b = s.phi * trend_b - s.beta * ahead_b;
  }
  const double determinant = ll * bb - lb * lb;
  Concentrated best;
  if (trended && determinant > 1e-12 * ll * bb) {
    best.level = (bb * el - lb * eb) / determinant;
    best.trend = (ll * eb - lb * el) / determinant;
  } else {
    best.level = el / ll;
  }
  best.squares = std::max(0.0, ee - best.level * el - best.trend * eb);
  return best;
}

/// Innovations in proportion to their forecasts.
struct Relative {
  double squares = 0;
  bool positive = true;  ///< all forecasts are
};
/// Filters y from `start`; `end` is the state then. innovations: as many as y, or null.
Relative run(const Smoothing& start, std::span<const double> y, Smoothing& end, std::vector<double>* innovations) {
  Relative relative;
  end = start;
  for (std::size_t t = 0; t < y.size(); ++t) {
    const double ahead = end.level + end.phi * end.trend;
    const double e = y[t] - ahead;
    if (innovations != nullptr) (*innovations)[t] = e;
    relative.positive = relative.positive && ahead > 0;
    relative.squares += e * e / (ahead * ahead);
    end.level = ahead + end.alpha * e;
    end.trend = end.phi * end.trend + end.beta * e;
  }
  return relative;
}

/// Σ ln(forecast), which are all positive.
double sum_of_logs(const Smoothing& start, std::span<const double> y) {
  // The logarithm of a product, as often as it would leave the range of a double.
  double logs = 0;
  double product = 1;
  Smoothing now = start;
  for (const double value : y) {
    const double ahead = now.level + now.phi * now.trend;
    product *= ahead;
    if (!(product > 1e-150 && product < 1e150)) {
      logs += std::log(product);
      product = 1;
    }
    const double e = value - ahead;
    now.level = ahead + now.alpha * e;
    now.trend = now.phi * now.trend + now.beta * e;
  }
  return logs + std::log(product);
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

/// Minus two log-likelihoods, but for a constant; infinite where it does not hold. Completes s by its first state.
double loss_of(Smoothing& s, bool trended, ErrorKind kind, std::span<const double> y) {
  const auto n = static_cast<double>(y.size());
  const Concentrated best = concentrate(s, trended, y);
  s.level = best.level;
  s.trend = best.trend;
  if (kind == ErrorKind::kAdditive) return best.squares > 0 ? n * std::log(best.squares) : HUGE_VAL;
  Smoothing end;
  const Relative relative = run(s, y, end, nullptr);
  if (!relative.positive || !(relative.squares > 0)) return HUGE_VAL;
  return n * std::log(relative.squares) + 2 * sum_of_logs(s, y);
}

SmoothingFit fit_one(std::span<const double> y, bool trended, ErrorKind kind) {
  const auto n = static_cast<double>(y.size());
  SmoothingFit fit;
  fit.kind = kind;
  fit.trended = trended;
  fit.aicc = HUGE_VAL;
  std::vector<double> start;
  double least = HUGE_VAL;
  for (const double alpha : {0.05, 0.3, 0.8}) {
    std::vector<double> x = {std::log(alpha / (1 - alpha))};
    if (trended) x.insert(x.end(), {-3, 0});
    Smoothing s = from_free(x, trended);
    const double loss = loss_of(s, trended, kind, y);
    if (loss < least) {
      least = loss;
      start = std::move(x);
    }
  }
  if (start.empty()) return fit;
  const auto loss = [&](std::span<const double> x) {
    Smoothing s = from_free(x, trended);
    return loss_of(s, trended, kind, y) / n;
  };
  const Minimum minimum = minimize(loss, std::move(start), kTolerance, kIterationsMax);
  fit.start = from_free(minimum.at, trended);
  const double minus_two_log_likelihood = loss_of(fit.start, trended, kind, y);
  const double parameters = trended ? 6 : 3;  // smoothing, first state, variance
  if (n - parameters - 1 <= 0) return fit;
  fit.aicc = minus_two_log_likelihood + 2 * parameters + 2 * parameters * (parameters + 1) / (n - parameters - 1);
  return fit;
}

void complete(SmoothingFit& fit, std::span<const double> y) {
  fit.innovations.resize(y.size());
  run(fit.start, y, fit.end, &fit.innovations);
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
  // So many gains side by side: one alone would wait for each step.
  constexpr std::size_t kSide = 8;
  constexpr int kRounds = 3;
  SmoothingFit fit;
  double low = kGainMin;
  double high = kGainMax;
  for (int round = 0; round < kRounds; ++round) {
    std::array<double, kSide> gain;
    std::array<double, kSide> level{};
    std::array<double, kSide> left;  // of the first level
    std::array<double, kSide> ee{};
    std::array<double, kSide> el{};
    std::array<double, kSide> ll{};
    left.fill(1);
    for (std::size_t i = 0; i < kSide; ++i) gain[i] = low + (high - low) * static_cast<double>(i) / (kSide - 1);
    for (const double value : y) {
      for (std::size_t i = 0; i < kSide; ++i) {
        const double e = value - level[i];
        ee[i] += e * e;
        el[i] += e * left[i];
        ll[i] += left[i] * left[i];
        level[i] += gain[i] * e;
        left[i] -= gain[i] * left[i];
      }
    }
    std::size_t best = 0;
    for (std::size_t i = 0; i < kSide; ++i) {
      ee[i] -= el[i] * el[i] / ll[i];
      if (ee[i] < ee[best]) best = i;
    }
    fit.start.alpha = gain[best];
    fit.start.level = el[best] / ll[best];
    low = gain[best > 0 ? best - 1 : 0];
    high = gain[std::min(best + 1, kSide - 1)];
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
