#include "controller/forecast/global/training_set.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace proteus::forecast::global {

namespace {

/// One step in each of `count` equal parts of first … last.
void draw_steps(std::size_t first, std::size_t last, std::size_t count, std::mt19937& random,
                std::vector<std::size_t>& out) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t from = first + (last + 1 - first) * i / count;
    const std::size_t to = first + (last + 1 - first) * (i + 1) / count;
    out.push_back(from + random() % (to - from));
  }
}

void append(const std::vector<float>& from, std::vector<float>& to) {
  to.insert(to.end(), from.begin(), from.end());
}

/// The signals' rows up to the origin, and those ahead as far as they are known there.
std::vector<float> signals_seen_from(const TrainingSeries& series, std::size_t origin) {
  std::vector<float> rows;
  if (series.signals == 0) return rows;
  const std::size_t known = std::min(origin + series.signals_ahead, series.values.size());
  const auto seen = series.signal_rows.first(std::min(known, origin + kHorizon) * series.signals);
  rows.assign(seen.begin(), seen.end());
  rows.resize((origin + kHorizon) * series.signals, std::numeric_limits<float>::quiet_NaN());
  return rows;
}

/// Where a window has none, what a forecast would be made with that has pressure of zero: nothing but the anchor, which
/// is the seasonal autoregression's.
void append_signals(const Features& features, TrainingSet& set) {
  const bool has = !features.step_signals.empty();
  const auto put = [&](TrainingRows& rows, const std::vector<float>& inputs, const std::vector<float>& levels,
                       const std::vector<float>& anchors) {
    if (has) {
      append(inputs, rows.signal);
      append(levels, rows.signal_anchor);
      return;
    }
    rows.signal.resize(rows.signal.size() + rows.per_window * kSignalInputs, 0.0F);
    for (std::size_t row = 0; row < rows.per_window; ++row) {
      const float* seasonal = anchors.data() + (row * rows.anchors + 1) * kLevels.size();
      rows.signal_anchor.insert(rows.signal_anchor.end(), seasonal, seasonal + kLevels.size());
    }
  };
  put(set.steps, features.step_signals, features.step_signal_anchors, features.step_anchors);
  put(set.maxima, features.max_signals, features.max_signal_anchors, features.max_anchors);
}

Status cut_window(const TrainingSeries& series, std::size_t origin, const std::vector<std::size_t>& steps, double unit,
                  bool with_signals, TrainingSet& set) {
  Past past{.kind = series.kind, .values = series.values.first(origin), .companions = {}, .next_epoch_s = {}};
  std::vector<Past::Companion> companions = series.companions;
  for (Past::Companion& companion : companions) companion.values = companion.values.first(origin);
  past.companions = companions;
  if (series.start_epoch_s) past.next_epoch_s = *series.start_epoch_s + 300 * static_cast<std::int64_t>(origin);
  if (!series.pressure.empty()) past.pressure = series.pressure.first(origin);
  const std::vector<float> rows = signals_seen_from(series, origin);
  past.signals = {series.signals, rows};
  const Result<Features> features = make_features(past, steps);
  if (!features) return features.error();
  if (with_signals) {
    append_signals(*features, set);
  }
  append(features.value().window, set.window);
  append(features.value().sequence, set.sequence);
  append(features.value().steps, set.steps.input);
  append(features.value().step_anchors, set.steps.anchor);
  append(features.value().step_spread, set.steps.spread);
  append(features.value().maxima, set.maxima.input);
  append(features.value().max_anchors, set.maxima.anchor);
  append(features.value().max_spread, set.maxima.spread);
  const AsinhScale& scale = features.value().scale;
  for (std::size_t h = 1; h <= kHorizon; ++h) {
    set.future.push_back(static_cast<float>((series.values[origin + h - 1] - scale.centre) / scale.spread));
  }
  const float* future = set.future.data() + set.future.size() - kHorizon;
  for (const std::size_t h : steps) {
    set.step_ahead.push_back(static_cast<std::uint16_t>(h));
    set.step_value.push_back(future[h - 1]);
  }
  set.unit.push_back(static_cast<float>(scale.spread / unit));
  ++set.windows;
  return {};
}

}  // namespace

double daily_difference(std::span<const double> values) {
  double sum = 0;
  for (std::size_t t = kDay; t < values.size(); ++t) sum += std::abs(values[t] - values[t - kDay]);
  return sum / static_cast<double>(values.size() - kDay);
}

Result<TrainingSet> cut_windows(std::span<const TrainingSeries> series, const WindowChoice& choice) {
  TrainingSet set;
  set.steps.per_window = 1 + choice.steps_per_hour + choice.steps_per_day;
  set.steps.inputs = kStepInputs;
  set.steps.anchors = kStepAnchors;
  set.maxima.per_window = kWindows.size();
  set.maxima.inputs = kMaxInputs;
  set.maxima.anchors = kMaxAnchors;
  const bool with_signals = std::any_of(
      series.begin(), series.end(), [](const TrainingSeries& one) { return one.signals > 0 || !one.pressure.empty(); });
  std::mt19937 random(choice.seed);
  for (std::size_t i = 0; i < series.size(); ++i) {
    const std::size_t length = series[i].values.size();
    if (length < choice.skip_newest + kHistoryMin + kHorizon) continue;
    const std::size_t end = length - choice.skip_newest - kHorizon;  // the newest origin
    const std::size_t begin = std::max(kHistoryMin, end - std::min(end, choice.span));
    const double unit = daily_difference(series[i].values);
    if (!(unit > 0)) continue;
    const std::size_t count = std::min(choice.per_series, end - begin + 1);
    for (std::size_t n = 0; n < count; ++n) {
      const std::size_t from = begin + (end + 1 - begin) * n / count;
      const std::size_t to = begin + (end + 1 - begin) * (n + 1) / count;
      const std::size_t origin = from + random() % (to - from);
      std::vector<std::size_t> steps = {1};
      draw_steps(2, kHour, choice.steps_per_hour, random, steps);
      draw_steps(kHour + 1, kHorizon, choice.steps_per_day, random, steps);
      if (Status cut = cut_window(series[i], origin, steps, unit, with_signals, set); !cut) return cut.error();
      set.series.push_back(static_cast<std::uint32_t>(i));
    }
  }
  return set;
}

}  // namespace proteus::forecast::global
