#include "controller/simulate/scenario/demand.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "controller/simulate/kvm/splitmix64.h"

namespace proteus::simulate::scenario {
namespace {

/// In [0, 1]: how far the pattern has risen.
double rise(const Pattern& pattern, double time_s) {
  const double off = std::remainder(time_s - pattern.at_s, pattern.every_s);
  if (std::abs(off) >= pattern.width_s / 2) return 0;
  return pattern.burst ? 1 : 0.5 + 0.5 * std::cos(2 * std::numbers::pi * off / pattern.width_s);
}

/// Box & Muller (1958).
double normal(kvm::SplitMix64& random) {
  const double radius = std::sqrt(-2 * std::log(1 - random.uniform()));
  return radius * std::cos(2 * std::numbers::pi * random.uniform());
}

}  // namespace

std::vector<float> make_demand(const Pattern& pattern, double unit, int history_ticks, int ticks, std::uint64_t seed) {
  kvm::SplitMix64 random(seed);
  std::vector<float> values;
  for (int t = -history_ticks; t < ticks; ++t) {
    const double middle_s = (t + 0.5) * kvm::kTick_s;
    double value = pattern.base + (pattern.peak - pattern.base) * rise(pattern, middle_s);
    if (pattern.noise > 0) value *= 1 + pattern.noise * normal(random);
    values.push_back(static_cast<float>(unit * std::max(0.0, value)));
  }
  return values;
}

std::vector<float> to_ticks(const double* values, std::size_t steps, double step_s, double unit, int ticks_max) {
  const double covered_s = static_cast<double>(steps) * step_s;
  const double whole = std::min<double>(ticks_max, covered_s / kvm::kTick_s + 1e-9);
  std::vector<float> ticks(static_cast<std::size_t>(whole));
  for (std::size_t t = 0; t < ticks.size(); ++t) {
    const double begin_s = static_cast<double>(t) * kvm::kTick_s;
    const double end_s = begin_s + kvm::kTick_s;
    double sum = 0;
    for (auto i = static_cast<std::size_t>(begin_s / step_s); i < steps; ++i) {
      const double from_s = std::max(begin_s, static_cast<double>(i) * step_s);
      const double to_s = std::min(end_s, static_cast<double>(i + 1) * step_s);
      if (to_s > from_s) sum += values[i] * (to_s - from_s);
      if (to_s >= end_s) break;
    }
    ticks[t] = static_cast<float>(unit * (sum / kvm::kTick_s));
  }
  return ticks;
}

}  // namespace proteus::simulate::scenario
