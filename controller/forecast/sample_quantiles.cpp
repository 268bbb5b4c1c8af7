#include "controller/forecast/sample_quantiles.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

namespace proteus::forecast {
namespace {

/// Fewer samples are simply sorted.
constexpr std::size_t kSortBelow = 64;
constexpr std::size_t kBuckets = 256;

Quantiles of_sorted(std::span<const double> sorted) {
  Quantiles q;
  for (std::size_t i = 0; i < kQuantileLevels.size(); ++i) {
    const double position = kQuantileLevels[i] * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(position);
    const std::size_t above = std::min(below + 1, sorted.size() - 1);
    q.*kQuantileMembers[i] = sorted[below] + (position - std::floor(position)) * (sorted[above] - sorted[below]);
  }
  return q;
}

}  // namespace

Quantiles quantiles_of_sample(std::span<double> samples) {
  if (samples.size() < kSortBelow) {
    std::sort(samples.begin(), samples.end());
    return of_sorted(samples);
  }
  double low = samples[0];
  double high = samples[0];
  for (const double value : samples) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  const double per_unit = (kBuckets - 1) / (high - low);
  if (!(high > low) || !std::isfinite(per_unit) || per_unit == 0) {
    std::sort(samples.begin(), samples.end());
    return of_sorted(samples);
  }
  // Bucket by bucket, as in one pass of a radix sort.
  std::array<std::uint32_t, kBuckets + 1> first{};
  std::vector<std::uint8_t> bucket_of(samples.size());
  std::vector<double> arranged(samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    bucket_of[i] = static_cast<std::uint8_t>(static_cast<int>((samples[i] - low) * per_unit));
    ++first[bucket_of[i] + 1U];
  }
  for (std::size_t b = 0; b < kBuckets; ++b) first[b + 1] += first[b];
  std::array<std::uint32_t, kBuckets> next;
  std::copy(first.begin(), first.end() - 1, next.begin());
  for (std::size_t i = 0; i < samples.size(); ++i) arranged[next[bucket_of[i]]++] = samples[i];
  std::array<bool, kBuckets> sorted{};
  const auto sort_bucket_at = [&](std::size_t position) {
    const auto bucket =
        static_cast<std::size_t>(std::upper_bound(first.begin(), first.end(), position) - first.begin()) - 1;
    if (sorted[bucket]) return;
    sorted[bucket] = true;
    std::sort(arranged.begin() + first[bucket], arranged.begin() + first[bucket + 1]);
  };
  for (const double level : kQuantileLevels) {
    const auto below = static_cast<std::size_t>(level * static_cast<double>(samples.size() - 1));
    sort_bucket_at(below);
    sort_bucket_at(std::min(below + 1, samples.size() - 1));
  }
  return of_sorted(arranged);
}

}  // namespace proteus::forecast
