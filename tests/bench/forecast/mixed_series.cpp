#include "tests/bench/forecast/mixed_series.h"

#include <algorithm>
#include <random>

namespace proteus::bench {

using forecast::global::daily_difference;
using forecast::global::TrainingSeries;

MixedSeries mix_series(const std::vector<TrainingSeries>& from, std::size_t count, std::uint32_t seed) {
  MixedSeries mixed;
  std::mt19937 random(seed);
  for (std::size_t n = 0; n < count && !from.empty(); ++n) {
    const TrainingSeries& a = from[random() % from.size()];
    const TrainingSeries& b = from[random() % from.size()];
    const double share = 0.2 + 0.6 * random() / 4294967296.0;
    const std::size_t length = std::min(a.values.size(), b.values.size());
    const double unit_a = daily_difference(a.values);
    const double unit_b = daily_difference(b.values);
    if (&a == &b || !(unit_a > 0) || !(unit_b > 0)) continue;
    std::vector<double>& values = mixed.values.emplace_back(length);
    for (std::size_t t = 0; t < length; ++t) {
      values[t] = share / unit_a * a.values[a.values.size() - length + t] +
                  (1 - share) / unit_b * b.values[b.values.size() - length + t];
    }
    TrainingSeries& series = mixed.series.emplace_back();
    series.kind = a.kind;
    series.values = values;
    if (a.start_epoch_s) {
      series.start_epoch_s = *a.start_epoch_s + 300 * static_cast<std::int64_t>(a.values.size() - length);
    }
  }
  return mixed;
}

}  // namespace proteus::bench
