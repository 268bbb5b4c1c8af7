#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/result.h"
#include "controller/forecast/asinh_scale.h"
#include "controller/forecast/global/samples.h"

namespace proteus::forecast::global {

/// The global models speak of five-minute steps: an hour, a day and a week of them.
inline constexpr std::size_t kHour = 12;
inline constexpr std::size_t kDay = 288;
inline constexpr std::size_t kWeek = 7 * kDay;
inline constexpr std::size_t kHorizon = kDay;
/// A forecast needs so many steps of history.
inline constexpr std::size_t kHistoryMin = 2 * kDay;
/// Values older than this are not looked at.
inline constexpr std::size_t kHistoryMax = 2 * kWeek;
/// The windows whose largest step is forecast.
inline constexpr std::array<std::size_t, 2> kWindows = {kHour, kDay};

/// What a series measures.
enum class Kind : std::uint8_t { kCpu, kCpuMax, kMemory, kDiskRead, kDiskWrite, kNetReceived, kNetSent, kOther };
inline constexpr std::size_t kKinds = 8;

/// External signals along a series, step by step, each with its lead taken into account (covariates.h).
struct SignalRows {
  std::size_t count = 0;          ///< of signals; only the first kSignalsMax are looked at
  std::span<const float> values;  ///< rows × count, oldest first, NaN: not known. The last kHorizon rows lie ahead.
};
inline constexpr std::size_t kSignalsMax = 16;

/// All that a global model may look at: nothing at or after the first step to be forecast, but what signals say of it.
struct Past {
  struct Companion {
    Kind kind;
    /// Ends with the same step as Past::values; may begin later. Left out if its newest day is not all finite.
    std::span<const double> values;
  };
  Kind kind = Kind::kOther;
  std::span<const double> values;            ///< oldest first, finite
  std::span<const Companion> companions;     ///< other series of the same VM
  std::optional<std::int64_t> next_epoch_s;  ///< UTC seconds at which the first step to be forecast begins
  SignalRows signals{};                      ///< the row before those ahead belongs to the newest value
  /// Time that the vCPUs of the VM's host waited for a CPU, per time that they ran; by step, oldest first, the newest
  /// belonging to the newest value. The newest hour is looked at; empty: not known.
  std::span<const float> pressure{};
};

/// Sizes of the inputs below.
inline constexpr std::size_t kWindowInputs = 78;
inline constexpr std::size_t kStepInputs = 38;
inline constexpr std::size_t kMaxInputs = 28;
inline constexpr std::size_t kSignalInputs = 7;
/// Simple forecasts that the models mix.
inline constexpr std::size_t kStepAnchors = 8;
inline constexpr std::size_t kMaxAnchors = 6;
/// What the LSTM reads.
inline constexpr std::size_t kSequenceSteps = 72;
inline constexpr std::size_t kSequenceInputs = 3;

/// One window made into numbers of order one, on the series' own asinh scale (z).
struct Features {
  AsinhScale scale;
  std::vector<float> window;    ///< kWindowInputs
  std::vector<float> sequence;  ///< kSequenceSteps × kSequenceInputs, oldest first
  // One row for each step asked for:
  std::vector<float> steps;         ///< × kStepInputs
  std::vector<float> step_anchors;  ///< × kStepAnchors × levels, z
  std::vector<float> step_spread;   ///< z; how far corrections reach
  // One row for each of kWindows:
  std::vector<float> maxima;       ///< × kMaxInputs
  std::vector<float> max_anchors;  ///< × kMaxAnchors × levels, z
  std::vector<float> max_spread;   ///< z
  // What signals and the host's pressure tell, empty if the past has neither. Likewise a row for each step and each of
  // kWindows: kSignalInputs, and an anchor's levels (the seasonal autoregression with the signals' part; z).
  std::vector<float> step_signals, step_signal_anchors;
  std::vector<float> max_signals, max_signal_anchors;
};

/// steps: which steps ahead (1 … kHorizon), ascending. Thread: pure.
/// Errors: kFailedPrecondition if the history is shorter than kHistoryMin; kInvalidArgument if a value is not finite.
Result<Features> make_features(const Past& past, std::span<const std::size_t> steps);

}  // namespace proteus::forecast::global
