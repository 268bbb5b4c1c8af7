#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "controller/forecast/asinh_scale.h"
#include "controller/forecast/global/autoregression.h"
#include "controller/forecast/global/features.h"

namespace proteus::forecast::global {

/// For each of values[first …] and of the kHorizon steps after the newest: the mean over up to seven days before of the
/// same time of day ±1 step. first: more than a day.
std::vector<float> daily_profile(std::span<const float> values, std::size_t first);

/// A window's history on its asinh scale, with the simple forecasts made of it: what the features are read from.
/// Steps are named by their distance from the first step to be forecast: z(−1) is the newest value.
class HistoryView {
 public:
  /// values: at least kHistoryMin, finite.
  explicit HistoryView(std::span<const double> values);

  const AsinhScale& scale() const { return scale_; }
  std::size_t size() const { return z_.size(); }
  /// The newest n values (fewer if there are no more), oldest first.
  std::span<const float> newest(std::size_t n) const;
  float back(std::size_t age) const { return z_[z_.size() - age]; }  ///< age 1: the newest
  /// Whole days of history, up to seven.
  std::size_t days() const { return days_; }

  /// Mean over the days before of the same time of day ±1 step; for steps that have passed and those to come.
  /// at: 0 is the first step to be forecast.
  float profile(std::ptrdiff_t at) const { return profile_[static_cast<std::size_t>(at + profile_begin_)]; }

  /// Plain, and after the daily profile's share has been taken out; both h steps ahead, [h − 1].
  const ArForecast& plain() const { return plain_; }
  const ArForecast& seasonal() const { return seasonal_; }
  float seasonal_path(std::size_t h) const { return seasonal_path_[h - 1]; }
  const std::vector<float>& seasonal_path() const { return seasonal_path_; }  ///< [h − 1]
  float seasonal_share() const { return seasonal_share_; }
  /// What seasonal() was fitted on: the newest values without the profile's share, oldest first.
  std::span<const float> without_profile() const { return without_profile_; }

  /// Quantiles of the newest day and of the newest week.
  const Levels& day_quantiles() const { return day_quantiles_; }
  const Levels& week_quantiles() const { return week_quantiles_; }
  /// Of the steps of the newest day that share step h's place within the hour.
  const Levels& hour_quantiles(std::size_t h) const { return hour_quantiles_[(h - 1) % kHour]; }
  /// Of the days before, at the time of day of the block of steps that h is in, and a step to either side.
  const Levels& time_quantiles(std::size_t h) const { return time_quantiles_[(h - 1) / kTimeBlock]; }

 private:
  static constexpr std::size_t kTimeBlock = 4;

  void learn_profile();
  void learn_quantiles();

  AsinhScale scale_;
  std::vector<float> z_;
  std::size_t days_ = 0;
  std::vector<float> profile_;
  std::ptrdiff_t profile_begin_ = 0;
  float seasonal_share_ = 0;
  std::vector<float> without_profile_;
  ArForecast plain_;
  ArForecast seasonal_;
  std::vector<float> seasonal_path_;
  Levels day_quantiles_{};
  Levels week_quantiles_{};
  std::array<Levels, kHour> hour_quantiles_{};
  std::array<Levels, kHorizon / kTimeBlock> time_quantiles_{};
};

}  // namespace proteus::forecast::global
