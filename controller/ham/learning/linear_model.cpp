#include "controller/ham/learning/linear_model.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>

#include "controller/forecast/global/xtensor_fix.h"
// After the fix.
#include <xtensor-blas/xlinalg.hpp>
#include <xtensor/xadapt.hpp>
#include <xtensor/xbuilder.hpp>

namespace proteus::ham::learning {
namespace {

/// Each observation counts so much of the one after it: about the last two hundred matter.
constexpr double kMemory = 0.995;
/// Of each coefficient, in units of the noise: its prior deviation is the noise's.
constexpr double kPriorPrecision = 1.0;
/// Noise before anything is known: a variance of 0.25 that counts like so many observations.
constexpr double kPriorNoise = 0.25;
constexpr double kPriorCount = 4;
constexpr double kNormal95 = 1.645;

using Matrix = xt::xtensor<double, 2>;
using Vector = xt::xtensor<double, 1>;

}  // namespace

double Belief::certain() const {
  const double size = std::max(0.0, std::abs(mean) - kNormal95 * deviation);
  return mean < 0 ? -size : size;
}

LinearModel::LinearModel(std::size_t features)
    : size_(features),
      precision_(features * features),
      moment_(features),
      covariance_(features * features),
      mean_(features) {
  refit();
}

void LinearModel::fade(double keep) {
  for (double& value : precision_) value *= keep;
  for (double& value : moment_) value *= keep;
  squares_ *= keep;
  evidence_ *= keep;
  refit();
}

void LinearModel::observe(std::span<const double> x, double y, double weight) {
  assert(x.size() == size_);
  y = std::clamp(y, -kLargest, kLargest);
  for (double& value : precision_) value *= kMemory;
  for (std::size_t i = 0; i < size_; ++i) {
    for (std::size_t j = 0; j < size_; ++j) precision_[i * size_ + j] += weight * x[i] * x[j];
    moment_[i] = kMemory * moment_[i] + weight * x[i] * y;
  }
  squares_ = kMemory * squares_ + weight * y * y;
  evidence_ = kMemory * evidence_ + weight;
  refit();
}

bool LinearModel::refit() {
  if (precision_.size() != size_ * size_ || moment_.size() != size_) return false;
  const std::array<std::size_t, 2> square{size_, size_};
  const Matrix posterior = xt::adapt(precision_, square) + kPriorPrecision * xt::eye<double>(size_);
  const Vector moment = xt::adapt(moment_, std::array<std::size_t, 1>{size_});
  Matrix covariance;
  try {
    covariance = xt::linalg::inv(posterior);
  } catch (const std::exception&) {
    return false;  // LAPACK's word for a singular matrix, which only damaged bytes can hold
  }
  const Vector mean = xt::linalg::dot(covariance, moment);
  double explained = 0;
  for (std::size_t i = 0; i < size_; ++i) explained += mean(i) * moment(i);
  const double residual = std::max(0.0, squares_ - explained);
  noise_variance_ = (kPriorCount * kPriorNoise + residual) / (kPriorCount + evidence_);
  covariance_.assign(covariance.begin(), covariance.end());
  mean_.assign(mean.begin(), mean.end());
  return std::isfinite(noise_variance_) &&
         std::all_of(mean_.begin(), mean_.end(), [](double m) { return std::isfinite(m); });
}

Belief LinearModel::believe(std::span<const double> x) const {
  assert(x.size() == size_);
  Belief belief;
  double spread = 0;
  for (std::size_t i = 0; i < size_; ++i) {
    double row = 0;
    for (std::size_t j = 0; j < size_; ++j) row += covariance_[i * size_ + j] * x[j];
    spread += x[i] * row;
    belief.mean += mean_[i] * x[i];
  }
  belief.deviation = std::sqrt(std::max(0.0, spread * noise_variance_));
  return belief;
}

}  // namespace proteus::ham::learning
