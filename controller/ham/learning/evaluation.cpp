#include "controller/ham/learning/evaluation.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace proteus::ham::learning {
namespace {

constexpr double kMissed = 0.05;
/// The mixture is narrowest at about so many observations.
constexpr double kTunedFor = 50;
/// A sample deviation of a handful says little.
constexpr double kCountMin = 10;

/// ρ² of the normal mixture that makes the bound narrowest at kTunedFor (Waudby-Smith et al., 2021, appendix).
double mixture() {
  const double log_term = -2 * std::log(kMissed);
  return (log_term + std::log(log_term + 1)) / kTunedFor;
}

}  // namespace

double difference(const Occasion& occasion) {
  assert(occasion.propensity > 0);
  if (occasion.rules_act == occasion.learned_act) return 0;
  double worth = occasion.expected;
  if (occasion.realised) worth += (*occasion.realised - occasion.expected) / occasion.propensity;
  return occasion.learned_act ? worth : -worth;
}

void ConfidenceSequence::add(double value) {
  count_ += 1;
  sum_ += value;
  squares_ += value * value;
}

double ConfidenceSequence::radius() const {
  if (count_ < kCountMin) return std::numeric_limits<double>::infinity();
  const double variance = std::max(0.0, squares_ / count_ - mean() * mean()) * count_ / (count_ - 1);
  const double r = mixture();
  const double nr = count_ * r + 1;
  return std::sqrt(variance * 2 * nr / (count_ * count_ * r) * std::log(std::sqrt(nr) / kMissed));
}

}  // namespace proteus::ham::learning
