#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "controller/forecast/forecast.h"

namespace proteus::forecast {

/// How a model's forecasts of one lead have turned out lately, exponentially weighted over closed steps.
struct LeadAccuracy {
  int steps = 1;            ///< so far ahead
  double pinball_loss = 0;  ///< mean over kQuantileLevels, unit of the series
  double mase = 0;          ///< mean absolute error of p50 over the scale of the series; NaN: the scale is not known
  std::array<double, kQuantileLevels.size()> coverage{};  ///< share of steps at or below each quantile
  std::int64_t scored = 0;
  double share = 0;  ///< of the model in the forecast, at this lead
};

/// One model of one series.
struct Accuracy {
  std::string model;
  double pinball_loss = 0;  ///< what models are chosen by: mean over p50, p90 and p99, and over the first, middle and
                            ///< last step of the horizon (one step alone would favour the last value), unit of the
                            ///< series; a surprise counts for at most five times the usual loss of the naive
  double coverage_p90 = 0;  ///< share of steps at or below the p90 of one step before
  std::int64_t scored_steps = 0;
  bool chosen = false;
  bool set_aside = false;           ///< not to be chosen for now
  std::string reason;               ///< why it is set aside; empty otherwise
  std::vector<LeadAccuracy> leads;  ///< first, middle and last step of the horizon, as far as scored
};

/// All models of one series.
struct SeriesAccuracy {
  double scale = 0;       ///< that mase is relative to; 0: not known
  bool seasonal = false;  ///< it is the mean change over a season; else that from step to step
  std::vector<Accuracy> models;
};

}  // namespace proteus::forecast
