#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "common/result.h"
#include "controller/forecast/global/features.h"
#include "controller/forecast/global/network.h"
#include "controller/forecast/global/weights.h"

namespace proteus::forecast::global {

/// Quantiles in the series' own unit, at kLevels, ascending.
using ValueLevels = std::array<double, kLevels.size()>;

/// Forecasts of the steps by one member of the ensemble, [h − 1].
using Path = std::vector<ValueLevels>;

/// All members' forecasts of one window.
struct MemberForecasts {
  std::array<Path, kMembers> paths;                   ///< empty: that member was not asked for, or has no weights
  std::array<ValueLevels, kWindows.size()> maxima{};  ///< of the largest step; p95 is the reservation (objective.h)
};

/// Their mean, with the shares that validation gave them.
struct MixedForecast {
  Path steps;
  std::array<ValueLevels, kWindows.size()> maxima{};
};

/// The global networks at work. Thread: owned by one; the weights are shared and never change.
class Forecaster {
 public:
  explicit Forecaster(std::shared_ptr<const Weights> weights);
  /// horizon: so many steps (1 … kHorizon). Errors: those of make_features.
  Result<MemberForecasts> forecast(const Past& past, const std::array<bool, kMembers>& wanted,
                                   std::size_t horizon = kHorizon);
  /// Steps and maxima by those members to which validation gave a share, for so many steps.
  Result<MixedForecast> forecast_mixed(const Past& past, std::size_t horizon);

 private:
  /// What a committee's networks weigh the anchors with, their mean (mixture.h).
  std::vector<float> answer(std::vector<Network>& networks, const Committee& committee, const NetworkInput& input,
                            std::size_t anchors);

  std::shared_ptr<const Weights> weights_;
  std::vector<Network> mlp_;
  std::vector<Network> lstm_;
  std::vector<Network> maxima_;
};

/// Sorts a row's levels and scales their distances from the median, in the series' unit.
ValueLevels calibrated(const float* z, const AsinhScale& scale, const Calibration& calibration);

}  // namespace proteus::forecast::global
