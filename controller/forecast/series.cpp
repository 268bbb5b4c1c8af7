#include "controller/forecast/series.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "controller/forecast/error_table.h"
#include "controller/forecast/holt_damped.h"
#include "controller/forecast/naive.h"
#include "controller/forecast/seasonal_naive.h"

namespace proteus::forecast {
namespace {

/// Models by preference while none has been scored.
enum : std::size_t { kHolt, kSeasonal, kNaive };

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
/// A model must have been scored so often before it may take over, or be set aside.
constexpr std::int64_t kScoredMin = 30;
/// It takes over when its loss is below this share of the chosen one's; it is set aside above that share of
/// the baseline's.
constexpr double kTakeOver = 0.95;
constexpr double kSetAside = 1.05;
/// The history of a young series changes quickly: it is refitted each time that it has grown by this share.
constexpr std::int64_t kYoungGrowth = 4;
constexpr double kStaleFactorMax = 4;

}  // namespace

Series::Series(const EngineOptions& options, Resource resource, std::uint64_t phase)
    : options_(options), resource_(resource), phase_(phase) {
  reset();
}

void Series::reset() {
  const auto season_steps = static_cast<int>(std::max<std::int64_t>(1, options_.season / options_.step));
  candidates_.clear();
  candidates_.emplace_back(std::make_unique<HoltDamped>(options_.horizon_steps), options_.horizon_steps);
  candidates_.emplace_back(std::make_unique<SeasonalNaive>(season_steps, options_.horizon_steps),
                           options_.horizon_steps);
  candidates_.emplace_back(std::make_unique<Naive>(options_.horizon_steps), options_.horizon_steps);
  better_steps_.assign(candidates_.size(), 0);
  worse_steps_.assign(candidates_.size(), 0);
  baseline_ = kNaive;
  chosen_ = kNone;
  values_.clear();
  closed_steps_ = 0;
  known_steps_ = 0;
  highest_known_ = 0;
}

bool Series::observe(Timestamp time, double value) {
  if (!std::isfinite(value)) return false;
  value = std::max(0.0, value);
  const std::int64_t step = to_unix_ns(time) / options_.step.count();
  if (open_count_ > 0 && step < open_step_) return false;
  bool closed = false;
  if (open_count_ > 0 && step > open_step_) {
    const std::int64_t missing = step - open_step_ - 1;
    close_step(resource_ == Resource::kMemory ? open_value_ : open_value_ / open_count_, missing == 0);
    // After so long a silence the past says nothing about the phase that the series is in.
    if (missing > std::min<std::int64_t>(options_.season / options_.step, options_.history_steps)) {
      reset();
    } else {
      for (std::int64_t i = 1; i <= missing; ++i) {
        ++open_step_;
        close_step(kMissing, i == missing);
      }
    }
    closed = true;
    open_count_ = 0;
  }
  if (open_count_ == 0) open_value_ = 0;
  open_step_ = step;
  ++open_count_;
  open_value_ = resource_ == Resource::kMemory ? std::max(open_value_, value) : open_value_ + value;
  return closed;
}

void Series::close_step(double value, bool predict) {
  // The front is cut off rarely, in one piece.
  const auto kept = static_cast<std::size_t>(options_.history_steps);
  if (values_.size() >= kept + kept / 4 + 1) {
    values_.erase(values_.begin(), values_.end() - static_cast<std::ptrdiff_t>(kept - 1));
  }
  values_.push_back(value);
  ++closed_steps_;
  if (std::isfinite(value)) {
    ++known_steps_;
    newest_known_ = value;
    highest_known_ = std::max(highest_known_, value);
  }
  const double window_max = newest_window_max();
  const Candidate::LossCaps caps = candidates_[kNaive].loss_caps();
  for (Candidate& candidate : candidates_) candidate.close(value, window_max, caps);
  if (!predict || known_steps_ < options_.min_history_steps) {
    for (Candidate& candidate : candidates_) {
      candidate.update(value);
      candidate.skip();
    }
    return;
  }
  if (refit_due()) {
    History past = history();
    past.end = Timestamp{(open_step_ + 1) * options_.step};
    for (Candidate& candidate : candidates_) candidate.refit(past);
  } else {
    for (Candidate& candidate : candidates_) candidate.update(value);
  }
  for (Candidate& candidate : candidates_) candidate.predict();
  choose();
}

bool Series::refit_due() const {
  if (chosen_ == kNone) return true;
  const std::int64_t every =
      std::clamp<std::int64_t>(known_steps_ / kYoungGrowth, 2, std::max(2, options_.refit_every_steps));
  return (static_cast<std::uint64_t>(closed_steps_) + phase_) % static_cast<std::uint64_t>(every) == 0;
}

double Series::newest_window_max() const {
  const auto count = static_cast<std::size_t>(options_.horizon_steps);
  if (values_.size() < count) return kMissing;
  double highest = 0;
  std::size_t known = 0;
  for (auto value = values_.end() - static_cast<std::ptrdiff_t>(count); value != values_.end(); ++value) {
    if (!std::isfinite(*value)) continue;
    highest = std::max(highest, *value);
    ++known;
  }
  return 2 * known > count ? highest : kMissing;
}

bool Series::set_aside(std::size_t i) const {
  return !candidates_[i].able() || worse_steps_[i] >= options_.horizon_steps;
}

void Series::choose() {
  const auto scored = [this](std::size_t i) {
    return candidates_[i].able() && candidates_[i].scored_steps() >= kScoredMin;
  };
  baseline_ = scored(kSeasonal) ? kSeasonal : kNaive;
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    const bool worse = i != baseline_ && scored(i) && scored(baseline_) &&
                       candidates_[i].loss_relative_to(candidates_[baseline_]) > kSetAside;
    worse_steps_[i] = worse ? worse_steps_[i] + 1 : 0;
  }
  if (chosen_ == kNone || set_aside(chosen_)) {
    chosen_ = kNone;
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      if (set_aside(i)) continue;
      if (chosen_ == kNone || (scored(i) && candidates_[i].loss_relative_to(candidates_[chosen_]) < 1)) chosen_ = i;
    }
    better_steps_.assign(candidates_.size(), 0);
    return;
  }
  // One surprise is in the scores of a whole horizon of forecasts; a model must stay better for as long.
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    const bool better =
        i != chosen_ && !set_aside(i) && scored(i) && candidates_[i].loss_relative_to(candidates_[chosen_]) < kTakeOver;
    better_steps_[i] = better ? better_steps_[i] + 1 : 0;
  }
  const auto longest = std::max_element(better_steps_.begin(), better_steps_.end());
  if (*longest >= options_.horizon_steps) {
    chosen_ = static_cast<std::size_t>(longest - better_steps_.begin());
    better_steps_.assign(candidates_.size(), 0);
  }
}

