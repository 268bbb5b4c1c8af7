#include "controller/forecast/sample_quantiles.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace proteus::forecast {
namespace {

template <typename Number>
using LevelsOf = std::array<Number, kQuantileLevels.size()>;

/// Fewer are simply sorted.
constexpr std::size_t kSortBelow = 64;
constexpr std::size_t kBuckets = 512;
/// The buckets divide the range of so many values picked evenly, the outermost of them aside: outliers, which would
/// leave all others in one bucket, go into the first and the last.
constexpr std::size_t kPicked = 32;

/// Where level k lies among n values in ascending order.
struct Position {
  std::size_t below;
  double share;  ///< of the way to the next
};

Position position(std::size_t k, std::size_t n) {
  const double exact = kQuantileLevels[k] * static_cast<double>(n - 1);
  const auto below = static_cast<std::size_t>(exact);
  return {below, exact - static_cast<double>(below)};
}

template <typename Number>
std::pair<Number, Number> usual_range(std::span<const Number> sample) {
  std::array<Number, kPicked> picked;
  for (std::size_t i = 0; i < kPicked; ++i) picked[i] = sample[i * sample.size() / kPicked];
  std::sort(picked.begin(), picked.end());
  if (picked[1] < picked[kPicked - 2]) return {picked[1], picked[kPicked - 2]};
  const auto [low, high] = std::minmax_element(sample.begin(), sample.end());
  return {*low, *high};
}

}  // namespace

template <typename Number>
LevelsOf<Number> levels_of_sorted(std::span<const Number> sorted) {
  LevelsOf<Number> levels;
  for (std::size_t k = 0; k < levels.size(); ++k) {
    const auto [below, share] = position(k, sorted.size());
    const Number above = below + 1 < sorted.size() ? sorted[below + 1] : sorted[below];
    levels[k] = sorted[below] + static_cast<Number>(share) * (above - sorted[below]);
  }
  return levels;
}

template <typename Number>
LevelsOf<Number> levels_of_sample(std::span<const Number> sample) {
  const auto by_sorting = [&] {
    std::vector<Number> sorted(sample.begin(), sample.end());
    std::sort(sorted.begin(), sorted.end());
    return levels_of_sorted<Number>(sorted);
  };
  const std::size_t n = sample.size();
  if (n < kSortBelow) return by_sorting();
  const auto [low, high] = usual_range(sample);
  const Number per_unit = static_cast<Number>(kBuckets - 2) / (high - low);
  if (!(high > low) || !std::isfinite(per_unit) || per_unit == 0) return by_sorting();
  std::vector<std::int32_t> bucket(n);
  constexpr auto kLast = static_cast<Number>(kBuckets - 1);
  for (std::size_t i = 0; i < n; ++i) {
    Number at = (sample[i] - low) * per_unit + 1;
    at = at > 0 ? at : 0;
    bucket[i] = static_cast<std::int32_t>(at < kLast ? at : kLast);
  }
  std::array<std::uint32_t, kBuckets> counts{};
  for (const std::int32_t b : bucket) ++counts[static_cast<std::size_t>(b)];

  // Which buckets hold a level's neighbours, and how many values lie below in those that hold none.
  std::array<bool, kBuckets> wanted{};
  std::array<std::size_t, kQuantileLevels.size()> skipped{};
  std::size_t before = 0;
  std::size_t skip = 0;
  std::size_t k = 0;
  for (std::size_t b = 0; b < kBuckets && k < skipped.size(); ++b) {
    const std::size_t end = before + counts[b];
    while (k < skipped.size() && position(k, n).below < end) {
      skipped[k] = skip;
      wanted[b] = true;
      if (position(k, n).below + 1 >= end) {  // its upper neighbour is in the next bucket with a value
        std::size_t next = b + 1;
        while (next < kBuckets && counts[next] == 0) ++next;
        if (next < kBuckets) wanted[next] = true;
      }
      ++k;
    }
    if (!wanted[b]) skip += counts[b];
    before = end;
  }
  std::vector<Number> kept(n);
  std::size_t count = 0;
  for (std::size_t i = 0; i < n; ++i) {
    kept[count] = sample[i];
    count += wanted[static_cast<std::size_t>(bucket[i])] ? 1 : 0;
  }
  kept.resize(count);
  std::sort(kept.begin(), kept.end());
  LevelsOf<Number> levels;
  for (k = 0; k < levels.size(); ++k) {
    const auto [below, share] = position(k, n);
    const std::size_t at = below - skipped[k];
    const Number above = at + 1 < kept.size() ? kept[at + 1] : kept[at];
    levels[k] = kept[at] + static_cast<Number>(share) * (above - kept[at]);
  }
  return levels;
}

template LevelsOf<float> levels_of_sorted(std::span<const float>);
template LevelsOf<float> levels_of_sample(std::span<const float>);
template LevelsOf<double> levels_of_sorted(std::span<const double>);
template LevelsOf<double> levels_of_sample(std::span<const double>);

Quantiles quantiles_of_sample(std::span<const double> sample) {
  const LevelsOf<double> levels = levels_of_sample(sample);
  Quantiles q;
  for (std::size_t k = 0; k < levels.size(); ++k) q.*kQuantileMembers[k] = levels[k];
  return q;
}

}  // namespace proteus::forecast
