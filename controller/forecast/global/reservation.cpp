#include "controller/forecast/global/reservation.h"

#include <algorithm>
#include <cmath>

namespace proteus::forecast::global {

namespace {

/// What an amount means for one step: the chance that it is exceeded, and how much of it is expected to stay unused.
struct Outlook {
  double exceeded = 0;
  double unused = 0;
};

/// One step's distribution, as pieces between its quantiles.
Outlook outlook(const ValueLevels& step, double amount) {
  Outlook result;
  const double bottom = std::max(0.0, step[0] - (step[1] - step[0]) / 4);  // the lowest tenth
  double from = bottom;
  double level = 0;
  for (std::size_t k = 0; k < kLevels.size(); ++k) {
    const double share = kLevels[k] - level;
    const double to = std::max(step[k], from);
    if (amount >= to) {
      result.unused += share * (amount - (from + to) / 2);
    } else if (amount > from) {
      const double part = (amount - from) / (to - from);
      result.unused += share * part * (amount - from) / 2;
      result.exceeded += share * (1 - part);
    } else {
      result.exceeded += share;
    }
    from = to;
    level = kLevels[k];
  }
  const double tail = 1 - kLevels.back();
  const double fall = std::max((step[4] - step[3]) / std::log(5.0), 1e-9);  // 5 % to 1 %
  if (amount <= step[4]) {
    result.exceeded += tail;
  } else {
    const double gone = std::exp(-(amount - step[4]) / fall);
    result.exceeded += tail * gone;
    result.unused += tail * (amount - step[4] - fall * (1 - gone));
  }
  return result;
}

}  // namespace

double reservation(std::span<const ValueLevels> steps, double unit, double price) {
  constexpr std::size_t kStepsMax = 48;  // of a long window every few are enough
  constexpr std::size_t kCoarse = 24;
  constexpr std::size_t kFine = 12;
  const std::size_t stride = std::max<std::size_t>(1, steps.size() / kStepsMax);
  double low = steps[0][0];
  double high = steps[0][4];
  for (const ValueLevels& step : steps) {
    low = std::min(low, step[0]);
    high = std::max(high, step[4] + 1.5 * (step[4] - step[3]));
  }
  const auto cost_of = [&](double amount) {
    double cost = 0;
    for (std::size_t s = 0; s < steps.size(); s += stride) {
      const Outlook step = outlook(steps[s], amount);
      cost += step.unused / unit + price * step.exceeded;
    }
    return cost;
  };
  // Finer where it is low: bursts reach many times the usual. Then finer around the best.
  const auto coarse = [&](std::size_t i) {
    const double part = static_cast<double>(i) / kCoarse;
    return low + (high - low) * part * part * part;
  };
  std::size_t at = 0;
  double least = cost_of(low);
  for (std::size_t i = 1; i <= kCoarse; ++i) {
    const double cost = cost_of(coarse(i));
    if (cost < least) {
      least = cost;
      at = i;
    }
  }
  double best = coarse(at);
  const double from = coarse(at > 0 ? at - 1 : 0);
  const double to = coarse(std::min(at + 1, kCoarse));
  for (std::size_t i = 1; i < kFine; ++i) {
    const double amount = from + (to - from) * static_cast<double>(i) / kFine;
    const double cost = cost_of(amount);
    if (cost < least) {
      least = cost;
      best = amount;
    }
  }
  return best;
}

}  // namespace proteus::forecast::global
