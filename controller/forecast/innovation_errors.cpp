#include "controller/forecast/innovation_errors.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "controller/forecast/sample_quantiles.h"

namespace proteus::forecast {
namespace {

constexpr double kLowest = -HUGE_VAL;
/// Fewer errors than this at some horizon: those of a shorter one stand in.
constexpr std::size_t kErrorsMin = 6;
/// With fewer errors than this the tail is at least that of a normal distribution.
constexpr std::size_t kErrorsForTail = 200;
/// The share of future errors beyond a quantile of n independent ones is larger than beyond the true quantile: by the
/// place that the order statistic has, and since a quantile that came out low costs more than one that came out high
/// gains. For normal errors a distance from the median that is longer by this / n makes up for both; by level.
constexpr std::array kUnseen = {5.0, 0.0, 5.0, 7.5, 22.0};
constexpr double kUnseenMax = 0.2;
constexpr double kTailRatio95 = 1.6449 / 1.2816;
constexpr double kTailRatio99 = 2.3263 / 1.2816;
/// Steps ahead with quantiles of their own; the horizon is another.
constexpr std::array kKnots = {1, 2, 4, 8, 16, 32, 64, 128, 208, 288, 432, 648, 972};
/// Every origin counts up to so many steps ahead; further on every so many of them, if many are left. Knots beyond are
/// multiples of the stride, so that the origins of one are those of the next.
constexpr int kEachUpTo = 8;
constexpr std::size_t kStride = 4;
constexpr std::size_t kThinnedMin = 400;
/// Effects so much smaller than the largest are passed over.
constexpr double kNegligible = 1e-5;

/// independent: what the errors are worth, given that neighbours overlap.
Quantiles cautious(const std::vector<double>& errors, double independent) {
  Quantiles q = quantiles_of_sample(errors);
  for (std::size_t k = 0; k < kQuantileLevels.size(); ++k) {
    const double longer = std::min(kUnseen[k] / independent, kUnseenMax);
    if (k != 1) q.*kQuantileMembers[k] += longer * (q.*kQuantileMembers[k] - q.p50);
  }
  if (errors.size() >= kErrorsForTail) return q;
  q.p95 = std::max(q.p95, q.p50 + kTailRatio95 * (q.p90 - q.p50));
  q.p99 = std::max(q.p99, q.p50 + kTailRatio99 * (q.p90 - q.p50));
  return q;
}

void add_scaled(double weight, const double* from, double* to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) to[i] += weight * from[i];
}

/// highest = the larger of it and what was forecast, which is what came less the error.
void raise_to_forecasts(const double* came, const double* error, double* highest, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const double forecast = came[i] - error[i];
    highest[i] = forecast > highest[i] ? forecast : highest[i];
  }
}

/// The largest of the h values from each index on, for ascending h.
class RollingMaxima {
 public:
  explicit RollingMaxima(std::span<const double> values) : maxima_(values.begin(), values.end()) {}
  void widen(std::size_t h) {
    for (; 2 * width_ <= h; width_ *= 2) {
      for (std::size_t t = 0; t + width_ < maxima_.size(); ++t) maxima_[t] = std::max(maxima_[t], maxima_[t + width_]);
    }
    reach_ = h - width_;
  }
  /// t + h lies within the values.
  double at(std::size_t t) const { return std::max(maxima_[t], maxima_[t + reach_]); }

 private:
  std::vector<double> maxima_;  ///< of `width_` values, a power of two at most h
  std::size_t width_ = 1;
  std::size_t reach_ = 0;
};

}  // namespace

struct InnovationErrors::History {
  std::vector<double> known;  ///< values; kLowest = missing
  bool gaps;
  std::span<const double> innovations;
  std::size_t first;
  std::span<const double> psi;
  std::vector<double> expected;  ///< the largest forecast so far, by origin
};

InnovationErrors::InnovationErrors(int horizon_steps, Detail detail)
    : horizon_steps_(std::max(1, horizon_steps)), detail_(detail) {}

bool InnovationErrors::is_knot(int h) const {
  return detail_ == Detail::kEveryStep || h == horizon_steps_ ||
         std::find(kKnots.begin(), kKnots.end(), h) != kKnots.end();
}

bool InnovationErrors::learn(std::span<const double> values, std::span<const double> innovations, std::size_t first,
                             std::span<const double> psi) {
  steps_.clear();
  windows_.clear();
  History history{{values.begin(), values.end()}, false, innovations, first, psi, {}};
  history.expected.assign(values.size(), kLowest);
  for (double& value : history.known) {
    if (std::isfinite(value)) continue;
    value = kLowest;
    history.gaps = true;
  }
  if (detail_ == Detail::kEveryStep || values.size() < first + kStride * kThinnedMin) {
    sweep(history, 1, 0, horizon_steps_);
  } else {
    sweep(history, 1, 0, std::min(kEachUpTo, horizon_steps_));
    sweep(history, kStride, kEachUpTo, horizon_steps_);
  }
  return !steps_.empty();
}

