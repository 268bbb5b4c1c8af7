#include "controller/forecast/global/history_view.h"

#include <algorithm>
#include <cmath>

#include "controller/forecast/sample_quantiles.h"

namespace proteus::forecast::global {

namespace {

constexpr std::size_t kDaysMax = 7;

}  // namespace

HistoryView::HistoryView(std::span<const double> values) {
  const auto seen = values.last(std::min(values.size(), kHistoryMax));
  scale_ = AsinhScale::of(seen, kWeek);
  for (const double value : seen) z_.push_back(static_cast<float>(scale_.to_z(value)));
  days_ = std::min(z_.size() / kDay, kDaysMax);
  plain_ = autoregress(newest(kWeek), kHorizon);
  learn_profile();
  learn_quantiles();
}

std::span<const float> HistoryView::newest(std::size_t n) const {
  return std::span<const float>(z_).last(std::min(n, z_.size()));
}

std::vector<float> daily_profile(std::span<const float> values, std::size_t first) {
  const std::size_t count = values.size();
  std::vector<float> profile(count - first + kHorizon, 0.0F);
  std::vector<float> days_seen(profile.size(), 0.0F);
  for (std::size_t day = 1; day <= kDaysMax; ++day) {
    for (std::size_t i = 0; i < profile.size(); ++i) {
      const std::size_t target = first + i;
      if (target < day * kDay + 1) continue;
      const std::size_t at = target - day * kDay;
      profile[i] += values[at - 1] + values[std::min(at, count - 1)] + values[std::min(at + 1, count - 1)];
      days_seen[i] += 3;
    }
  }
  for (std::size_t i = 0; i < profile.size(); ++i) profile[i] /= days_seen[i];
  return profile;
}

void HistoryView::learn_profile() {
  const std::size_t count = z_.size();
  const std::size_t first = std::max(kDay + 1, count - std::min(count, kWeek));  // has a day before it
  profile_begin_ = static_cast<std::ptrdiff_t>(count) - static_cast<std::ptrdiff_t>(first);
  profile_ = daily_profile(z_, first);
  const std::span<const float> past = std::span<const float>(z_).subspan(first);
  const std::span<const float> fitted = std::span<const float>(profile_).first(past.size());
  const float past_mean = mean(past);
  const float fitted_mean = mean(fitted);
  std::vector<float> a(past.size());
  std::vector<float> b(past.size());
  for (std::size_t i = 0; i < past.size(); ++i) {
    a[i] = past[i] - past_mean;
    b[i] = fitted[i] - fitted_mean;
  }
  const float variance = dot(b, b);
  seasonal_share_ = variance > 1e-6F ? std::clamp(dot(a, b) / variance, 0.0F, 1.0F) : 0.0F;
  for (std::size_t i = 0; i < past.size(); ++i) a[i] = past[i] - seasonal_share_ * fitted[i];
  seasonal_ = autoregress(a, kHorizon);
  without_profile_ = std::move(a);
  for (std::size_t h = 1; h <= kHorizon; ++h) {
    seasonal_path_.push_back(seasonal_.path[h - 1] + seasonal_share_ * profile(static_cast<std::ptrdiff_t>(h) - 1));
  }
}

void HistoryView::learn_quantiles() {
  const std::size_t count = z_.size();
  day_quantiles_ = levels_of_sample<float>(newest(kDay));
  week_quantiles_ = levels_of_sample<float>(newest(kWeek));
  std::vector<float> sample;
  for (std::size_t place = 0; place < kHour; ++place) {
    sample.clear();
    for (std::size_t at = count + place - kHour; at >= count - kDay; at -= kHour) sample.push_back(z_[at]);
    std::sort(sample.begin(), sample.end());
    hour_quantiles_[place] = levels_of_sorted<float>(sample);
  }
  for (std::size_t block = 0; block < time_quantiles_.size(); ++block) {
    sample.clear();
    for (std::size_t day = 1; day <= days_; ++day) {
      const std::size_t first = count + kTimeBlock * block - day * kDay;
      const std::size_t from = first - std::min<std::size_t>(first, 1);
      for (std::size_t at = from; at <= std::min(first + kTimeBlock, count - 1); ++at) {
        sample.push_back(z_[at]);
      }
    }
    std::sort(sample.begin(), sample.end());
    time_quantiles_[block] = levels_of_sorted<float>(sample);
  }
}

}  // namespace proteus::forecast::global
