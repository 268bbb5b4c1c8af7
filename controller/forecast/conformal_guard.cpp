#include "controller/forecast/conformal_guard.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace proteus::forecast {
namespace {

constexpr std::size_t kScoresMin = 20;
/// That of the experiments of Gibbs & Candès (2021); larger follows faster and swings wider.
constexpr double kGamma = 0.005;
/// The guard corrects a model, it does not replace it.
constexpr double kFactorMin = 0.7;
constexpr double kFactorMax = 6;

}  // namespace

ConformalGuard::ConformalGuard(double level) : target_alpha_(1 - level), alpha_(target_alpha_) {}

void ConformalGuard::observe(double score, bool missed) {
  alpha_ += kGamma * (target_alpha_ - (missed ? 1 : 0));
  if (scores_.size() < kScoresMax) {
    scores_.push_back(score);
  } else {
    scores_[next_] = score;
    next_ = (next_ + 1) % kScoresMax;
  }
  if (scores_.size() < kScoresMin) return;
  std::array<double, kScoresMax> sorted;
  const std::size_t n = scores_.size();
  std::copy(scores_.begin(), scores_.end(), sorted.begin());
  const double rank = std::ceil((1 - alpha_) * static_cast<double>(n + 1));
  const auto index = static_cast<std::size_t>(std::clamp(rank, 1.0, static_cast<double>(n))) - 1;
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(index),
                   sorted.begin() + static_cast<std::ptrdiff_t>(n));
  factor_ = std::clamp(sorted[index], kFactorMin, kFactorMax);
}

}  // namespace proteus::forecast
