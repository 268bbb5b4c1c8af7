#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "common/result.h"
#include "controller/forecast/global/training_set.h"
#include "controller/forecast/global/weights.h"

namespace proteus::forecast::global {

struct FineTuneOptions {
  int epochs = 8;      ///< at most
  float rate = 3e-4F;  ///< a sixteenth of that of training from nothing
  std::size_t windows_per_series = 48;
  std::uint32_t seed = 1;
};

/// How networks do on the newest two days, of which nothing was learned or chosen: mean over series of ln(pinball loss
/// relative to the series' own autoregression), before the calibration.
struct FineTuneScore {
  std::array<double, kBands> steps{};  ///< by band of steps ahead
  double maxima = 0;                   ///< of the coming hour's and the coming day's, added up
  double total() const { return steps[0] + steps[1] + steps[2] + maxima; }
};

struct FineTuned {
  Weights weights;  ///< those given, if `better` is false
  std::size_t series = 0;
  std::size_t windows = 0;  ///< learned from
  FineTuneScore before;
  FineTuneScore after;
  bool better = false;  ///< total() fell by kFineTuneGain
};

/// Two days before a window, a day after it, and of those windows' days four that only choose and judge.
inline constexpr std::size_t kFineTuneStepsMin = 7 * kDay;
/// A hundredth in each of the three bands and in both maxima.
inline constexpr double kFineTuneGain = 0.05;

/// Trains the networks on from where they are, on what is peculiar to these series. Of each, the newest two days judge,
/// the two before choose the epoch, and the older ones are learned from. Calibration, shares and prices stay as they
/// are. series: the shorter ones than kFineTuneStepsMin are left out. log: called with a line about each epoch; may be
/// empty. Takes seconds to minutes. The same arguments give the same bits. Thread: pure. Errors: kFailedPrecondition if
/// no series is long enough.
Result<FineTuned> fine_tune(const Weights& weights, std::span<const TrainingSeries> series,
                            const FineTuneOptions& options, const std::function<void(const std::string&)>& log);

}  // namespace proteus::forecast::global
