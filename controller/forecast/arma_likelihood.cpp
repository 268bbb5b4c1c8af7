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

}  // namespace

ArmaLikelihood exact_likelihood(const Arma& arma, std::span<const double> w, std::vector<double>* innovations) {
  const std::size_t p = arma.ar.size();
  const std::size_t q = arma.ma.size();
  const std::size_t r = std::max(p, q + 1);
  const std::size_t n = w.size();
  Vector phi{};
  Vector effect{};
  std::copy(arma.ar.begin(), arma.ar.end(), phi.begin());
  effect[0] = 1;
  std::copy(arma.ma.begin(), arma.ma.end(), effect.begin() + 1);
  if (innovations != nullptr) innovations->assign(n, 0.0);

  Matrix ahead{};  // variance of the state before its value is seen, in innovation variances
  if (!stationary(phi, effect, r, ahead)) return {-HUGE_VAL, 0};
  Vector state{};  // likewise
  double squares = 0;
  double logs = 0;
  std::size_t t = 0;
  for (; t < n; ++t) {
    const double gain = ahead[0][0];
    const double error = w[t] - state[0];
    squares += error * error / gain;
    logs += std::log(gain);
    if (innovations != nullptr) (*innovations)[t] = error;
    const bool settled = std::abs(gain - 1) < kSettled;
    Vector updated = state;
    for (std::size_t i = 0; i < r; ++i) updated[i] += ahead[i][0] * error / gain;
    Matrix left = ahead;
    for (std::size_t i = 0; i < r; ++i) {
      for (std::size_t j = 0; j < r; ++j) left[i][j] -= ahead[i][0] * ahead[j][0] / gain;
    }
    for (std::size_t i = 0; i < r; ++i) {
      state[i] = phi[i] * updated[0] + (i + 1 < r ? updated[i + 1] : 0);
      for (std::size_t j = 0; j < r; ++j) {
        ahead[i][j] = phi[i] * phi[j] * left[0][0] + effect[i] * effect[j];
        if (j + 1 < r) ahead[i][j] += phi[i] * left[0][j + 1];
        if (i + 1 < r) ahead[i][j] += phi[j] * left[i + 1][0];
        if (i + 1 < r && j + 1 < r) ahead[i][j] += left[i + 1][j + 1];
      }
    }
    if (settled) {
      ++t;
      break;
    }
  }
  for (; t < n; ++t) {
    const double error = w[t] - state[0];
    squares += error * error;
    if (innovations != nullptr) (*innovations)[t] = error;
    for (std::size_t i = 0; i + 1 < r; ++i) state[i] = phi[i] * w[t] + (state[i + 1] + effect[i + 1] * error);
    state[r - 1] = phi[r - 1] * w[t];
  }
  const auto count = static_cast<double>(n);
  ArmaLikelihood result;
  result.variance = squares / count;
  result.log_likelihood = -0.5 * (count * std::log(2 * std::numbers::pi * result.variance) + count + logs);
  return result;
}

Arma maximize_likelihood(const Arma& arma, std::span<const double> w) {
  const std::size_t p = arma.ar.size();
  if (p + arma.ma.size() == 0) return arma;
  const auto loss = [&](std::span<const double> parameters) {
    return -exact_likelihood(from_free(parameters, p), w).log_likelihood / static_cast<double>(w.size());
  };
  return from_free(minimize(loss, to_free(arma), kTolerance, kIterationsMax).at, p);
}

}  // namespace proteus::forecast
