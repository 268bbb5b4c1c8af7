#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "controller/forecast/forecast.h"

namespace proteus::forecast {

/// How one series of the cluster went on from where it was: what a VM that has only just been seen may do, too.
struct KinSample {
  static constexpr std::size_t kKnots = 4;  ///< 1, a quarter, half and all of the horizon
  std::uint64_t series = 0;                 ///< whose, to tell how many are known
  Resource resource{};
  bool one_step = false;              ///< from its last step alone, or from the mean of kKinLevelSteps
  double level = 0;                   ///< on the scale of KinTable
  std::array<double, kKnots> rise{};  ///< at the knots, on the same scale
  double window_rise = 0;             ///< of the largest step
};

/// Steps whose mean is a level.
inline constexpr int kKinLevelSteps = 10;

/// What a series has to tell: from its values, newest last, the origin a horizon before the end. Appends two samples,
/// or none if too much is missing.
void append_kin_samples(std::span<const double> values, int horizon_steps, std::uint64_t series, Resource resource,
                        std::vector<KinSample>& samples);

/// Forecasts from what like series did: quantiles of how far they moved away from a similar level within h steps, on an
/// asinh scale fixed for each resource, so that idle VMs learn from idle ones and a rise is a factor for busy ones.
/// Nothing is assumed about the new series but that it is one of them. Thread: immutable while it is used.
class KinTable {
 public:
  explicit KinTable(int horizon_steps) : horizon_steps_(horizon_steps) {}

  /// Takes in samples; the oldest beyond a fixed number go.
  void add(std::span<const KinSample> samples);
  /// Enough like series are known.
  bool usable(Resource resource) const;
  /// values: all that is known of the new series, at least one finite. Fills steps (the horizon) and window_max.
  /// Only if usable().
  void forecast(Resource resource, std::span<const double> values, Forecast& forecast) const;

 private:
  /// Series of a similar level.
  struct Bucket {
    double level_max = 0;
    std::array<Quantiles, KinSample::kKnots> rise;
    Quantiles window_rise;
  };
  struct Kind {
    std::vector<KinSample> samples;  ///< ring
    std::size_t next = 0;
    std::vector<Bucket> buckets;  ///< by level; empty: not usable
  };
  void rebuild(Kind& kind) const;
  const Kind& kind(Resource resource, bool one_step) const;

  int horizon_steps_;
  std::array<std::array<Kind, 2>, kResources.size()> kinds_;
};

}  // namespace proteus::forecast
