#include "tests/bench/forecast/signalled_series.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>

namespace proteus::bench {

using namespace forecast::global;

namespace {

/// std::*_distribution differ between libraries; this does not.
class Dice {
 public:
  explicit Dice(std::uint32_t seed) : random_(seed) {}
  double uniform(double from, double to) { return from + (to - from) * random_() / 4294967296.0; }
  std::size_t below(std::size_t count) { return random_() % count; }
  /// Twelve uniform ones: near enough to normal.
  double normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += uniform(0, 1);
    return sum;
  }

 private:
  std::mt19937 random_;
};

std::vector<float> useless(const std::vector<TrainingSeries>& from, std::size_t length, Dice& dice) {
  std::vector<float> signal(length);
  const std::size_t kind = dice.below(3);
  if (kind == 0) {
    const auto other = from[dice.below(from.size())].values;
    for (std::size_t t = 0; t < length; ++t) signal[t] = static_cast<float>(other[t % other.size()]);
  } else if (kind == 1) {
    float at = 0;
    for (float& value : signal) value = at += static_cast<float>(dice.normal());
  } else {
    const std::size_t period = 24 + dice.below(kWeek);
    const std::size_t on = 1 + dice.below(period);
    for (std::size_t t = 0; t < length; ++t) signal[t] = t % period < on ? 1.0F : 0.0F;
  }
  return signal;
}

std::vector<float> metric_of(std::span<const double> values, double unit, Dice& dice) {
  constexpr std::array<std::size_t, 4> kWidths = {1, 2, 4, 12};
  const std::size_t width = kWidths[dice.below(kWidths.size())];
  const double noise = unit * std::exp(dice.uniform(std::log(0.05), std::log(2.0)));
  const double factor = std::exp(dice.uniform(-5, 5));
  std::vector<float> signal(values.size());
  for (std::size_t t = 0; t < values.size(); ++t) {
    const std::size_t begin = t + 1 - std::min(width, t + 1);
    double sum = 0;
    for (std::size_t i = begin; i <= t; ++i) sum += values[i];
    const double value = sum / static_cast<double>(t + 1 - begin) + noise * dice.normal();
    signal[t] = static_cast<float>(factor * value);
  }
  return signal;
}

/// Adds to the values, and returns what tells of it.
std::vector<float> add_events(std::vector<double>& values, double unit, Dice& dice) {
  std::vector<float> signal(values.size(), 0.0F);
  const double height = unit * dice.uniform(2, 10);
  const auto gap_max = static_cast<std::size_t>(dice.uniform(0.3, 3) * kDay);
  const bool of_one_height = dice.below(2) == 0;
  for (std::size_t t = dice.below(gap_max + 1); t < values.size(); t += 12 + dice.below(gap_max)) {
    const std::size_t end = std::min(values.size(), t + 3 + dice.below(140));
    const double share = of_one_height ? 1 : dice.uniform(0.3, 1.7);
    for (; t < end; ++t) {
      signal[t] = static_cast<float>(share);
      values[t] += share * height * (1 + 0.1 * dice.normal());
    }
  }
  return signal;
}

/// Makes the values what is seen of them on a host that is short of CPU at times, and returns its pressure.
std::vector<float> squeeze(std::vector<double>& values, Kind kind, Dice& dice) {
  std::vector<double> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  const double most = 1.1 * sorted.back();
  std::vector<float> pressure(values.size(), 0.0F);
  double waiting = 0;
  std::size_t until = 0;
  double share = 1;
  double capacity = most;
  for (std::size_t t = 0; t < values.size(); ++t) {
    if (t >= until && share < 1) {
      share = 1;
      capacity = most;
      until = t + dice.below(kDay);
    } else if (t >= until) {
      share = dice.uniform(0.3, 0.95);
      capacity = share * sorted[static_cast<std::size_t>(dice.uniform(0.5, 0.99) * static_cast<double>(sorted.size()))];
      until = t + 3 + dice.below(72);
    }
    if (share < 1) pressure[t] = static_cast<float>((1 / share - 1) * std::exp(0.3 * dice.normal()));
    if (kind == Kind::kMemory) continue;
    const double wanted = values[t] + waiting;
    const double done = std::min(wanted, capacity);
    // Nobody waits for long: a request that was not served is given up.
    waiting = 0.8 * std::max(0.0, wanted - done);
    const bool cpu = kind == Kind::kCpu || kind == Kind::kCpuMax || kind == Kind::kOther;
    values[t] = cpu ? std::min(wanted, most) : done;
  }
  return pressure;
}

}  // namespace

const char* to_string(Made made) {
  constexpr std::array<const char*, kMadeKinds> kNames = {"nothing", "useless signals", "a metric", "events",
                                                          "a squeezed host"};
  return kNames[static_cast<std::size_t>(made)];
}

SignalledSeries add_signals(const std::vector<TrainingSeries>& from, std::size_t count, std::uint32_t seed) {
  constexpr std::array<std::size_t, 5> kAhead = {0, 3, 12, 36, kHorizon};
  SignalledSeries result;
  Dice dice(seed);
  for (std::size_t n = 0; n < count && !from.empty(); ++n) {
    const TrainingSeries& base = from[n % from.size()];
    const std::size_t length = base.values.size();
    if (length <= kDay) continue;
    const double unit = daily_difference(base.values);
    if (!(unit > 0)) continue;
    const auto made = static_cast<Made>(dice.below(kMadeKinds));
    std::vector<double>& values = result.values.emplace_back(base.values.begin(), base.values.end());
    std::vector<std::vector<float>> signals;
    std::vector<float>& pressure = result.rows.emplace_back(length, 0.0F);
    if (made == Made::kMetric) signals.push_back(metric_of(values, unit, dice));
    if (made == Made::kEvents) signals.push_back(add_events(values, unit, dice));
    if (made == Made::kSqueezed) pressure = squeeze(values, base.kind, dice);
    const std::size_t idle = made == Made::kUseless ? 1 + dice.below(3) : signals.empty() ? 0 : dice.below(3);
    for (std::size_t i = 0; i < idle; ++i) signals.push_back(useless(from, length, dice));

    TrainingSeries& series = result.series.emplace_back(base);
    series.values = values;
    series.pressure = pressure;
    series.signals = signals.size();
    series.signals_ahead = kAhead[dice.below(kAhead.size())];
    if (!signals.empty()) {
      const std::size_t unknown = dice.below(5) == 0 ? length / 4 : 0;
      std::vector<float>& rows = result.rows.emplace_back();
      for (std::size_t t = 0; t < length; ++t) {
        for (const std::vector<float>& signal : signals) {
          rows.push_back(t < unknown ? std::numeric_limits<float>::quiet_NaN() : signal[t]);
        }
      }
      series.signal_rows = rows;
    }
    result.made.push_back(made);
  }
  return result;
}

}  // namespace proteus::bench