/// Errors of every stride-th step, from those one step ahead to those up_to steps ahead; quantiles at the knots beyond
/// `above`.
void InnovationErrors::sweep(History& history, std::size_t stride, int above, int up_to) {
  const std::size_t n = history.known.size();
  const std::size_t phase = (n - 1) % stride;  // the steps looked at: phase, phase + stride, …, n − 1
  const std::size_t origin_phase = (phase + 1) % stride;
  std::vector<std::vector<double>> parts(stride);  // innovations by phase
  for (std::size_t t = 0; t < n; ++t) parts[t % stride].push_back(history.innovations[t]);
  std::vector<double> errors = parts[phase];
  std::vector<double> known;
  for (std::size_t t = phase; t < n; t += stride) known.push_back(history.known[t]);
  const bool windows = detail_ == Detail::kStepsAndWindows;
  std::vector<double> expected;
  for (std::size_t t = origin_phase; windows && t < n; t += stride) expected.push_back(history.expected[t]);
  RollingMaxima came(windows ? std::span<const double>(history.known) : std::span<const double>());
  std::vector<double> sample;
  double largest = 1;  // effect of an innovation
  double effects = 0;  // of an innovation on the steps so far: their sum, and that of their squares
  double squares = 0;
  const auto put = [&](int h, std::vector<Knot>& into) {
    if (sample.size() < (h == 1 ? 1 : kErrorsMin)) return;
    // Errors of one time share their innovations, as far as those have an effect.
    const double overlap = std::min(static_cast<double>(h), effects * effects / squares);
    const double independent = static_cast<double>(sample.size() * stride) / overlap;
    into.push_back({h, std::log(h), windows ? cautious(sample, independent) : quantiles_of_sample(sample)});
  };
  for (int h = 1; h <= up_to; ++h) {
    const auto reach = static_cast<std::size_t>(h - 1);
    if (history.first + reach >= n) return;
    const double weight = history.psi[reach];
    effects += std::abs(weight);
    squares += weight * weight;
    if (h > 1) {
      const std::size_t from = (phase + stride - reach % stride) % stride;
      const std::size_t shift = (reach + from - phase) / stride;
      largest = std::max(largest, std::abs(weight));
      const std::vector<double>& part = parts[from];
      if (std::abs(weight) > kNegligible * largest && shift < errors.size()) {
        add_scaled(weight, part.data(), errors.data() + shift, errors.size() - shift);
      }
    }
    if ((reach + 1) % stride != 0) continue;
    // The origin of step `phase + stride · j` is `origin_phase + stride · (j − back)`.
    const std::size_t back = (origin_phase + reach - phase) / stride;
    const std::size_t oldest = (history.first - std::min(history.first, origin_phase) + stride - 1) / stride;
    if (windows && oldest + back < errors.size()) {
      raise_to_forecasts(known.data() + oldest + back, errors.data() + oldest + back, expected.data() + oldest,
                         errors.size() - oldest - back);
    }
    if (h <= above || !is_knot(h)) continue;
    sample.clear();
    for (std::size_t j = oldest + back; j < errors.size(); ++j) {
      if (!history.gaps || known[j] > kLowest) sample.push_back(errors[j]);
    }
    put(h, steps_);
    if (!windows) continue;
    came.widen(reach + 1);
    sample.clear();
    for (std::size_t i = oldest; i + back < errors.size(); ++i) {
      if (expected[i] > kLowest) sample.push_back(came.at(origin_phase + stride * i) - expected[i]);
    }
    put(h, windows_);
  }
  if (stride == 1) history.expected = std::move(expected);
}

Quantiles InnovationErrors::between(const std::vector<Knot>& knots, int h) {
  const auto right = std::lower_bound(knots.begin(), knots.end(), h, [](const Knot& k, int at) { return k.h < at; });
  if (right == knots.begin() || (right != knots.end() && right->h == h)) return right->errors;
  if (right == knots.end()) {
    // What lies beyond: as much wider as a fourth root grows, between white noise and a random walk.
    const double factor = std::pow(static_cast<double>(h) / knots.back().h, 0.25);
    Quantiles q = knots.back().errors;
    for (const auto member : kQuantileMembers) {
      if (member != &Quantiles::p50) q.*member = q.p50 + factor * (q.*member - q.p50);
    }
    return q;
  }
  const Knot& left = *(right - 1);
  const double share = (std::log(h) - left.log_h) / (right->log_h - left.log_h);
  Quantiles q;
  for (const auto member : kQuantileMembers) {
    q.*member = left.errors.*member + share * (right->errors.*member - left.errors.*member);
  }
  return q;
}

Quantiles InnovationErrors::at(int h) const {
  return steps_.empty() ? Quantiles{} : between(steps_, h);
}

Quantiles InnovationErrors::window(int steps) const {
  return windows_.empty() ? Quantiles{} : between(windows_, steps);
}

void put_around(std::span<const double> path, const InnovationErrors& errors, const AsinhScale* scale,
                Forecast& forecast) {
  const auto around = [scale](double point, Quantiles of_errors, double median_share) {
    of_errors.p50 *= median_share;
    for (const auto member : kQuantileMembers) {
      const double sum = point + of_errors.*member;
      of_errors.*member = scale == nullptr ? sum : scale->from_z(sum);
    }
    return tidy(of_errors);
  };
  double highest = path[0];
  forecast.steps.reserve(path.size());
  for (std::size_t i = 0; i < path.size(); ++i) {
    highest = std::max(highest, path[i]);
    forecast.steps.push_back(around(path[i], errors.at(static_cast<int>(i) + 1), 0.5));
  }
  forecast.window_max = around(highest, errors.window(static_cast<int>(path.size())), 1);
  raise_to_steps(forecast);
}

}  // namespace proteus::forecast
