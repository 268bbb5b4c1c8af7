#include "controller/forecast/global/autoregression.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace proteus::forecast::global {

namespace {

constexpr std::size_t kOrderMax = 24;
constexpr std::size_t kThin = 4;
constexpr std::size_t kDense = 2;  ///< steps ahead with every origin
constexpr std::array<std::size_t, 12> kKnots = {1, 2, 3, 5, 8, 12, 24, 48, 96, 160, 224, 288};

/// Levinson–Durbin: coefficients of the order with the least AIC; empty if the series is constant.
std::vector<float> fit(std::span<const float> x) {
  std::array<double, kOrderMax + 1> covariance{};
  const auto count = static_cast<double>(x.size());
  for (std::size_t lag = 0; lag <= kOrderMax; ++lag) {
    covariance[lag] = static_cast<double>(dot(x.subspan(lag), x.first(x.size() - lag))) / count;
  }
  covariance[0] *= 1.0001;
  if (covariance[0] < 1e-12) return {};
  std::array<double, kOrderMax> phi{};
  std::array<double, kOrderMax> best{};
  std::size_t best_order = 0;
  double error = covariance[0];
  double best_aic = count * std::log(error);
  for (std::size_t k = 1; k <= kOrderMax; ++k) {
    double reflection = covariance[k];
    for (std::size_t j = 1; j < k; ++j) reflection -= phi[j - 1] * covariance[k - j];
    reflection /= error;
    const auto before = phi;
    phi[k - 1] = reflection;
    for (std::size_t j = 1; j < k; ++j) phi[j - 1] = before[j - 1] - reflection * before[k - j - 1];
    error *= 1 - reflection * reflection;
    if (error <= 0) break;
    const double aic = count * std::log(error) + 2.0 * static_cast<double>(k);
    if (aic < best_aic) {
      best_aic = aic;
      best = phi;
      best_order = k;
    }
  }
  std::vector<float> result(best_order);
  for (std::size_t i = 0; i < best_order; ++i) result[i] = static_cast<float>(best[i]);
  return result;
}

/// errors[j] += weight · surprises[kThin · j − back], where that exists. by_phase[p][j] = surprises[kThin · j + p].
void add_thinned(std::span<float> errors, const std::array<std::vector<float>, kThin>& by_phase, float weight,
                 std::size_t back) {
  const std::size_t phase = (kThin - back % kThin) % kThin;
  const std::size_t shift = (back + phase) / kThin;
  const std::vector<float>& surprises = by_phase[phase];
  const std::size_t end = std::min(errors.size(), surprises.size() + shift);
  for (std::size_t j = shift; j < end; ++j) errors[j] += weight * surprises[j - shift];
}

}  // namespace

Autoregression autoregress(std::span<const float> values, std::size_t horizon) {
  const std::size_t count = values.size();
  const float centre = mean(values);
  std::vector<float> x(count);
  for (std::size_t t = 0; t < count; ++t) x[t] = values[t] - centre;
  const std::vector<float> phi = fit(x);

  Autoregression result;
  result.order = static_cast<int>(phi.size());
  for (const float p : phi) result.persistence += p;
  std::vector<float> future(phi.size() + horizon, 0.0F);
  std::copy(x.end() - static_cast<std::ptrdiff_t>(phi.size()), x.end(), future.begin());
  std::vector<float> response(horizon, 0.0F);  // to a surprise of one, [steps since]
  response[0] = 1;
  result.path.resize(horizon);
  for (std::size_t h = 0; h < horizon; ++h) {
    for (std::size_t i = 0; i < phi.size(); ++i) {
      future[phi.size() + h] += phi[i] * future[phi.size() + h - 1 - i];
      if (h >= i + 1) response[h] += phi[i] * response[h - 1 - i];
    }
    result.path[h] = centre + future[phi.size() + h];
  }
  result.surprises = x;
  for (std::size_t i = 0; i < phi.size(); ++i) {
    for (std::size_t t = i + 1; t < count; ++t) result.surprises[t] -= phi[i] * x[t - 1 - i];
  }

  const std::size_t first = phi.size();  // earlier surprises lack their past
  const std::span<const float> surprises = std::span<const float>(result.surprises).subspan(first);
  std::array<std::vector<float>, kThin> by_phase;
  for (std::size_t t = 0; t < surprises.size(); ++t) by_phase[t % kThin].push_back(surprises[t]);
  std::vector<float> dense(surprises.begin(), surprises.end());
  std::vector<float> thinned = by_phase[0];
  result.errors.resize(horizon);
  std::size_t known = 0;  // steps ahead whose errors are filled in
  std::size_t knot = 0;
  for (std::size_t h = 1; h <= horizon; ++h) {
    if (h > 1) {
      add_thinned(thinned, by_phase, response[h - 1], h - 1);
      if (h <= kDense) {
        for (std::size_t t = h - 1; t < dense.size(); ++t) dense[t] += response[h - 1] * surprises[t - (h - 1)];
      }
    }
    if (h != kKnots[knot] && h != horizon) continue;
    if (h == kKnots[knot]) ++knot;
    // Errors that began before the first surprise are left out, unless hardly any would remain.
    const std::span<const float> all = h <= kDense ? std::span<const float>(dense) : std::span<const float>(thinned);
    const std::size_t skip = std::min(h <= kDense ? h - 1 : (h - 1 + kThin - 1) / kThin, all.size() / 2);
    Levels at_knot = quantiles(all.subspan(skip));
    at_knot[1] *= 0.5F;  // a median far from zero is mostly chance
    const float from = std::log(static_cast<float>(std::max<std::size_t>(known, 1)));
    const float to = std::log(static_cast<float>(h));
    const Levels before = known > 0 ? result.errors[known - 1] : at_knot;
    for (std::size_t between = known + 1; between <= h; ++between) {
      const float share = between == h ? 1 : (std::log(static_cast<float>(between)) - from) / (to - from);
      for (std::size_t k = 0; k < kLevels.size(); ++k) {
        result.errors[between - 1][k] = before[k] + share * (at_knot[k] - before[k]);
      }
    }
    known = h;
  }
  return result;
}

}  // namespace proteus::forecast::global
