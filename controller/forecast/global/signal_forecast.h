#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "controller/forecast/global/features.h"
#include "controller/forecast/global/history_view.h"

namespace proteus::forecast::global {

/// The seasonal autoregression of a window with what its signals do taken out, and put back for the steps to come.
struct SignalForecast {
  ArForecast rest;          ///< of what is left when the profile's share and the signals' are taken out
  std::vector<float> path;  ///< the whole, [h − 1], z; rest.errors are to be added
  /// By how much the squared error an hour ahead fell on the newest third of the window, of which the coefficients
  /// tried there had seen nothing; 0 … 1.
  float gain = 0;
};

/// A linear regression on the signals with autoregressive errors, both on what is left of series and signals when the
/// profile's share is taken out of both alike. A signal whose future is not known goes back to its mean as fast as it
/// used to. nullopt: no signal is known for most of the window and changes in it, or none brings a gain. Thread: pure.
std::optional<SignalForecast> forecast_with_signals(const HistoryView& view, const SignalRows& signals);

}  // namespace proteus::forecast::global
