#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "common/result.h"
#include "controller/forecast/global/features.h"

namespace proteus::forecast::global {

/// A series to learn from, as far as it may be seen.
struct TrainingSeries {
  Kind kind = Kind::kOther;
  std::span<const double> values;             ///< oldest first, finite
  std::vector<Past::Companion> companions;    ///< same length as values
  std::optional<std::int64_t> start_epoch_s;  ///< UTC seconds of values[0]
  std::size_t signals = 0;                    ///< external ones
  std::span<const float> signal_rows{};       ///< for each value a row of them, NaN: never known
  std::size_t signals_ahead = 0;              ///< so many steps beyond the newest value they are known at any time
  std::span<const float> pressure{};          ///< as Past's, for each value; empty: not known
};

/// Inputs of one kind of network: for each window the same number of rows.
struct TrainingRows {
  std::size_t per_window = 0;
  std::size_t inputs = 0;
  std::size_t anchors = 0;
  std::vector<float> input;   ///< windows · per_window × inputs
  std::vector<float> anchor;  ///< × anchors × levels
  std::vector<float> spread;
  std::vector<float> signal{};         ///< windows · per_window × kSignalInputs; empty: no series had any
  std::vector<float> signal_anchor{};  ///< × levels
};

/// Windows cut from many series, as features with what came after. Values are in units of the window's spread
/// around its centre (u = sinh z).
struct TrainingSet {
  std::size_t windows = 0;
  std::vector<std::uint32_t> series;  ///< which one a window is from
  std::vector<float> window;
  std::vector<float> sequence;
  TrainingRows steps;
  std::vector<std::uint16_t> step_ahead;  ///< windows × steps.per_window
  std::vector<float> step_value;          ///< likewise, u
  TrainingRows maxima;
  std::vector<float> future;  ///< windows × kHorizon, u
  /// u times this is in units of the series' mean absolute daily difference (SM of the benchmark).
  std::vector<float> unit;
};

/// Which windows to cut. first/last: origins lie in [begin, end − kHorizon], as a distance from the series' end.
struct WindowChoice {
  std::size_t skip_newest = 0;  ///< steps at the end of the series that are not touched, not even as a target
  std::size_t span = SIZE_MAX;  ///< origins reach so far back from there
  std::size_t per_series = 64;
  std::size_t steps_per_hour = 4;  ///< rows of a window: the next step, so many of steps 2 … 12,
  std::size_t steps_per_day = 5;   ///< and so many beyond
  std::uint32_t seed = 1;
};

/// Bands of steps ahead that are weighed alike: the next step, the rest of the hour, the rest of the day.
inline constexpr std::size_t kBands = 3;
inline std::size_t band_of(std::size_t step_ahead) {
  return step_ahead == 1 ? 0 : step_ahead <= kHour ? 1 : 2;
}

/// Mean absolute difference from a day before, of more than a day of values.
double daily_difference(std::span<const double> values);

/// Series that are too short for a window are left out. Origins are spread evenly, with a random offset within each
/// stride. Thread: pure.
Result<TrainingSet> cut_windows(std::span<const TrainingSeries> series, const WindowChoice& choice);

}  // namespace proteus::forecast::global