Timestamp Series::end() const {
  return Timestamp{open_step_ * options_.step};
}

Forecast Series::cold_start() const {
  double now = newest_known_;
  if (known_steps_ == 0 && open_count_ > 0) {
    now = resource_ == Resource::kMemory ? open_value_ : open_value_ / open_count_;
  }
  const double p90 = std::max(1.5 * now, highest_known_);
  Forecast forecast{.made_at = end(), .step = options_.step, .steps = {}, .window_max = {}, .model = kColdStart};
  forecast.window_max = {now, p90, std::max(2 * now, p90)};
  forecast.steps.assign(static_cast<std::size_t>(options_.horizon_steps), forecast.window_max);
  return forecast;
}

Forecast Series::forecast(Timestamp now) const {
  const std::int64_t unseen = std::max<std::int64_t>(0, (now - end()) / options_.step);
  const bool stale = now - end() > 2 * options_.step;
  const bool able = chosen_ != kNone && candidates_[chosen_].able();
  Forecast forecast = able ? candidates_[chosen_].forecast() : cold_start();
  if (!stale) return forecast;

  const int horizon = options_.horizon_steps;
  const auto steps = static_cast<int>(std::min<std::int64_t>(horizon + unseen, std::min(4 * horizon, 1440)));
  if (able) {
    if (Result<Forecast> longer = candidates_[chosen_].forecast(steps)) forecast = std::move(*longer);
  } else {
    forecast.steps.resize(static_cast<std::size_t>(steps), forecast.steps.back());
  }
  const double factor = std::min(kStaleFactorMax, 1 + static_cast<double>(unseen) / horizon);
  const auto widen = [factor](Quantiles& q) {
    q = tidy({q.p50, q.p50 + factor * (q.p90 - q.p50), q.p50 + factor * (q.p99 - q.p50)});
  };
  for (Quantiles& q : forecast.steps) widen(q);
  widen(forecast.window_max);
  forecast.stale = true;
  return forecast;
}

History Series::history() const {
  const std::size_t count = std::min(values_.size(), static_cast<std::size_t>(options_.history_steps));
  return {end(), options_.step, {values_.end() - static_cast<std::ptrdiff_t>(count), values_.end()}};
}

std::vector<Accuracy> Series::accuracy() const {
  std::vector<Accuracy> rows;
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    const Candidate& candidate = candidates_[i];
    Accuracy row{.model = candidate.name(),
                 .pinball_loss = candidate.loss(),
                 .coverage_p90 = candidate.coverage_p90(),
                 .scored_steps = candidate.scored_steps(),
                 .chosen = i == chosen_,
                 .set_aside = set_aside(i),
                 .reason = {}};
    if (!candidate.able()) {
      row.reason = candidate.failure();
    } else if (row.set_aside) {
      row.reason = "worse than " + candidates_[baseline_].name() + " lately";
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace proteus::forecast
