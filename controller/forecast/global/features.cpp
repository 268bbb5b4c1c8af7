#include "controller/forecast/global/features.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>
#include <string>

#include "controller/forecast/global/history_view.h"
#include "controller/forecast/global/max_features.h"
#include "controller/forecast/global/signal_features.h"
#include "controller/forecast/sample_quantiles.h"

namespace proteus::forecast::global {

namespace {

constexpr float kSpreadMin = 2e-3F;

float squash(float value) {
  return std::asinh(value);
}

float log_of(float value) {
  return std::log(std::max(value, 0.0F) + 1e-4F);
}

float spread_of(const HistoryView& view, std::size_t h) {
  const Levels& errors = view.seasonal().errors[h - 1];
  return std::max(errors[2] - errors[0], kSpreadMin);
}

float largest(std::span<const float> values) {
  return *std::max_element(values.begin(), values.end());
}
float smallest(std::span<const float> values) {
  return *std::min_element(values.begin(), values.end());
}

/// Mean absolute difference at a lag over the newest `count` steps.
float difference(const HistoryView& view, std::size_t lag, std::size_t count) {
  count = std::min(count, view.size() - lag);
  float sum = 0;
  for (std::size_t age = 1; age <= count; ++age) sum += std::abs(view.back(age) - view.back(age + lag));
  return sum / static_cast<float>(count);
}

float mean_size(std::span<const float> values) {
  float sum = 0;
  for (const float value : values) sum += std::abs(value);
  return sum / static_cast<float>(values.size());
}

/// Shares of the newest week: steps that repeat the one before, steps at the newest value, steps at zero.
struct Repeats {
  float still, newest, zero;
};

Repeats repeats(std::span<const double> values) {
  std::array<std::size_t, 3> counts{};
  for (std::size_t i = 0; i < values.size(); ++i) {
    counts[0] += i > 0 && values[i] == values[i - 1] ? 1 : 0;
    counts[1] += values[i] == values.back() ? 1 : 0;
    counts[2] += values[i] == 0 ? 1 : 0;
  }
  const auto count = static_cast<float>(values.size());
  return {static_cast<float>(counts[0]) / count, static_cast<float>(counts[1]) / count,
          static_cast<float>(counts[2]) / count};
}

void put_level(const HistoryView& view, std::vector<float>& out) {
  out.push_back(view.back(1));
  for (const std::size_t n : {3, 6, 12, 36, 144, 288, 2016}) out.push_back(mean(view.newest(n)));
  for (const std::size_t n : {12, 72, 288}) out.push_back(standard_deviation(view.newest(n)));
  for (const std::size_t n : {12, 72, 288, 2016}) out.push_back(largest(view.newest(n)));
  for (const std::size_t n : {12, 288, 2016}) out.push_back(smallest(view.newest(n)));
  out.push_back(mean(view.newest(6)) - mean(view.newest(12).first(6)));
  out.push_back(mean(view.newest(36)) - mean(view.newest(72).first(36)));
  for (const float q : view.day_quantiles()) out.push_back(q);
  for (const float q : view.week_quantiles()) out.push_back(q);
}

void put_character(const HistoryView& view, std::span<const double> values, std::vector<float>& out) {
  const float near = spread_of(view, 1);
  out.push_back(squash((view.back(1) - view.back(2)) / near));
  out.push_back(squash((view.back(2) - view.back(3)) / near));
  out.push_back(squash((view.back(1) - mean(view.newest(12))) / near));
  out.push_back(squash((view.back(1) - view.plain().path[0]) / near));
  for (const std::size_t h : {1, 12, 288}) {
    out.push_back(log_of(view.plain().errors[h - 1][2] - view.plain().errors[h - 1][0]));
    out.push_back(log_of(view.seasonal().errors[h - 1][2] - view.seasonal().errors[h - 1][0]));
  }
  const float step_day = difference(view, 1, kDay);
  const float step_week = difference(view, 1, kWeek);
  const float daily = difference(view, kDay, kDay);
  const float daily_week = difference(view, kDay, kWeek);
  for (const float d : {step_day, step_week, daily, daily_week}) out.push_back(log_of(d));
  const std::span<const float> surprises = view.seasonal().surprises;
  const float usual = mean_size(surprises);
  out.push_back(log_of(mean_size(surprises.last(12))) - log_of(usual));
  // Of exactly two days of history there is one less.
  out.push_back(log_of(mean_size(surprises.last(std::min(kDay, surprises.size())))) - log_of(usual));
  out.push_back(view.seasonal_share());
  out.push_back(view.plain().persistence);
  out.push_back(view.seasonal().persistence);
  const auto newest = values.last(std::min(values.size(), kWeek));
  const Repeats shares = repeats(newest);
  out.insert(out.end(), {shares.still, shares.newest, shares.zero});
  out.push_back(static_cast<float>(view.scale().to_z(0.0)));
  std::size_t flat = 1;
  while (flat < kDay && newest[newest.size() - flat] == newest[newest.size() - flat - 1]) ++flat;
  out.push_back(std::log(static_cast<float>(flat)));
  const auto day = view.newest(kDay);
  const auto since_top = static_cast<float>(day.end() - std::max_element(day.begin(), day.end()));
  out.push_back(std::log(since_top) / std::log(static_cast<float>(kDay)));
  out.push_back(static_cast<float>(view.days()) / 7.0F);
}

/// How far the VM's other series stand from their last day's mean: over the newest three steps, and the newest hour.
void put_companions(const Past& past, std::vector<float>& out) {
  const std::size_t begin = out.size();
  out.resize(begin + 2 * (kKinds - 1), 0.0F);
  for (const Past::Companion& companion : past.companions) {
    if (companion.kind == Kind::kOther || companion.values.size() < kDay) continue;
    const auto day = companion.values.last(kDay);
    double sum = 0;
    double squares = 0;
    for (const double value : day) sum += value;
    const double centre = sum / kDay;
    for (const double value : day) squares += (value - centre) * (value - centre);
    const double deviation = std::sqrt(squares / kDay);
    // Constant, or a value is missing or beyond what can be squared.
    if (!(deviation > 0) || !std::isfinite(deviation)) continue;
    double newest = 0;
    double hour = 0;
    for (std::size_t age = 1; age <= kHour; ++age) {
      hour += (day[kDay - age] - centre) / deviation / kHour;
      if (age <= 3) newest += (day[kDay - age] - centre) / deviation / 3;
    }
    const std::size_t at = begin + 2 * static_cast<std::size_t>(companion.kind);
    out[at] = squash(static_cast<float>(newest));
    out[at + 1] = squash(static_cast<float>(hour));
  }
}

void put_sequence(const HistoryView& view, std::vector<float>& out) {
  const float near = spread_of(view, 1);
  for (std::size_t age = kSequenceSteps; age >= 1; --age) {
    out.push_back(view.back(age));
    out.push_back(view.back(age) - view.profile(-static_cast<std::ptrdiff_t>(age)));
    out.push_back(squash(view.seasonal().surprises[view.seasonal().surprises.size() - age] / near));
  }
}

/// The same time of day on the days before, and around it on the day before.
struct SameTime {
  float yesterday, around, top, median, mean, max, min;
  Levels levels;
};

SameTime same_time(const HistoryView& view, std::size_t h) {
  std::array<float, 7> days{};
  std::size_t n = 0;
  for (std::size_t day = 1; day <= view.days() && day * kDay + 1 - h <= view.size(); ++day) {
    days[n++] = view.back(day * kDay + 1 - h);
  }
  SameTime result{};
  result.yesterday = days[0];
  result.top = days[0];
  float sum = 0;
  float count = 0;
  for (std::size_t offset = 0; offset <= 12; ++offset) {  // ages kDay + 1 − h ± 6
    const std::size_t age = kDay + 7 - h - std::min(offset, kDay + 6 - h);
    const float value = view.back(age);
    result.top = std::max(result.top, value);
    if (offset >= 3 && offset <= 9) {
      sum += value;
      ++count;
    }
  }
  result.around = sum / count;
  const std::span<float> known(days.data(), n);
  result.mean = mean(known);
  std::sort(known.begin(), known.end());
  result.median = (known[n / 2] + known[(n - 1) / 2]) / 2;
  result.max = known.back();
  result.min = known.front();
  result.levels = levels_of_sorted<float>(known);
  return result;
}

void put_clock(const std::optional<std::int64_t>& next_epoch_s, std::size_t h, std::vector<float>& out) {
  if (!next_epoch_s) {
    out.insert(out.end(), {0.0F, 0.0F, 0.0F});
    return;
  }
  const std::int64_t at = *next_epoch_s + 300 * static_cast<std::int64_t>(h - 1);
  const double angle = 2 * std::numbers::pi * static_cast<double>(at % 86400) / 86400.0;
  const std::int64_t weekday = (at / 86400 + 4) % 7;  // the epoch began on a Thursday; 0 is Sunday
  out.push_back(static_cast<float>(std::sin(angle)));
  out.push_back(static_cast<float>(std::cos(angle)));
  out.push_back(weekday == 0 || weekday == 6 ? 1.0F : -1.0F);
}

void put_step(const HistoryView& view, const Past& past, std::size_t h, Features& out) {
  const float plain = view.plain().path[h - 1];
  const Levels& plain_errors = view.plain().errors[h - 1];
  const float seasonal = view.seasonal_path(h);
  const Levels& seasonal_errors = view.seasonal().errors[h - 1];
  const float spread = spread_of(view, h);
  const SameTime same = same_time(view, h);
  const float week = view.size() >= kWeek + 4 ? view.back(kWeek + 1 - h) : same.median;
  const Levels& hour = view.hour_quantiles(h);
  const Levels& time = view.time_quantiles(h);

  std::vector<float>& in = out.steps;
  const auto ahead = static_cast<float>(h);
  in.push_back(std::log(ahead) / std::log(static_cast<float>(kHorizon)));
  in.push_back(1 / ahead);
  in.push_back(ahead / kHorizon);
  for (std::size_t k = 0; k < kLevels.size(); ++k) in.push_back(plain_errors[k] + (k == 1 ? plain : 0));
  for (std::size_t k = 0; k < kLevels.size(); ++k) in.push_back(seasonal_errors[k] + (k == 1 ? seasonal : 0));
  in.insert(in.end(), {same.yesterday, same.around, same.top, week, same.median, same.max, same.min, same.mean});
  in.insert(in.end(), time.begin(), time.end());
  in.insert(in.end(), {hour[0], hour[1], hour[2]});
  for (const float other : {seasonal, same.yesterday, same.median, hour[1], view.back(1), week}) {
    in.push_back(squash((other - plain) / spread));
  }
  put_clock(past.next_epoch_s, h, in);

  std::vector<float>& anchors = out.step_anchors;
  for (std::size_t k = 0; k < kLevels.size(); ++k) anchors.push_back(plain + plain_errors[k]);
  for (std::size_t k = 0; k < kLevels.size(); ++k) anchors.push_back(seasonal + seasonal_errors[k]);
  for (const Levels& levels : {time, hour, view.day_quantiles(), view.week_quantiles(), same.levels}) {
    anchors.insert(anchors.end(), levels.begin(), levels.end());
  }
  for (std::size_t k = 0; k < kLevels.size(); ++k) anchors.push_back(same.yesterday);
  out.step_spread.push_back(spread);
}

}  // namespace

Result<Features> make_features(const Past& past, std::span<const std::size_t> steps) {
  if (past.values.size() < kHistoryMin) {
    return Error{ErrorCode::kFailedPrecondition, "global forecast: needs " + std::to_string(kHistoryMin) +
                                                     " steps of history, has " + std::to_string(past.values.size())};
  }
  const auto newest = past.values.last(std::min(past.values.size(), kHistoryMax));
  if (!std::all_of(newest.begin(), newest.end(), [](double value) { return std::isfinite(value); })) {
    return Error{ErrorCode::kInvalidArgument, "global forecast: the history has a value that is not finite"};
  }
  const HistoryView view(past.values);
  Features result;
  result.scale = view.scale();
  result.window.reserve(kWindowInputs);
  put_level(view, result.window);
  put_character(view, newest, result.window);
  put_companions(past, result.window);
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    result.window.push_back(kind == static_cast<std::size_t>(past.kind) ? 1.0F : 0.0F);
  }
  result.sequence.reserve(kSequenceSteps * kSequenceInputs);
  put_sequence(view, result.sequence);
  result.steps.reserve(steps.size() * kStepInputs);
  result.step_anchors.reserve(steps.size() * kStepAnchors * kLevels.size());
  for (const std::size_t h : steps) put_step(view, past, h, result);
  put_maxima(view, result);
  put_signals(view, past, steps, result);
  assert(result.window.size() == kWindowInputs && result.steps.size() == steps.size() * kStepInputs);
  return result;
}

}  // namespace proteus::forecast::global
