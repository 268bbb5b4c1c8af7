#include "controller/forecast/global/samples.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace proteus::forecast::global {

namespace {

constexpr std::size_t kLanes = 8;

template <class Term>
float sum_of(std::size_t count, const Term& term) {
  std::array<float, kLanes> lanes{};
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
  }
  float rest = 0;
  for (; i < count; ++i) rest += term(i);
  return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7])) + rest;
}

/// Where level k lies among n values in ascending order.
struct Position {
  std::size_t below;
  float share;  ///< of the way to the next
};

Position position(std::size_t k, std::size_t n) {
  const double exact = kLevels[k] * static_cast<double>(n - 1);
  const auto below = static_cast<std::size_t>(exact);
  return {below, static_cast<float>(exact - static_cast<double>(below))};
}

Levels filled(float value) {
  Levels result;
  result.fill(value);
  return result;
}

std::pair<float, float> extremes(std::span<const float> values) {
  std::array<float, kLanes> low;
  std::array<float, kLanes> high;
  low.fill(values[0]);
  high.fill(values[0]);
  std::size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const float v = values[i + lane];
      low[lane] = v < low[lane] ? v : low[lane];
      high[lane] = v > high[lane] ? v : high[lane];
    }
  }
  for (; i < values.size(); ++i) {
    low[0] = std::min(low[0], values[i]);
    high[0] = std::max(high[0], values[i]);
  }
  return {*std::min_element(low.begin(), low.end()), *std::max_element(high.begin(), high.end())};
}

}  // namespace

Levels quantiles(std::span<const float> sample) {
  // Counts by bucket first: only the buckets that hold a wanted order statistic need sorting.
  constexpr std::size_t kBuckets = 512;
  const auto [low, high] = extremes(sample);
  if (!(high > low)) return filled(low);
  const float scale = static_cast<float>(kBuckets - 1) / (high - low);
  std::vector<std::uint16_t> bucket(sample.size());
  std::array<std::size_t, kBuckets> counts{};
  for (std::size_t i = 0; i < sample.size(); ++i) {
    bucket[i] = static_cast<std::uint16_t>(std::min(scale * (sample[i] - low), static_cast<float>(kBuckets - 1)));
  }
  for (const std::uint16_t b : bucket) ++counts[b];

  std::array<bool, kBuckets> wanted{};
  std::array<std::size_t, kLevels.size()> skipped{};  // values in unwanted buckets below each level's position
  std::size_t before = 0;
  std::size_t skip = 0;
  std::size_t k = 0;
  for (std::size_t b = 0; b < kBuckets && k < kLevels.size(); ++b) {
    const std::size_t end = before + counts[b];
    while (k < kLevels.size() && position(k, sample.size()).below < end) {
      skipped[k] = skip;
      wanted[b] = true;
      if (position(k, sample.size()).below + 1 >= end) {  // its upper neighbour is in the next bucket with a value
        std::size_t next = b + 1;
        while (next < kBuckets && counts[next] == 0) ++next;
        if (next < kBuckets) wanted[next] = true;
      }
      ++k;
    }
    if (!wanted[b]) skip += counts[b];
    before = end;
  }
  std::vector<float> kept;
  for (std::size_t i = 0; i < sample.size(); ++i) {
    if (wanted[bucket[i]]) kept.push_back(sample[i]);
  }
  std::sort(kept.begin(), kept.end());
  Levels result{};
  for (k = 0; k < kLevels.size(); ++k) {
    const auto [below, share] = position(k, sample.size());
    const std::size_t at = below - skipped[k];
    const float above = at + 1 < kept.size() ? kept[at + 1] : kept[at];
    result[k] = kept[at] + share * (above - kept[at]);
  }
  return result;
}

Levels quantiles_of_sorted(std::span<const float> sorted) {
  Levels result{};
  for (std::size_t k = 0; k < kLevels.size(); ++k) {
    const auto [below, share] = position(k, sorted.size());
    const float above = below + 1 < sorted.size() ? sorted[below + 1] : sorted[below];
    result[k] = sorted[below] + share * (above - sorted[below]);
  }
  return result;
}

float dot(std::span<const float> a, std::span<const float> b) {
  return sum_of(a.size(), [&](std::size_t i) { return a[i] * b[i]; });
}

float mean(std::span<const float> values) {
  if (values.empty()) return 0;
  return sum_of(values.size(), [&](std::size_t i) { return values[i]; }) / static_cast<float>(values.size());
}

float standard_deviation(std::span<const float> values) {
  if (values.empty()) return 0;
  const float centre = mean(values);
  const float squares =
      sum_of(values.size(), [&](std::size_t i) { return (values[i] - centre) * (values[i] - centre); });
  return std::sqrt(squares / static_cast<float>(values.size()));
}

}  // namespace proteus::forecast::global
