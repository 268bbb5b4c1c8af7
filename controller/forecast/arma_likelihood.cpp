#include "controller/forecast/arma_likelihood.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "controller/forecast/minimize.h"

namespace proteus::forecast {
namespace {

constexpr std::size_t kStates = kArmaOrderMax + 1;
/// The filter has settled when its error variance is this close to that of the innovations.
constexpr double kSettled = 1e-6;
/// Partial autocorrelations are kept off one, where the likelihood has no bottom.
constexpr double kPartialMax = 0.9999;
/// In units of log-likelihood per value.
constexpr double kTolerance = 1e-7;
constexpr int kIterationsMax = 25;

using Matrix = std::array<std::array<double, kStates>, kStates>;
using Vector = std::array<double, kStates>;

Matrix multiply(const Matrix& a, const Matrix& b, std::size_t r) {
  Matrix c{};
  for (std::size_t i = 0; i < r; ++i) {
    for (std::size_t k = 0; k < r; ++k) {
      for (std::size_t j = 0; j < r; ++j) c[i][j] += a[i][k] * b[k][j];
    }
  }
  return c;
}

Matrix transposed(const Matrix& a) {
  Matrix b{};
  for (std::size_t i = 0; i < kStates; ++i) {
    for (std::size_t j = 0; j < kStates; ++j) b[j][i] = a[i][j];
  }
  return b;
}

/// P = T·P·Tᵀ + R·Rᵀ, by doubling: each round adds as many terms of the sum as there are. False if it does not end.
bool stationary(const Vector& phi, const Vector& effect, std::size_t r, Matrix& p) {
  constexpr int kRoundsMax = 40;
  Matrix power{};
  for (std::size_t i = 0; i < r; ++i) {
    power[i][0] = phi[i];
    if (i + 1 < r) power[i][i + 1] = 1;
    for (std::size_t j = 0; j < r; ++j) p[i][j] = effect[i] * effect[j];
  }
  for (int round = 0; round < kRoundsMax; ++round) {
    const Matrix more = multiply(multiply(power, p, r), transposed(power), r);
    double added = 0;
    for (std::size_t i = 0; i < r; ++i) {
      for (std::size_t j = 0; j < r; ++j) p[i][j] += more[i][j];
      added = std::max(added, std::abs(more[i][i]));
    }
    if (!std::isfinite(p[0][0])) return false;
    if (added <= 1e-14 * p[0][0]) return true;
    power = multiply(power, power, r);
  }
  return false;
}

/// Both parts' partial autocorrelations on an unbounded scale.
std::vector<double> to_free(const Arma& arma) {
  std::vector<double> parameters;
  const auto add = [&](std::span<const double> ar) {
    std::vector<double> partial = partial_autocorrelations(ar);
    partial.insert(partial.begin(), ar.size() - partial.size(), 0.0);
    for (const double value : partial) parameters.push_back(std::atanh(std::clamp(value, -kPartialMax, kPartialMax)));
  };
  add(arma.ar);
  add(negated(arma.ma));
  return parameters;
}

Arma from_free(std::span<const double> parameters, std::size_t p) {
  std::vector<double> partial(parameters.begin(), parameters.end());
  for (double& value : partial) value = kPartialMax * std::tanh(value);
  const std::span<const double> all(partial);
  return {from_partial_autocorrelations(all.first(p)), negated(from_partial_autocorrelations(all.subspan(p)))};
}

/// What the filter leaves: Σ error² / variance and Σ ln variance, variances in those of the innovations.
struct Sums {
  double squares = 0;
  double logs = 0;
};

/// The filter for R states, started from their stationary variance. From one step to the next that variance changes by
/// a matrix of rank one, so a step costs R multiplications, not R². Source: Morf, Sidhu & Kailath (1974), Chandrasekhar
/// recursions.
template <std::size_t R>
Sums run_filter(const Vector& phi, const Vector& effect, const Matrix& start, std::span<const double> w,
                double* innovations) {
  Sums sums;
  double product = 1;  // of variances, whose logarithm is taken when it grows large
  std::array<double, R + 1> state{};
  std::array<double, R> gain;          // what an error means for the next state, times the error's variance
  std::array<double, R + 1> change{};  // of the state's variance: scale · change · changeᵀ
  double variance = start[0][0];
  double scale = -1 / variance;
  for (std::size_t i = 0; i < R; ++i) {
    gain[i] = phi[i] * variance + (i + 1 < R ? start[i + 1][0] : 0);
    change[i] = gain[i];
  }
  std::size_t t = 0;
  for (bool settled = false; t < w.size() && !settled; ++t) {
    settled = std::abs(variance - 1) < kSettled;
    const double first = state[0];
    const double error = w[t] - first;
    const double share = error / variance;
    if (innovations != nullptr) innovations[t] = error;
    sums.squares += error * share;
    product *= variance;
    if (product > 1e150) {
      sums.logs += std::log(product);
      product = 1;
    }
    const double moved = change[0];
    const double more = scale * moved;
    const double next = variance + more * moved;
    const double pulled = moved / variance;
    for (std::size_t i = 0; i < R; ++i) {
      state[i] = phi[i] * first + (state[i + 1] + gain[i] * share);
      const double carried = phi[i] * moved + change[i + 1];
      change[i] = carried - pulled * gain[i];
      gain[i] += more * carried;
    }
    scale *= variance / next;
    variance = next;
  }
  sums.logs += std::log(product);
  // From here on the steps are those of the process itself.
  std::array<double, R> response;
  for (std::size_t i = 0; i < R; ++i) response[i] = phi[i] + (i + 1 < R ? effect[i + 1] : 0);
  for (; t < w.size(); ++t) {
    const double first = state[0];
    const double error = w[t] - first;
    sums.squares += error * error;
    if (innovations != nullptr) innovations[t] = error;
    for (std::size_t i = 0; i < R; ++i) state[i] = (phi[i] * first + state[i + 1]) + response[i] * error;
  }
  return sums;
}

Sums run_filter(std::size_t states, const Vector& phi, const Vector& effect, const Matrix& start,
                std::span<const double> w, double* innovations) {
  switch (states) {
    case 1: return run_filter<1>(phi, effect, start, w, innovations);
    case 2: return run_filter<2>(phi, effect, start, w, innovations);
    case 3: return run_filter<3>(phi, effect, start, w, innovations);
    case 4: return run_filter<4>(phi, effect, start, w, innovations);
    case 5: return run_filter<5>(phi, effect, start, w, innovations);
    default: return run_filter<kStates>(phi, effect, start, w, innovations);
  }
}

}  // namespace

ArmaLikelihood exact_likelihood(const Arma& arma, std::span<const double> w, std::vector<double>* innovations) {
  const std::size_t states = std::max(arma.ar.size(), arma.ma.size() + 1);
  Vector phi{};
  Vector effect{};
  std::copy(arma.ar.begin(), arma.ar.end(), phi.begin());
  effect[0] = 1;
  std::copy(arma.ma.begin(), arma.ma.end(), effect.begin() + 1);
  if (innovations != nullptr) innovations->assign(w.size(), 0.0);
  Matrix start{};  // variance of the state before the first value is seen, in innovation variances
  if (!stationary(phi, effect, states, start)) return {-HUGE_VAL, 0};
  const Sums sums = run_filter(states, phi, effect, start, w, innovations != nullptr ? innovations->data() : nullptr);
  const auto count = static_cast<double>(w.size());
  ArmaLikelihood result;
  result.variance = sums.squares / count;
  result.log_likelihood = -0.5 * (count * std::log(2 * std::numbers::pi * result.variance) + count + sums.logs);
  return result;
}

Arma maximize_likelihood(const Arma& arma, std::span<const double> w) {
  const std::size_t p = arma.ar.size();
  if (p + arma.ma.size() == 0) return arma;
  const auto loss = [&](const std::vector<std::vector<double>>& points) {
    std::vector<double> losses;
    for (const std::vector<double>& parameters : points) {
      losses.push_back(-exact_likelihood(from_free(parameters, p), w).log_likelihood / static_cast<double>(w.size()));
    }
    return losses;
  };
  return from_free(minimize(loss, to_free(arma), kTolerance, kIterationsMax).at, p);
}

}  // namespace proteus::forecast
