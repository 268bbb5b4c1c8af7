#include "controller/forecast/innovation_errors.h"

#include <algorithm>
#include <cmath>

#include "controller/forecast/sample_quantiles.h"

namespace proteus::forecast {
namespace {

/// Fewer errors than this at some horizon: those of a shorter one stand in.
constexpr std::size_t kErrorsMin = 6;
/// So many errors show a p99 by themselves; with fewer, spreads are widened as Student's t is against the normal,
/// roughly, and the tail is at least that of a normal distribution.
constexpr std::size_t kErrorsForTail = 200;
constexpr double kTailRatio95 = 1.6449 / 1.2816;
constexpr double kTailRatio99 = 2.3263 / 1.2816;
constexpr int kEachUpTo = 12;
/// Further ahead neighbouring errors tell nearly the same: every so many of them are enough, if many are left.
constexpr std::size_t kThinning = 4;
constexpr std::size_t kThinnedMin = 400;

/// Steps ahead at which errors are looked at: each of the first, then ever fewer, and the last.
std::vector<int> step_knots(int horizon_steps, bool every_step) {
  std::vector<int> knots;
  for (int h = 1; h < horizon_steps; h += every_step || h < kEachUpTo ? 1 : std::max(1, h / 5)) knots.push_back(h);
  knots.push_back(horizon_steps);
  return knots;
}

/// Of the step knots, those at which maxima are; they change slowly.
bool is_window_knot(int h, int horizon_steps, int last) {
  return h == 1 || h == kEachUpTo || h == horizon_steps || h >= 2 * last;
}

/// Moves every stride-th element to the front, and cuts the others off.
void thin(std::vector<double>& sample, std::size_t stride) {
  std::size_t kept = 0;
  for (std::size_t i = sample.size() % stride; i < sample.size(); i += stride) sample[kept++] = sample[i];
  sample.resize(kept);
}

Quantiles cautious(std::vector<double>& errors) {
  const std::size_t n = errors.size();
  Quantiles q = quantiles_of_sample(errors);
  if (n >= kErrorsForTail) return q;
  const double few = 1 + 2 / static_cast<double>(n);
  q.p10 = q.p50 - few * (q.p50 - q.p10);
  q.p90 = q.p50 + few * (q.p90 - q.p50);
  q.p95 = std::max(q.p50 + few * (q.p95 - q.p50), q.p50 + kTailRatio95 * (q.p90 - q.p50));
  q.p99 = std::max(q.p50 + few * (q.p99 - q.p50), q.p50 + kTailRatio99 * (q.p90 - q.p50));
  return q;
}

}  // namespace

InnovationErrors::InnovationErrors(int horizon_steps, bool every_step)
    : horizon_steps_(std::max(1, horizon_steps)), every_step_(every_step) {}

bool InnovationErrors::learn(std::span<const double> values, std::span<const double> innovations, std::size_t first,
                             std::span<const double> psi) {
  steps_.clear();
  windows_.clear();
  constexpr double kLowest = -HUGE_VAL;
  const std::size_t n = values.size();
  std::vector<double> errors(innovations.begin(), innovations.end());  // h steps ahead, by the step they are of
  std::vector<double> known(values.begin(), values.end());
  for (double& value : known) value = std::isfinite(value) ? value : kLowest;
  const bool gaps = std::find(known.begin(), known.end(), kLowest) != known.end();
  std::vector<double> came(n, kLowest);      // largest value of the first h steps after t − 1
  std::vector<double> expected(n, kLowest);  // largest of the forecasts for them, at the knots
  std::vector<double> sample;
  const auto quantiles = [&](int h, std::vector<Knot>& into) {
    const std::size_t needed = h == 1 ? 1 : kErrorsMin;
    if (sample.size() < needed) return;
    if (!every_step_ && h > kEachUpTo && sample.size() >= kThinning * kThinnedMin) thin(sample, kThinning);
    into.push_back({h, cautious(sample)});
  };
  int h = 0;
  for (const int knot : step_knots(horizon_steps_, every_step_)) {
    for (; h < knot; ++h) {
      const auto reach = static_cast<std::size_t>(h);
      if (first + reach >= n) return !steps_.empty();
      const double weight = psi[reach];
      for (std::size_t t = first + reach; h > 0 && t < n; ++t) errors[t] += weight * innovations[t - reach];
      for (std::size_t t = first; t + reach < n; ++t) came[t] = std::max(came[t], known[t + reach]);
    }
    const auto reach = static_cast<std::size_t>(knot - 1);
    sample.clear();
    for (std::size_t t = first + reach; t < n; ++t) {
      if (!gaps || known[t] > kLowest) sample.push_back(errors[t]);
    }
    quantiles(knot, steps_);
    for (std::size_t t = first; t + reach < n; ++t) {
      expected[t] = std::max(expected[t], known[t + reach] - errors[t + reach]);
    }
    if (!is_window_knot(knot, horizon_steps_, windows_.empty() ? 0 : windows_.back().h)) continue;
    sample.clear();
    for (std::size_t t = first; t + reach < n; ++t) {
      if (expected[t] > kLowest) sample.push_back(came[t] - expected[t]);
    }
    quantiles(knot, windows_);
  }
  return !steps_.empty();
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
  const double share = std::log(static_cast<double>(h) / left.h) / std::log(static_cast<double>(right->h) / left.h);
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

void put_around(std::span<const double> path, const InnovationErrors& errors, Forecast& forecast) {
  const auto around = [](double point, Quantiles of_errors, double median_share) {
    of_errors.p50 *= median_share;
    for (const auto member : kQuantileMembers) of_errors.*member += point;
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
