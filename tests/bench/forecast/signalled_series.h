#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "controller/forecast/global/training_set.h"

namespace proteus::bench {

/// What has been made up beside or into a series.
enum class Made : std::uint8_t { kNothing, kUseless, kMetric, kEvents, kSqueezed };
inline constexpr std::size_t kMadeKinds = 5;
const char* to_string(Made made);

/// Series with signals and host pressure beside them: no traces at hand have either.
struct SignalledSeries {
  std::deque<std::vector<double>> values;  ///< what `series` refers to
  std::deque<std::vector<float>> rows;     ///< likewise: signals and pressures
  std::vector<forecast::global::TrainingSeries> series;
  std::vector<Made> made;  ///< of each
};

/// `count` series drawn from those given, in turn, each with one of:
/// - nothing: a host without pressure, no signals;
/// - signals that have nothing to do with it: another series, a random walk, a square wave;
/// - a metric that goes with it: the series itself, smoothed, with noise, in another unit;
/// - events that add to it, which the signal tells of;
/// - a host that is short of CPU at times: what is asked for meanwhile waits, shows as demand (CPU) or is missing
/// (disk,
///   network) until it has been made up for, and the host's pressure tells of it.
/// Signals are known from no to 288 steps ahead; some came up late. The same arguments give the same series.
SignalledSeries add_signals(const std::vector<forecast::global::TrainingSeries>& from, std::size_t count,
                            std::uint32_t seed);

}  // namespace proteus::bench
