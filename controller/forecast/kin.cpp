#include "controller/forecast/kin.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

namespace proteus::forecast {
namespace {

constexpr std::size_t kSamplesMax = 2048;
constexpr std::size_t kSamplesMin = 100;
constexpr std::size_t kSeriesMin = 5;
constexpr std::size_t kBuckets = 4;

/// Below it, the scale of a resource is linear: what hardly matters. Cores, bytes, bytes/s, bytes/s.
double unit_of(Resource resource) {
  switch (resource) {
    case Resource::kCpu: return 0.05;
    case Resource::kMemory: return 64.0 * 1024 * 1024;
    case Resource::kBlockIo: return 64.0 * 1024;
    case Resource::kNetwork: return 16.0 * 1024;
  }
  return 1;
}

int knot(std::size_t k, int horizon_steps) {
  const std::array<int, KinSample::kKnots> knots = {1, std::max(1, horizon_steps / 4), std::max(1, horizon_steps / 2),
                                                    horizon_steps};
  return knots[k];
}

/// Mean of the last `count` finite values; nullopt if there is none.
std::optional<double> level_of(std::span<const double> values, int count) {
  double sum = 0;
  int seen = 0;
  for (auto value = values.rbegin(); value != values.rend() && seen < count; ++value) {
    if (!std::isfinite(*value)) continue;
    sum += *value;
    ++seen;
  }
  return seen > 0 ? std::optional(sum / seen) : std::nullopt;
}

Quantiles quantiles_of(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double level) {
    const auto rank = static_cast<std::size_t>(std::ceil(level * static_cast<double>(values.size() + 1)));
    return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
  };
  Quantiles q;
  for (std::size_t i = 0; i < kQuantileLevels.size(); ++i) q.*kQuantileMembers[i] = at(kQuantileLevels[i]);
  return q;
}

Quantiles between(const Quantiles& a, const Quantiles& b, double share) {
  Quantiles q;
  for (const auto member : kQuantileMembers) q.*member = a.*member + share * (b.*member - a.*member);
  return q;
}

}  // namespace

void append_kin_samples(std::span<const double> values, int horizon_steps, std::uint64_t series, Resource resource,
                        std::vector<KinSample>& samples) {
  const auto horizon = static_cast<std::size_t>(horizon_steps);
  if (values.size() < horizon + kKinLevelSteps) return;
  const std::span<const double> before = values.first(values.size() - horizon);
  const std::span<const double> after = values.last(horizon);
  if (!std::isfinite(before.back())) return;
  const double unit = unit_of(resource);
  double highest = -1;
  std::size_t known = 0;
  for (const double value : after) {
    if (!std::isfinite(value)) continue;
    highest = std::max(highest, value);
    ++known;
  }
  if (2 * known < horizon) return;
  for (const bool one_step : {true, false}) {
    const std::optional<double> level = level_of(before, one_step ? 1 : kKinLevelSteps);
    KinSample sample{.series = series, .resource = resource, .one_step = one_step};
    sample.level = std::asinh(*level / unit);
    for (std::size_t k = 0; k < KinSample::kKnots; ++k) {
      const double value = after[static_cast<std::size_t>(knot(k, horizon_steps)) - 1];
      if (!std::isfinite(value)) return;
      sample.rise[k] = std::asinh(value / unit) - sample.level;
    }
    sample.window_rise = std::asinh(highest / unit) - sample.level;
    samples.push_back(sample);
  }
}

const KinTable::Kind& KinTable::kind(Resource resource, bool one_step) const {
  return kinds_[static_cast<std::size_t>(resource)][one_step ? 0 : 1];
}

void KinTable::add(std::span<const KinSample> samples) {
  std::set<Kind*> touched;
  for (const KinSample& sample : samples) {
    Kind& kind = kinds_[static_cast<std::size_t>(sample.resource)][sample.one_step ? 0 : 1];
    if (kind.samples.size() < kSamplesMax) {
      kind.samples.push_back(sample);
    } else {
      kind.samples[kind.next] = sample;
      kind.next = (kind.next + 1) % kSamplesMax;
    }
    touched.insert(&kind);
  }
  for (Kind* kind : touched) rebuild(*kind);
}

void KinTable::rebuild(Kind& kind) const {
  kind.buckets.clear();
  std::set<std::uint64_t> series;
  for (const KinSample& sample : kind.samples) series.insert(sample.series);
  if (kind.samples.size() < kSamplesMin || series.size() < kSeriesMin) return;
  std::vector<const KinSample*> by_level;
  for (const KinSample& sample : kind.samples) by_level.push_back(&sample);
  std::stable_sort(by_level.begin(), by_level.end(),
                   [](const KinSample* a, const KinSample* b) { return a->level < b->level; });
  for (std::size_t b = 0; b < kBuckets; ++b) {
    const std::size_t from = b * by_level.size() / kBuckets;
    const std::size_t to = (b + 1) * by_level.size() / kBuckets;
    Bucket bucket;
    bucket.level_max = by_level[to - 1]->level;
    std::vector<double> values;
    const auto quantiles = [&](const auto& get) {
      values.clear();
      for (std::size_t i = from; i < to; ++i) values.push_back(get(*by_level[i]));
      return quantiles_of(values);
    };
    for (std::size_t k = 0; k < KinSample::kKnots; ++k) {
      bucket.rise[k] = quantiles([k](const KinSample& sample) { return sample.rise[k]; });
    }
    bucket.window_rise = quantiles([](const KinSample& sample) { return sample.window_rise; });
    kind.buckets.push_back(bucket);
  }
}

bool KinTable::usable(Resource resource) const {
  return !kind(resource, true).buckets.empty() && !kind(resource, false).buckets.empty();
}

void KinTable::forecast(Resource resource, std::span<const double> values, Forecast& forecast) const {
  const auto known = std::count_if(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
  const bool one_step = known < kKinLevelSteps / 2;
  const double unit = unit_of(resource);
  const double level = std::asinh(level_of(values, one_step ? 1 : kKinLevelSteps).value_or(0) / unit);
  const std::vector<Bucket>& buckets = kind(resource, one_step).buckets;
  const auto found =
      std::find_if(buckets.begin(), buckets.end(), [&](const Bucket& b) { return level <= b.level_max; });
  const Bucket& bucket = found == buckets.end() ? buckets.back() : *found;
  const auto from = [&](const Quantiles& rise) {
    Quantiles q;
    for (const auto member : kQuantileMembers) q.*member = unit * std::sinh(level + rise.*member);
    return tidy(q);
  };
  forecast.steps.clear();
  std::size_t right = 1;
  for (int h = 1; h <= horizon_steps_; ++h) {
    while (right + 1 < KinSample::kKnots && knot(right, horizon_steps_) < h) ++right;
    const int a = knot(right - 1, horizon_steps_);
    const int b = knot(right, horizon_steps_);
    const double share = a == b ? 1 : std::clamp(static_cast<double>(h - a) / (b - a), 0.0, 1.0);
    forecast.steps.push_back(from(between(bucket.rise[right - 1], bucket.rise[right], share)));
  }
  forecast.window_max = from(bucket.window_rise);
  raise_to_steps(forecast);
}

}  // namespace proteus::forecast
